"""What a process lends the trajectories that it plays: `Host`, with its `ToolThreads`.

Owns the limit on trajectories under way, the threads of tools that block, and the list of what is
under way. Invariant: a tool that hangs costs its own trajectory alone: its thread is given up and
its place is free again, until so many hang that it can no longer be chance.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")


class HungTools(RuntimeError):
    """More tool calls hang than a process may give up; the run must stop."""


@dataclass(slots=True)
class UnderWay:
    """A trajectory that is being played. doing: what it waits for; since: on the monotonic clock,
    in seconds.
    """

    env: str
    ordinal: int
    member: int
    attempt: int
    turn: int = 0
    doing: str = "waits for its start"
    since: float = field(default_factory=time.monotonic)

    def now(self, doing: str, turn: int) -> None:
        """Note what it waits for from here on."""
        self.doing, self.turn, self.since = doing, turn, time.monotonic()

    def __str__(self) -> str:
        place = f"{self.ordinal}.{self.member}, attempt {self.attempt}, turn {self.turn}"
        return f"{self.env} {place}: {self.doing} for {time.monotonic() - self.since:.0f} s"


class ToolThreads:
    """Daemon threads for blocking work, at most `limit` that answer.

    hung: calls that missed their deadline so far; a call beyond `most_hung` of them ends the run.
    """

    def __init__(self, limit: int = 16, most_hung: int = 64) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._most_hung = most_hung
        self.hung = 0

    async def run(self, work: Callable[[], T], deadline: float, what: str = "a tool") -> T:
        """The result of `work()` on a thread of its own; waiting for a thread does not count.

        Raises:
            TimeoutError: after `deadline` seconds; the thread is left behind.
            HungTools: when that has happened too often; `what` is named.
        """
        async with self._slots:
            box = _Box(work, asyncio.get_running_loop())
            threading.Thread(target=box.fill, name="tool", daemon=True).start()
            try:
                await asyncio.wait({box.answer}, timeout=deadline)
            finally:
                given_up = box.answer.cancel()  # False where there is an answer
        if not given_up:
            return box.answer.result()
        self.hung += 1
        if self.hung > self._most_hung:
            raise HungTools(
                f"{self.hung} tool calls hang in one process, {what} last (no answer within "
                f"{deadline:g} s); make the tool give up by itself, or raise rollout.deadline"
            )
        raise TimeoutError(f"{what} did not answer within {deadline:g} s")


class _Box(Generic[T]):
    """One piece of work on its way through a thread."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self._work, self._loop = work, loop
        self.answer: asyncio.Future[T] = loop.create_future()

    def fill(self) -> None:
        """On the thread."""
        try:
            result = self._work()
        except BaseException as error:
            self._later(self.answer.set_exception, error)
        else:
            self._later(self.answer.set_result, result)

    def _later(self, settle: Callable[[V], None], value: V) -> None:
        def unless_given_up() -> None:
            if not self.answer.done():
                settle(value)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(unless_given_up)


class Host:
    """Threads, places and records for the trajectories of one event loop.

    threads: where worlds with `slow_tools` step; None: on the event loop. most: trajectories under
    way at once, first come, first served; None: no limit.
    """

    def __init__(self, threads: ToolThreads | None = None, most: int | None = None) -> None:
        self.threads = threads
        self._slots = nullcontext() if most is None else asyncio.Semaphore(most)
        self._under_way: dict[int, UnderWay] = {}

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Inside, a trajectory has one of the places."""
        async with self._slots:
            yield

    @contextmanager
    def watching(self, trajectory: UnderWay) -> Iterator[UnderWay]:
        """Inside, a trajectory is under way."""
        self._under_way[id(trajectory)] = trajectory
        try:
            yield trajectory
        finally:
            del self._under_way[id(trajectory)]

    def stuck(self, longer: float) -> tuple[str, ...]:
        """What has waited for longer than so many seconds, a line each, longest first."""
        since = time.monotonic() - longer
        waiting = sorted(self._under_way.values(), key=lambda each: each.since)
        return tuple(str(each) for each in waiting if each.since < since)


async def asked(function: Callable[[Any], Any], argument: Any, deadline: float) -> Any:
    """What `function` says, which may be `async def`; another one runs on a thread of its own,
    which is left behind after `deadline` seconds.
    """
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        return await function(argument)
    answer = await ToolThreads(limit=1).run(lambda: function(argument), deadline)
    return await answer if isinstance(answer, Awaitable) else answer
