"""Evaluation: rows, summaries, what is no verdict, and comparison task by task."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.records import Failure, Group
from tooldojo.training.evaluation.evaluate import compare, eval_ordinal, evaluate
from tooldojo.training.evaluation.results import Evaluation, EvaluationError
from tooldojo.verifiers.records import StopReason

Skilled = Callable[..., LocalFleet]
HeldOut = Callable[[int], list[Task]]


class Losing:
    """Plays, but loses the engine on the first tasks."""

    def __init__(self, player: LocalFleet, lost: int) -> None:
        self.player, self.lost = player, lost

    def play(self, issued: Sequence[IssuedTask], group_size: int) -> Iterator[Group]:
        gone = {each.ordinal for each in issued[: self.lost]}
        failure = Failure("EngineLost", "no answer", 0)
        for group in self.player.play(issued, group_size):
            if group.ordinal in gone:
                lost = replace(
                    group.trajectories[0],
                    ending=ENDINGS[StopReason.ENGINE_LOST],
                    score=None,
                    reward=None,
                    evidence=None,
                    failure=failure,
                )
                group = Group(group.ordinal, group.task, (lost,))
            yield group


def run(player: object, tasks: list[Task], stage: str = "rl", seed: int = 0) -> Evaluation:
    return evaluate(player, tasks, stage, temperature=0.0, seed=seed)  # type: ignore[arg-type]


def test_gold_is_perfect_and_every_row_says_so(skilled: Skilled, heldout: HeldOut) -> None:
    tasks = heldout(8)
    done = run(skilled(1.0, 1), tasks)
    summary = done.summary()
    assert [row.task_id for row in done.rows] == [task.id for task in tasks]
    assert summary.success.successes == summary.success.trials == 8
    assert summary.well_formed is not None and summary.well_formed.mean == 1.0
    for row in done.rows:
        assert row.success and row.value == 1.0 and row.ending == "answered" and row.failure is None
        assert row.arguments in (None, 1.0) and row.tool_selection in (None, 1.0)
        assert (row.arguments is None) == (row.calls == 0)
    assert [policy.version for policy in done.policies] == [1]


def test_wrong_arguments_cost_exactness_but_not_tool_selection(
    skilled: Skilled, heldout: HeldOut
) -> None:
    done = run(skilled(0.0, 0), heldout(12))
    summary = done.summary()
    assert summary.success.successes == 0
    assert summary.tool_selection is not None and summary.arguments is not None
    assert summary.tool_selection.mean > 0.5 > summary.arguments.mean
    assert done.to_json()["summary"] is not None


def test_json_round_trip(skilled: Skilled, heldout: HeldOut) -> None:
    done = run(skilled(0.5, 3), heldout(6))
    again = Evaluation.from_json(json.loads(json.dumps(done.to_json())))
    assert again == done and again.summary() == done.summary()


def test_ordinals_follow_from_the_task_alone(skilled: Skilled, heldout: HeldOut) -> None:
    tasks = heldout(6)
    assert len({eval_ordinal(task) for task in tasks}) == 6
    assert all(eval_ordinal(task) >= 2**62 for task in tasks)
    one, two = run(skilled(0.5, 1), tasks), run(skilled(0.5, 1), tasks[::-1])
    by_id = {row.task_id: row.success for row in one.rows}
    assert all(by_id[row.task_id] == row.success for row in two.rows)


def test_a_lost_engine_is_no_zero(skilled: Skilled, heldout: HeldOut) -> None:
    tasks = heldout(60)
    done = run(Losing(skilled(1.0, 1), 1), tasks)
    summary = done.summary()
    assert (summary.tasks, summary.success.trials, summary.success.rate) == (60, 59, 1.0)
    assert summary.failed == {"infra": 1} and summary.endings["engine_lost"] == 1
    lost = next(row for row in done.rows if row.success is None)
    assert lost.value is None and lost.failure == "infra: EngineLost: no answer"


def test_too_many_failures_are_an_error(skilled: Skilled, heldout: HeldOut) -> None:
    with pytest.raises(EvaluationError, match="2 of 40 tasks got no verdict, more than 2%"):
        run(Losing(skilled(1.0, 1), 2), heldout(40))


def test_the_same_task_twice_is_an_error(skilled: Skilled, heldout: HeldOut) -> None:
    with pytest.raises(EvaluationError, match="not distinct"):
        run(skilled(1.0, 1), heldout(1) * 2)


def test_compare_pairs_by_task(skilled: Skilled, heldout: HeldOut) -> None:
    tasks = heldout(40)
    before, after = run(skilled(0.3, 1), tasks, "sft"), run(skilled(0.8, 2), tasks, "rl")
    found = compare(before, after)
    assert found.success.lost == 0 and found.success.gained > 0 and found.left_out == 0
    rates = [e.summary().success.rate for e in (before, after)]
    assert found.success.difference == pytest.approx(rates[1] - rates[0])
    assert sum(cell.success.tasks for cell in found.cells) == 40
    fewer = replace(after, rows=after.rows[:30])
    assert compare(before, fewer).left_out == 10


def test_compare_refuses_other_settings(skilled: Skilled, heldout: HeldOut) -> None:
    one = run(skilled(1.0, 1), heldout(2))
    with pytest.raises(EvaluationError, match="seed 0 and 'rl' with 1"):
        compare(one, replace(one, seed=1))
    with pytest.raises(EvaluationError, match="share no task"):
        compare(one, replace(one, rows=()))


def test_parts_of_an_evaluation(skilled: Skilled, heldout: HeldOut) -> None:
    done = run(skilled(0.5, 1), heldout(9))
    assert len(done.within(["tooldojo/Orders-v0"]).rows) == 9 == len(done.of_split("test").rows)
    assert not done.outside(["tooldojo/Orders-v0"]).rows
    assert sum(cell.success.trials for cell in done.cells()) == 9
    assert set(done.figures("val")) >= {"val/success", "val/success/low", "val/success/high"}
