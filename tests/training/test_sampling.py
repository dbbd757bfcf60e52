"""Dynamic sampling: how many groups are played, what trains, what is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.training.sampling import DynamicSampler, StepBatch
from tooldojo.verifiers.records import Goal, Score, StopReason

TASK = Task("test/World-v0", "prompt", {}, Goal(answer="yes"), (), 1, Split.TRAIN)
GroupOf = Callable[[Sequence[float]], Group]


@pytest.fixture
def group_of(make_trajectory: Callable[..., Trajectory]) -> GroupOf:
    def make(rewards: Sequence[float]) -> Group:
        rng = np.random.default_rng(0)
        members = [
            make_trajectory([5, 6], [(3, True)], reward, member, rng)
            for member, reward in enumerate(rewards)
        ]
        return Group(0, TASK, tuple(members))

    return make


class Source:
    def __init__(self) -> None:
        self.ordinal, self.seen = 0, dict[int, int]()

    def next(self) -> IssuedTask:
        self.ordinal += 1
        return IssuedTask(self.ordinal - 1, TASK)

    def feedback(self, ordinal: int, scores: Sequence[Score]) -> None:
        self.seen[ordinal] = len(scores)

    def state_dict(self) -> dict:
        return {"ordinal": self.ordinal}

    def load_state_dict(self, state: dict) -> None:
        self.ordinal = state["ordinal"]


class Player:
    """Every `live_every`-th group has rewards that differ; groups come back in reverse order."""

    def __init__(self, group_of: GroupOf, live_every: int) -> None:
        self.group_of, self.live_every = group_of, live_every

    def play(self, issued: Sequence[IssuedTask], group_size: int) -> Iterator[Group]:
        for each in reversed(issued):
            live = each.ordinal % self.live_every == 0
            rewards = [float(live and member == 0) for member in range(group_size)]
            yield replace(self.group_of(rewards), ordinal=each.ordinal)


Batch = Callable[..., tuple[StepBatch, Source]]


@pytest.fixture
def batch(group_of: GroupOf) -> Batch:
    def play(
        section: ObjectiveSection, live_every: int, rate: float = 1.0
    ) -> tuple[StepBatch, Source]:
        source = Source()
        sampler = DynamicSampler(section, source, rate)
        return sampler.batch(Player(group_of, live_every), lambda group: None), source

    return play


def test_groups_come_back_in_order_and_the_source_hears_of_each(batch: Batch) -> None:
    played, source = batch(ObjectiveSection(groups=6, group_size=2), live_every=1)
    assert [group.ordinal for group in played.groups] == list(range(6))
    assert source.seen == dict.fromkeys(range(6), 2)


def test_a_known_live_rate_decides_how_many_are_played_at_once(batch: Batch) -> None:
    played, _ = batch(ObjectiveSection(groups=6, group_size=2), live_every=2, rate=0.5)
    assert len(played.groups) == 12
    assert len(played.live) == 6


def test_too_few_live_groups_are_topped_up_once_within_the_cap(batch: Batch) -> None:
    section = ObjectiveSection(groups=8, group_size=2, max_oversampling=3.0)
    played, _ = batch(section, live_every=8)
    assert len(played.groups) == 16
    assert len(played.live) == 2


def test_without_dynamic_sampling_just_the_batch_is_played(batch: Batch) -> None:
    section = ObjectiveSection(groups=8, group_size=2, dynamic_sampling=False)
    played, _ = batch(section, live_every=8, rate=0.1)
    assert len(played.groups) == 8


def test_failures_are_counted_by_class_and_leave_the_means(group_of: GroupOf) -> None:
    group = group_of([1.0, 0.0])
    lost = replace(
        group.trajectories[1], ending=ENDINGS[StopReason.ENGINE_LOST], score=None, reward=None
    )
    played = StepBatch((replace(group, trajectories=(group.trajectories[0], lost)),))
    figures = played.statistics()
    assert figures["success"] == 1.0
    assert figures["failed"] == figures["failed/infra"] == 1
    assert figures["reward"] == pytest.approx(1.0)
