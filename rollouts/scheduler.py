"""Which engine plays which groups: `Scheduler`. Pure: no engine, no clock, no waiting.

Owns routing and what becomes of an engine's groups when it is lost. A group stays on one engine, so
that its prompt is prefilled once and each later turn finds its own key-value cache. Invariant: a
ticket runs on exactly one seat until it is finished, abandoned, or lost with its seat.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from tooldojo.envs.digest import state_digest
from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.buffer import TokenBuffer
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.player import PlaySettings
from tooldojo.rollouts.records import EngineId, Failure, Group, PolicyRef, Trajectory
from tooldojo.verifiers.records import StopReason

SUSPECT = 2  # losses after which a job is played apart from others like it
HOPELESS = SUSPECT + 3  # losses after which it is given up: three in a row are hardly chance
Ticket = TypeVar("Ticket", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Groups to play together on one engine, and where they go when all are done.

    losses: engines that were lost while they played it. One that has `SUSPECT` of them may be what
    kills engines: it plays while no other such job does, and further losses are blamed on it alone,
    up to `HOPELESS`.
    """

    issued: tuple[IssuedTask, ...]
    group_size: int
    settings: PlaySettings
    done: deque[Group] = field(default_factory=deque)
    losses: int = 0

    @property
    def load(self) -> int:
        """Trajectories."""
        return len(self.issued) * self.group_size


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    job: Job
    seat: int


def given_up(issued: IssuedTask, job: Job, engine: EngineId, policy: PolicyRef, why: str) -> Group:
    """A group that no engine lived to finish: every member failed, without a token.

    engine: the last that tried.
    """
    task, nothing = issued.task, TokenBuffer().freeze()

    def member(place: int) -> Trajectory:
        return Trajectory(
            task_id=task.id,
            env=task.env,
            ordinal=issued.ordinal,
            member=place,
            attempt=job.losses,
            seed=job.settings.run_seed,
            segments=(nothing,),
            ending=ENDINGS[StopReason.ENGINE_LOST],
            score=None,
            reward=None,
            evidence=None,
            hashes=(state_digest(task.world),),
            engine=engine,
            policy=policy,
            prompt_tokens=0,
            seconds=0.0,
            failure=Failure("EngineLost", why, 0),
        )

    return Group(issued.ordinal, task, tuple(map(member, range(job.group_size))))


class Scheduler(Generic[Ticket]):
    """Routes jobs to the least loaded of `seats` engines, numbered from 0."""

    def __init__(self, seats: int) -> None:
        self._loads = [0] * seats
        self._heap = [(0, seat) for seat in range(seats)]  # every current load, and outdated ones
        self._running: dict[Ticket, _Run] = {}
        self._suspects: deque[Job] = deque()  # wait until no other suspect plays
        self._on_seat: list[dict[Ticket, None]] = [{} for _ in range(seats)]

    @property
    def tickets(self) -> list[Ticket]:
        """What runs, in the order in which it started."""
        return list(self._running)

    def __contains__(self, ticket: object) -> bool:
        return ticket in self._running

    def load(self, seat: int) -> int:
        """Trajectories that an engine has."""
        return self._loads[seat]

    def least_loaded(self) -> int:
        """The seat for the next job; of several equally loaded ones the first."""
        while True:
            load, seat = self._heap[0]
            if self._loads[seat] == load:
                return seat
            heapq.heappop(self._heap)

    def admit(self, job: Job) -> Job | None:
        """The job that may start now: this one, or, where it is a suspect, the next suspect in line
        unless one plays already.
        """
        if job.losses < SUSPECT:
            return job
        self._suspects.append(job)
        return self.next_suspect()

    def next_suspect(self) -> Job | None:
        """A suspect that may start now."""
        if not self._suspects or any(r.job.losses >= SUSPECT for r in self._running.values()):
            return None
        return self._suspects.popleft()

    def started(self, ticket: Ticket, job: Job, seat: int) -> None:
        """A job runs on a seat."""
        self._running[ticket] = _Run(job, seat)
        self._on_seat[seat][ticket] = None
        self._add(seat, job.load)

    def seat_of(self, ticket: Ticket) -> int:
        """Where it runs."""
        return self._running[ticket].seat

    def ended(self, ticket: Ticket) -> Job:
        """A job that runs no more, whatever the reason."""
        run = self._running.pop(ticket)
        del self._on_seat[run.seat][ticket]
        self._add(run.seat, -run.job.load)
        return run.job

    def lost(self, seat: int) -> list[Job]:
        """An engine is gone: the jobs that it had, to be played again from their beginning."""
        jobs = [self.ended(ticket) for ticket in list(self._on_seat[seat])]
        blamed = [job for job in jobs if job.losses >= SUSPECT] or jobs
        return [replace(job, losses=job.losses + 1) if job in blamed else job for job in jobs]

    def abandon(self, done: deque[Group]) -> list[Ticket]:
        """Forget the jobs whose groups go to `done`; the tickets of those that run."""
        self._suspects = deque(job for job in self._suspects if job.done is not done)
        tickets = [ticket for ticket, run in self._running.items() if run.job.done is done]
        for ticket in tickets:
            self.ended(ticket)
        return tickets

    def _add(self, seat: int, trajectories: int) -> None:
        self._loads[seat] += trajectories
        heapq.heappush(self._heap, (self._loads[seat], seat))
        if len(self._heap) > 8 * len(self._loads) + 64:
            self._heap = [(load, each) for each, load in enumerate(self._loads)]
            heapq.heapify(self._heap)
