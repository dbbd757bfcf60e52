"""What a tool declares about its running: `limited` keeps a call within its deadline and number.

Owns the counts of calls under way in this process. Invariant: a tool that waits, whether for its
turn or for its own work, holds up no other tool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar
from weakref import WeakKeyDictionary

from tooldojo.envs.tools import ToolSpec

T = TypeVar("T")
Tool = tuple[str, str]  # world, name
_THREADS: dict[Tool, threading.Semaphore] = {}
_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Tool, asyncio.Semaphore]] = (
    WeakKeyDictionary()
)
_LOCK = threading.Lock()


class ToolDeadline(TimeoutError):
    """A tool missed its deadline: no verdict, and nothing that the model sees."""


async def limited(
    world: str, spec: ToolSpec, work: Awaitable[T], default: float | None = None
) -> T:
    """The result of a tool's `work`, within its limits; waiting for its turn does not count.

    default: seconds where the tool declares no deadline; None allows any time. A synchronous tool
    cannot be stopped: whoever runs its world on a thread minds the deadline, and its `places`.

    Raises:
        ToolDeadline: when an asynchronous tool takes too long.
    """
    if not spec.is_async:
        if spec.at_once is None:
            return await work
        with _thread_slot((world, spec.name), spec.at_once):
            return await work
    if spec.at_once is None:
        return await _timed(world, spec, work, spec.deadline or default)
    async with _loop_slot((world, spec.name), spec.at_once):
        return await _timed(world, spec, work, spec.deadline or default)


@asynccontextmanager
async def places(world: str, specs: Iterable[ToolSpec]) -> AsyncIterator[None]:
    """Inside, a step that is to run on a thread has a place for each synchronous tool that it will
    call, so that none waits on the thread, where a deadline runs.

    They are taken in order of name: no two steps wait for each other.
    """
    wanted = {spec.name: spec.at_once for spec in specs if not spec.is_async}
    async with AsyncExitStack() as taken:
        for name, most in sorted(wanted.items()):
            if most is not None:
                await taken.enter_async_context(_loop_slot((world, name), most))
        yield


async def _timed(world: str, spec: ToolSpec, work: Awaitable[T], deadline: float | None) -> T:
    if deadline is None:
        return await work
    timer = asyncio.timeout(deadline)
    try:
        async with timer:
            return await work
    except TimeoutError as error:
        if not timer.expired():
            raise  # the tool's own
        raise ToolDeadline(
            f"{spec.name} of {world} did not answer within {deadline:g} s"
        ) from error


def _thread_slot(tool: Tool, most: int) -> threading.Semaphore:
    with _LOCK:
        return _THREADS.setdefault(tool, threading.Semaphore(most))


def _loop_slot(tool: Tool, most: int) -> asyncio.Semaphore:
    slots = _LOOPS.setdefault(asyncio.get_running_loop(), {})
    if tool not in slots:
        slots[tool] = asyncio.Semaphore(most)
    return slots[tool]
