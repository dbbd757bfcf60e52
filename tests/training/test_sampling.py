"""Dynamic sampling: how many groups are played, what trains, what is counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.records import Failure, Group, Trajectory
from tooldojo.training.learning.staleness import StalenessError, check_staleness
from tooldojo.training.sampling import DynamicSampler, HopelessRun, Pipeline, StepBatch
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


class Stream:
    """Every `live_every`-th group has rewards that differ; the last put in comes back first, played
    by the newest version, unless `order` puts others before.
    """

    def __init__(self, group_of: GroupOf, live_every: int, size: int = 2) -> None:
        self.group_of, self.live_every, self.size = group_of, live_every, size
        self.waiting: dict[int, int] = {}
        self.version = 1
        self.order: Callable[[list[int]], int] = max
        self.most = self.ready = 0

    def put(self, issued: Sequence[IssuedTask]) -> None:
        for each in issued:
            assert each.ordinal not in self.waiting
            self.waiting[each.ordinal] = self.version
        self.most = max(self.most, len(self.waiting))

    def get(self) -> Group:
        ordinal = self.order(list(self.waiting))
        version = self.waiting.pop(ordinal)
        live = ordinal % self.live_every == 0
        rewards = [float(live and member == 0) for member in range(self.size)]
        return replace(under(self.group_of(rewards), version), ordinal=ordinal)

    def finished(self) -> list[Group]:
        return [self.get() for _ in range(self.ready)]


def under(group: Group, version: int) -> Group:
    """The group as if it had been sampled by a version."""

    def moved(trajectory: Trajectory) -> Trajectory:
        (segment,) = trajectory.segments
        versions_T = np.where(segment.sampled_T, version, -1).astype(np.int32)
        ref = replace(trajectory.policy, version=version)
        segments = (replace(segment, versions_T=versions_T),)
        return replace(trajectory, policy=ref, segments=segments)

    return replace(group, trajectories=tuple(map(moved, group.trajectories)))


def sampler_of(
    section: ObjectiveSection, source: Source, stream: Stream, rate: float = 1.0, **about: float
) -> DynamicSampler:
    return DynamicSampler(section, Pipeline(source, stream), rate, **about)  # type: ignore[arg-type]


Batch = Callable[..., tuple[StepBatch, Source]]


@pytest.fixture
def batch(group_of: GroupOf) -> Batch:
    def play(
        section: ObjectiveSection, live_every: int, rate: float = 1.0
    ) -> tuple[StepBatch, Source]:
        source = Source()
        sampler = sampler_of(section, source, Stream(group_of, live_every), rate)
        return sampler.batch(1, 9, lambda group: None), source

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
    played = StepBatch((replace(group, trajectories=(group.trajectories[0], lost)),), 0)
    figures = played.statistics()
    assert figures["success"] == 1.0
    assert figures["failed"] == figures["failed/infra"] == 1
    assert figures["reward"] == pytest.approx(1.0)


PLAIN = ObjectiveSection(groups=4, group_size=2, dynamic_sampling=False)


def train(
    sampler: DynamicSampler, stream: Stream, steps: range, last: int
) -> list[tuple[int, list[int]]]:
    """(version, ordinals) of each step; every step publishes the next version."""
    found = []
    for version in steps:
        stream.version = version
        played = sampler.batch(version, last - version + 1, lambda group: None)
        found.append((version, [group.ordinal for group in played.groups]))
    return found


def test_on_policy_nothing_is_played_ahead(group_of: GroupOf) -> None:
    stream = Stream(group_of, 1)
    sampler = sampler_of(PLAIN, Source(), stream)
    assert train(sampler, stream, range(1, 4), 3) == [
        (1, [0, 1, 2, 3]), (2, [4, 5, 6, 7]), (3, [8, 9, 10, 11])
    ]  # fmt: skip
    assert stream.most == 4


@given(
    eta=st.integers(0, 4),
    over_issue=st.sampled_from([0.0, 0.3, 1.0]),
    luck=st.randoms(use_true_random=False),
    live_every=st.integers(1, 4),
    steps=st.integers(1, 7),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_finishes_first_the_bound_holds_and_nothing_is_left(
    eta: int, over_issue: float, luck: Random, live_every: int, steps: int, group_of: GroupOf
) -> None:
    stream, source = Stream(group_of, live_every), Source()
    stream.order = luck.choice
    section = PLAIN.model_copy(update={"dynamic_sampling": True})
    sampler = sampler_of(section, source, stream, eta=eta, over_issue=over_issue)
    trained: list[int] = []
    for version in range(1, steps + 1):
        stream.version = version
        played = sampler.batch(version, steps - version + 1, lambda group: None)
        behind = [version - group.trajectories[0].policy.version for group in played.groups]
        assert all(0 <= each <= eta for each in behind)
        assert played.statistics()["staleness/max"] <= eta
        trained += [group.ordinal for group in played.groups]
    assert sorted(trained) == list(range(source.ordinal)) == sorted(source.seen)
    assert not stream.waiting and not sampler.pipeline.ahead


def test_a_straggler_is_waited_for_at_the_bound_and_not_before(group_of: GroupOf) -> None:
    stream = Stream(group_of, 1)
    stream.order = lambda waiting: next((o for o in waiting if o != 0), 0)  # the first comes last
    sampler = sampler_of(PLAIN, Source(), stream, eta=2)
    steps = train(sampler, stream, range(1, 4), 20)
    assert [0 in ordinals for _, ordinals in steps] == [False, False, True]
    assert stream.most == 12  # (eta + 1) * batch


def test_over_issue_plays_further_ahead_within_the_same_bound(group_of: GroupOf) -> None:
    stream = Stream(group_of, 1)
    sampler = sampler_of(PLAIN, Source(), stream, eta=1, over_issue=0.5)
    train(sampler, stream, range(1, 6), 20)
    assert stream.most == 10


def test_an_interrupted_run_settles_every_group_once(group_of: GroupOf) -> None:
    stream, source = Stream(group_of, 1), Source()
    sampler = sampler_of(PLAIN, source, stream, eta=2)
    before = train(sampler, stream, range(1, 3), 6)
    stream.ready = 2
    sampler.pipeline.settle(lambda group: None)
    state = json.loads(json.dumps(sampler.state_dict()))
    assert [ordinal for ordinal, _ in state["playing"]] == sorted(stream.waiting)
    assert len(sampler.pipeline.played) >= 2

    again, later = Stream(group_of, 1), Source()
    later.load_state_dict(source.state_dict())
    resumed = sampler_of(PLAIN, later, again, eta=2)
    again.version = 3
    resumed.load_state_dict(state, tuple(sampler.pipeline.played.values()), 3)
    assert sorted(again.waiting) == sorted(stream.waiting)
    after = train(resumed, again, range(3, 7), 6)
    settled = [ordinal for _, ordinals in before + after for ordinal in ordinals]
    assert sorted(settled) == list(range(later.ordinal))


def test_a_step_that_mostly_fails_ends_the_run(group_of: GroupOf) -> None:
    lost = ENDINGS[StopReason.ENV_CRASH]

    class Failing(Stream):
        def get(self) -> Group:
            group = super().get()
            failed = [
                replace(t, ending=lost, score=None, reward=None, failure=Failure("X", "boom", 0))
                for t in group.trajectories
            ]
            bad = group.ordinal % 3 == 0
            return replace(group, trajectories=tuple(failed)) if bad else group

    section = PLAIN.model_copy(update={"groups": 6})
    fine = sampler_of(section, Source(), Failing(group_of, 1), max_failed=0.34)
    assert len(fine.batch(1, 9, lambda group: None).groups) == 6
    hopeless = sampler_of(section, Source(), Failing(group_of, 1), max_failed=0.33)
    with pytest.raises(HopelessRun, match=r"4 of 12 .* 4 times env_crash in test/World-v0 \(boom"):
        hopeless.batch(1, 9, lambda group: None)


def test_a_token_beyond_the_bound_stops_the_run(group_of: GroupOf) -> None:
    groups = [under(group_of([1.0, 0.0]), 3)]
    check_staleness(groups, 3, 0)
    check_staleness(groups, 5, 2)
    for version, eta in ((5, 1), (2, 4)):
        with pytest.raises(StalenessError, match="sampled by version 3"):
            check_staleness(groups, version, eta)
