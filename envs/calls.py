"""The calls of one turn: which are admitted, which may overlap, and how a turn is driven.

Owns checks before a tool runs, time-outs included, and the order of running. Invariant: whatever
overlaps, results and state are those of one call after another, for a read changes nothing and a
write waits for all before it and holds up all behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tooldojo.envs.tools import ToolError, ToolSpec, json_text
from tooldojo.envs.tracked import compact
from tooldojo.verifiers.records import CallOutcome, Json

MALFORMED = "malformed"  # reserved call name: text that was meant as a call but could not be parsed
RAN = frozenset({CallOutcome.OK, CallOutcome.TOOL_ERROR})
T = TypeVar("T")
_json = json.JSONEncoder(ensure_ascii=False).encode


class WorldCrash(RuntimeError):
    """A tool or the verifier failed with something that is no `ToolError`: a bug in the world."""


class VerifierCrash(WorldCrash):
    """The verifier failed or gave no verdict; the world itself ran well up to here."""


class DraftError(WorldCrash):
    """A world's own code failed while a task was made; the message says where."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call after its checks: `spec` and `checked` say what runs, or `refusal` and `reason` why
    nothing does.
    """

    name: str
    arguments: dict[str, Json]
    spec: ToolSpec | None = None
    checked: dict[str, Any] = field(default_factory=dict)
    refusal: CallOutcome = CallOutcome.OK
    reason: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may change the state."""
        return self.spec is not None and self.spec.mutates

    @property
    def waits(self) -> bool:
        """Whether others can run while it waits."""
        return self.spec is not None and self.spec.is_async


def admit(
    wanted: Mapping[str, Any],
    specs: Mapping[str, ToolSpec],
    ran: Counter[str],
    faults: Mapping[str, Sequence[int]],
) -> Admitted:
    """Check a call; `ran` counts by tool the calls that got past this, and goes up by this one."""
    name, arguments = wanted["name"], wanted["arguments"]
    if json_text(arguments) is None:  # kept out of the record as well, which must be JSON
        reason = "arguments: should be JSON, with finite numbers"
        return Admitted(name, {}, refusal=CallOutcome.INVALID_ARGUMENTS, reason=reason)
    if name == MALFORMED:
        reason = str(arguments.get("error") or "this is no call")
        return Admitted(name, arguments, refusal=CallOutcome.MALFORMED, reason=reason)
    if name not in specs:
        reason = f"no tool {name!r}; there are {', '.join(specs)}"
        return Admitted(name, arguments, refusal=CallOutcome.UNKNOWN_TOOL, reason=reason)
    try:
        checked = specs[name].validate(arguments)
    except ToolError as error:
        kind = CallOutcome.INVALID_ARGUMENTS
        return Admitted(name, arguments, refusal=kind, reason=str(error))
    ran[name] += 1
    if ran[name] - 1 in faults.get(name, ()):
        reason = f"{name} timed out, try again"
        return Admitted(name, arguments, refusal=CallOutcome.TOOL_ERROR, reason=reason)
    return Admitted(name, arguments, specs[name], checked)


def phases(calls: Sequence[Admitted]) -> Iterator[list[Admitted]]:
    """The calls in order, in runs that may overlap: a write is alone, all between two writes go
    together.
    """
    run: list[Admitted] = []
    for call in calls:
        if call.writes and run:
            yield run
            run = []
        run.append(call)
        if call.writes:
            yield run
            run = []
    if run:
        yield run


async def at_once(work: Sequence[Awaitable[T]]) -> list[T]:
    """The results in order. All end before the first failure, in the same order, is raised: none is
    left running behind a crash.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def shown(result: object) -> str:
    """A tool's result as the model reads it; a tool that returns nothing says ok."""
    if result is None:
        return "ok"
    return result if isinstance(result, str) else _json(compact(result))


def drive(turn: Coroutine[Any, Any, T], needs_loop: bool) -> T:
    """Run a turn to its end without an event loop, unless one of the world's tools needs one."""
    if needs_loop:
        return asyncio.run(turn)
    try:
        turn.send(None)
    except StopIteration as end:
        return end.value
    turn.close()
    raise WorldCrash(
        "a tool waited without being `async def`; declare it async so that its world gets a loop"
    )
