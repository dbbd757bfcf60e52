"""Groups on their way through a fleet: `GroupStream`, from tasks put in to groups as they finish.

Owns what waits for room and what is finished but not yet fetched. Refuses to reorder what waits.
Invariant: each task that was put in comes back as one group, once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.player import PlaySettings
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.scheduler import Job

WAITING = 2  # trajectories with engines for each that plays: as members of a group end one by one,
# those of the next group take their places


class Engines(Protocol):
    """What plays the jobs of a stream."""

    def start(self, job: Job) -> None:
        """Give a job to an engine."""
        ...

    def pump(self, wait: bool) -> None:
        """Put finished groups where their jobs say; `wait`: until there is at least one."""
        ...

    def abandon(self, done: deque[Group]) -> None:
        """Stop the jobs whose groups go to `done`."""
        ...


class GroupStream:
    """Tasks in by `put`, groups out by `get` in the order in which they finish.

    limit: trajectories that may be with engines at once; None gives all to engines as soon as they
    are put in, where they queue: a caller that is away for long needs that to keep engines busy.
    at_once: groups of one job.
    """

    def __init__(
        self,
        engines: Engines,
        group_size: int,
        settings: PlaySettings,
        limit: int | None,
        at_once: int = 1,
    ) -> None:
        self.group_size, self._settings = group_size, settings
        self._engines, self._limit, self._at_once = engines, limit, at_once
        self._waiting: deque[Job] = deque()
        self._done: deque[Group] = deque()
        self._put = self._fetched = self._started = 0

    @property
    def outstanding(self) -> int:
        """Groups put in and not yet fetched."""
        return self._put - self._fetched

    @property
    def _with_engines(self) -> int:
        """Trajectories that engines have."""
        return (self._started - self._fetched - len(self._done)) * self.group_size

    def has_room(self) -> bool:
        """Whether a further job would start at once."""
        return not self._waiting and self._fits(self._at_once)

    def put(self, issued: Iterable[IssuedTask]) -> None:
        """Add tasks; they start as there is room."""
        tasks = iter(issued)
        while drawn := tuple(islice(tasks, self._at_once)):
            self._waiting.append(Job(drawn, self.group_size, self._settings, self._done))
            self._put += len(drawn)
        self._feed()

    def get(self) -> Group:
        """The next group to finish; waits for it.

        Raises:
            LookupError: when nothing is outstanding.
        """
        if not self.outstanding:
            raise LookupError("nothing is outstanding in this stream; put tasks in first")
        while not self._done:
            self._feed()
            self._engines.pump(wait=True)
        self._fetched += 1
        group = self._done.popleft()
        self._feed()
        return group

    def finished(self) -> list[Group]:
        """All groups that have finished, without waiting."""
        self._engines.pump(wait=False)
        return [self.get() for _ in range(len(self._done))]

    def play(self, issued: Iterable[IssuedTask]) -> Iterator[Group]:
        """Groups as they finish; tasks are drawn as there is room, and none is left at the end."""
        tasks, exhausted = iter(issued), False
        while True:
            while not exhausted and self.has_room():
                drawn = tuple(islice(tasks, self._at_once))
                exhausted = not drawn
                self.put(drawn)
            if not self.outstanding:
                return
            yield self.get()

    def close(self) -> None:
        """Abandon what is still under way."""
        self._waiting.clear()
        self._engines.abandon(self._done)

    def _fits(self, groups: int) -> bool:
        load = self._with_engines
        return self._limit is None or load == 0 or load + groups * self.group_size <= self._limit

    def _feed(self) -> None:
        while self._waiting and self._fits(self._at_once):
            job = self._waiting.popleft()
            self._started += len(job.issued)
            self._engines.start(job)


class Player(Protocol):
    """What tasks are played by: a fleet of engines, or a view of it."""

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Iterable[Group]:
        """Groups as they finish, in any order."""
        ...


class Streams(Protocol):
    """A fleet, as far as playing goes."""

    def stream(
        self, group_size: int, settings: PlaySettings | None = None, ahead: bool = False
    ) -> GroupStream:
        """A new stream; settings: other ones than the fleet's own. ahead: without a limit."""
        ...

    settings: PlaySettings


@dataclass(frozen=True, slots=True, eq=False)
class FleetView:
    """A fleet under other settings: another temperature, another run seed."""

    fleet: Streams
    settings: PlaySettings

    @classmethod
    def of(
        cls, fleet: Streams, temperature: float | None = None, run_seed: int | None = None
    ) -> FleetView:
        """What is None stays as it is."""
        settings = fleet.settings
        if temperature is not None:
            settings = replace(settings, limits=replace(settings.limits, temperature=temperature))
        if run_seed is not None:
            settings = replace(settings, run_seed=run_seed)
        return cls(fleet, settings)

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Generator[Group, None, None]:
        """Groups as they finish, in any order; closing the iterator abandons what still runs."""
        return play_through(self.fleet.stream(group_size, self.settings), issued)


def play_through(stream: GroupStream, issued: Iterable[IssuedTask]) -> Generator[Group, None, None]:
    """All groups of `issued`; the stream is closed behind them, or when the iterator is."""
    try:
        yield from stream.play(issued)
    finally:
        stream.close()
