"""What a tool declares about its running: `limited` keeps a call within its deadline and number.

Owns the counts of calls under way in this process. Invariant: a tool that waits, whether for its
turn or for its own work, holds up no other tool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
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
    """A tool missed the deadline that it declares: no verdict, and nothing that the model sees."""


async def limited(world: str, spec: ToolSpec, work: Awaitable[T]) -> T:
    """The result of a tool's `work`, within its limits; waiting for its turn does not count.

    A synchronous tool cannot be stopped: whoever runs its world on a thread minds the deadline.

    Raises:
        ToolDeadline: when an asynchronous tool takes too long.
    """
    if not spec.is_async:
        if spec.at_once is None:
            return await work
        with _thread_slot((world, spec.name), spec.at_once):
            return await work
    if spec.at_once is None:
        return await _timed(world, spec, work)
    async with _loop_slot((world, spec.name), spec.at_once):
        return await _timed(world, spec, work)


async def _timed(world: str, spec: ToolSpec, work: Awaitable[T]) -> T:
    if spec.deadline is None:
        return await work
    timer = asyncio.timeout(spec.deadline)
    try:
        async with timer:
            return await work
    except TimeoutError as error:
        if not timer.expired():
            raise  # the tool's own
        raise ToolDeadline(
            f"{spec.name} of {world} did not answer within {spec.deadline:g} s"
        ) from error


def _thread_slot(tool: Tool, most: int) -> threading.Semaphore:
    with _LOCK:
        return _THREADS.setdefault(tool, threading.Semaphore(most))


def _loop_slot(tool: Tool, most: int) -> asyncio.Semaphore:
    slots = _LOOPS.setdefault(asyncio.get_running_loop(), {})
    if tool not in slots:
        slots[tool] = asyncio.Semaphore(most)
    return slots[tool]
