"""An interrupted evaluation goes on where it stopped, and never mixes two policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.evaluation.evaluate import evaluate
from tooldojo.training.evaluation.log import EvaluationLog
from tooldojo.training.evaluation.results import Evaluation
from tooldojo.training.runs.run_dir import RunDirectoryError
from tooldojo.verifiers.records import StopReason

POLICY = PolicyRef("policy", 1, f"{1:016x}")  # what `skilled(..., 1)` plays
Skilled = Callable[..., LocalFleet]
HeldOut = Callable[[int], list[Task]]


class Stopping:
    """Plays, and is interrupted after so many groups; counts what it was asked for."""

    def __init__(self, player: LocalFleet, after: int | None) -> None:
        self.player, self.after, self.asked = player, after, 0

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Iterator[Group]:
        issued = list(issued)
        self.asked = len(issued)
        for index, group in enumerate(self.player.play(issued, group_size)):
            if index == self.after:
                raise KeyboardInterrupt
            yield group


def run(
    store: TrajectoryStore,
    player: Stopping,
    tasks: list[Task],
    policy: PolicyRef = POLICY,
    replaced: bool = False,
) -> Evaluation:
    with EvaluationLog(store, "rl", policy, 0, keep=True, replace=replaced, part=4) as log:
        return evaluate(
            player, tasks, "rl", temperature=0.0, seed=0, on_group=log.add, earlier=log.earlier
        )


def stored(store: TrajectoryStore) -> list[int]:
    return sorted(row.trajectory.ordinal for row in store.read("rl"))


def test_it_goes_on_where_it_stopped(skilled: Skilled, heldout: HeldOut, tmp_path: Path) -> None:
    store, tasks = TrajectoryStore(tmp_path), heldout(16)
    whole = evaluate(skilled(0.5, 1), tasks, "rl", temperature=0.0, seed=0)
    with pytest.raises(KeyboardInterrupt):
        run(store, Stopping(skilled(0.5, 1), 10), tasks)
    assert len(store.shards("rl")) == 3 and len(set(stored(store))) == 10
    player = Stopping(skilled(0.5, 1), None)
    done = run(store, player, tasks)
    assert player.asked == 6
    assert len(stored(store)) == len(set(stored(store))) == 16
    assert [replace(row, seconds=0) for row in done.rows] == [
        replace(row, seconds=0) for row in whole.rows
    ]
    again = Stopping(skilled(0.5, 1), None)
    run(store, again, tasks)
    assert again.asked == 0 and len(stored(store)) == 16


def test_what_ended_without_a_verdict_is_played_again(
    skilled: Skilled, heldout: HeldOut, tmp_path: Path
) -> None:
    store, tasks = TrajectoryStore(tmp_path), heldout(8)
    groups: list[Group] = []
    run(store, Stopping(skilled(0.5, 1), None), tasks)
    for place, row in enumerate(store.read("rl")):
        played = row.trajectory
        if place < 3:
            played = replace(
                played, score=None, reward=None, ending=ENDINGS[StopReason.ENGINE_LOST]
            )
        groups.append(Group(played.ordinal, row.task, (played,)))
    store.discard_after("rl", -1)
    store.append(groups, "rl", 0)
    player = Stopping(skilled(0.5, 1), None)
    done = run(store, player, tasks)
    assert player.asked == 3 and len(done.scored) == 8
    assert len(stored(store)) == len(set(stored(store))) == 8
    assert all(row.trajectory.score is not None for row in store.read("rl"))


def test_what_another_policy_left_goes_only_where_that_is_said(
    skilled: Skilled, heldout: HeldOut, tmp_path: Path
) -> None:
    store, tasks = TrajectoryStore(tmp_path), heldout(6)
    run(store, Stopping(skilled(0.5, 1), None), tasks)
    other, policy = Stopping(skilled(0.5, 2), None), PolicyRef("policy", 2, f"{2:016x}")
    for keep in (True, False):
        with pytest.raises(RunDirectoryError, match="another policy or seed under the stage 'rl'"):
            EvaluationLog(store, "rl", policy, 0, keep=keep, replace=False)
    assert len(stored(store)) == 6
    run(store, other, tasks, policy, replaced=True)
    assert other.asked == 6
    assert {row.trajectory.policy.version for row in store.read("rl")} == {2}
    assert len(stored(store)) == 6


def test_without_keep_it_starts_from_the_beginning(
    skilled: Skilled, heldout: HeldOut, tmp_path: Path
) -> None:
    store, tasks = TrajectoryStore(tmp_path), heldout(3)
    run(store, Stopping(skilled(0.5, 1), None), tasks)
    log = EvaluationLog(store, "rl", POLICY, 0, keep=False, replace=False)
    assert log.earlier == () and store.shards("rl") == []
