"""Routing on a scripted engine room: least loaded first, nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Group
from tooldojo.rollouts.scheduler import HOPELESS, Job, Scheduler, given_up
from tooldojo.rollouts.stream import GroupStream
from tooldojo.verifiers.records import Goal, StopReason
from tooldojo.verifiers.reward import RewardShape

TASK = Task("test/World-v0", "prompt", {}, Goal(answer="yes"), (), 1, Split.TRAIN)
SETTINGS = PlaySettings(Limits(), RewardShape(), 3)


class Room:
    """Ends jobs in a random order; now and then an engine is lost with all that it has."""

    def __init__(self, seats: int, luck: Random, losses: int = 0) -> None:
        self.scheduler: Scheduler[int] = Scheduler(seats)
        self.seats, self.luck, self.losses = seats, luck, losses
        self.tickets = self.most = 0
        self.deadly: int | None = None  # the ordinal of a task that kills whoever plays it
        self.deadly_tickets: set[int] = set()

    def start(self, job: Job) -> None:
        if job.losses >= HOPELESS:
            nobody = EngineId("e", "vllm", 1, "n")
            job.done.extend(given_up(each, job, nobody, BASE, "died") for each in job.issued)
            self.send(self.scheduler.next_suspect())
        else:
            self.send(self.scheduler.admit(job))

    def send(self, job: Job | None) -> None:
        if job is None:
            return
        self.tickets += 1
        seat = self.scheduler.least_loaded()
        assert self.scheduler.load(seat) == min(map(self.scheduler.load, range(self.seats)))
        self.scheduler.started(self.tickets, job, seat)
        if self.deadly in [each.ordinal for each in job.issued]:
            self.deadly_tickets.add(self.tickets)
        self.most = max(self.most, sum(map(self.scheduler.load, range(self.seats))))

    def pump(self, wait: bool) -> None:
        if self.losses and self.luck.random() < 0.3:
            self.losses -= 1
            self.lose(self.luck.randrange(self.seats))
        if not self.scheduler.tickets:
            return
        ticket = self.luck.choice(self.scheduler.tickets)
        if self.deadly is not None and ticket in self.deadly_tickets:
            return self.lose(self.scheduler.seat_of(ticket))
        job = self.scheduler.ended(ticket)
        job.done.extend(Group(each.ordinal, each.task, ()) for each in job.issued)
        self.send(self.scheduler.next_suspect())

    def lose(self, seat: int) -> None:
        for job in self.scheduler.lost(seat):
            self.start(job)

    def abandon(self, done: deque[Group]) -> None:
        self.scheduler.abandon(done)


def issue(count: int, first: int = 0) -> list[IssuedTask]:
    return [IssuedTask(first + i, TASK) for i in range(count)]


@given(
    seats=st.integers(1, 9),
    count=st.integers(0, 40),
    size=st.integers(1, 5),
    limit=st.none() | st.integers(1, 30),
    at_once=st.integers(1, 4),
    losses=st.integers(0, 6),
    luck=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_every_task_comes_back_once_whatever_is_lost(
    seats: int, count: int, size: int, limit: int | None, at_once: int, losses: int, luck: Random
) -> None:
    room = Room(seats, luck, losses)
    stream = GroupStream(room, size, SETTINGS, limit, at_once)
    ordinals = [group.ordinal for group in stream.play(issue(count))]
    assert sorted(ordinals) == list(range(count))
    assert stream.outstanding == 0
    assert all(room.scheduler.load(seat) == 0 for seat in range(seats))
    if limit is not None:
        assert room.most <= max(limit, at_once * size)


@given(
    seats=st.integers(1, 4),
    count=st.integers(1, 20),
    limit=st.none() | st.integers(1, 30),
    luck=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_a_deadly_task_is_given_up_and_takes_no_other_with_it(
    seats: int, count: int, limit: int | None, luck: Random
) -> None:
    room = Room(seats, luck)
    room.deadly = luck.randrange(count)
    groups = GroupStream(room, 2, SETTINGS, limit).play(issue(count))
    given_up_on = {group.ordinal: bool(group.trajectories) for group in groups}
    assert given_up_on == {ordinal: ordinal == room.deadly for ordinal in range(count)}
    assert len(room.deadly_tickets) == HOPELESS


def test_lockstep_plays_one_block_after_the_other() -> None:
    room = Room(1, Random(0))
    blocks: list[list[int]] = []
    send = room.send

    def noted(job: Job | None) -> None:
        if job is not None:
            assert not room.scheduler.tickets
            blocks.append([each.ordinal for each in job.issued])
        send(job)

    room.send = noted  # type: ignore[method-assign]
    stream = GroupStream(room, 2, SETTINGS, limit=6, at_once=3)
    stream.put(issue(7))
    assert [stream.get().ordinal for _ in range(7)] == list(range(7))
    assert blocks == [[0, 1, 2], [3, 4, 5], [6]]
    assert [group.ordinal for group in stream.play(issue(4))] == list(range(4))
    assert blocks[3:] == [[0, 1, 2], [3]]


def test_jobs_spread_over_the_engines() -> None:
    room = Room(4, Random(0))
    GroupStream(room, 2, SETTINGS, limit=None).put(issue(12))
    assert Counter(map(room.scheduler.seat_of, room.scheduler.tickets)) == dict.fromkeys(
        range(4), 3
    )
    lost = room.scheduler.lost(2)
    assert [job.losses for job in lost] == [1, 1, 1] and room.scheduler.load(2) == 0
    room.start(lost[0])
    assert room.scheduler.load(2) == 2


def test_streams_do_not_mix_and_closing_one_frees_its_engines() -> None:
    room = Room(2, Random(0))
    one, other = (GroupStream(room, 2, SETTINGS, limit=8) for _ in range(2))
    one.put(issue(6))
    other.put(issue(3, first=50))
    one.close()
    assert {other.get().ordinal for _ in range(3)} == {50, 51, 52}
    assert room.scheduler.tickets == []
    with pytest.raises(LookupError, match="nothing is outstanding"):
        other.get()


def test_a_group_given_up_has_failed_members_only() -> None:
    job = Job(tuple(issue(1)), 3, SETTINGS, losses=3)
    group = given_up(job.issued[0], job, EngineId("e", "vllm", 1, "n"), BASE, "3 workers died")
    assert [t.member for t in group.trajectories] == [0, 1, 2]
    assert not group.scored and group.dead
    assert {t.ending for t in group.trajectories} == {ENDINGS[StopReason.ENGINE_LOST]}
    assert {t.sampled_tokens for t in group.trajectories} == {0}
    assert group.trajectories[0].failure is not None
    assert group.trajectories[0].failure.message == "3 workers died"
