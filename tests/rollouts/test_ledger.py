"""Every trajectory settles once, and the ledger notices where one did not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.ledger import ledger
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.records import Failure, Group, PolicyRef
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.verifiers.records import Reward, StopReason
from tooldojo.verifiers.reward import RewardShape

BASE = PolicyRef("gold", 0, "base")


@pytest.fixture
def groups(chat: Chat, tasks: Callable[..., Task], limits: Limits) -> list[Group]:
    """A dead group, one with a signal, and one with a failed member."""
    sampler = ScriptedSampler(chat, "gold", 0, ())

    def make(ordinal: int) -> Group:
        issued = IssuedTask(ordinal, tasks(ordinal=ordinal))
        settings = PlaySettings(limits, RewardShape(), 3)
        work = play_group(issued, 3, sampler, chat, settings, BASE)
        return asyncio.run(work)

    dead, live, failed = make(0), make(1), make(2)
    low = replace(live.trajectories[0], reward=Reward(0.25, (), {}))
    lost = replace(
        failed.trajectories[1],
        ending=ENDINGS[StopReason.DEADLINE],
        score=None,
        reward=None,
        failure=Failure("TimeoutError", "", 0),
    )
    other = replace(failed.trajectories[2], reward=Reward(0.5, (), {}))
    return [
        dead,
        replace(live, trajectories=(low, *live.trajectories[1:])),
        replace(failed, trajectories=(failed.trajectories[0], lost, other)),
    ]


def test_each_way_to_settle(groups: list[Group], tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    store.append(groups[:2], "train", 0)
    store.append(groups[2:], "train", 1)
    found = ledger(store.read("train"), ordinals=3, group_size=3)
    assert found.sound
    assert found.counts() == {"trained": 5, "zero_variance": 3, "failed": 1}


def test_what_is_lost_or_stored_twice_is_named(groups: list[Group], tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    store.append(groups[:1], "train", 0)
    store.append(groups[:1], "train", 1)
    partial = replace(groups[2], trajectories=groups[2].trajectories[:2])
    store.append([partial], "train", 1)
    found = ledger(store.read("train"), ordinals=3, group_size=3)
    assert not found.sound
    assert found.lost == ((1, 0), (1, 1), (1, 2), (2, 2))
    assert found.duplicated == ((0, 0), (0, 1), (0, 2))


def test_discarding_takes_half_written_shards_along(groups: list[Group], tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path)
    kept = store.append(groups, "train", 3)
    late = store.append(groups, "train", 4)
    half = tmp_path / f".{late.name}.4711.tmp"
    half.write_bytes(b"PAR1")
    assert store.discard_after("train", 3) == 1
    assert list(tmp_path.iterdir()) == [kept]
