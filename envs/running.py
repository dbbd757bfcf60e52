"""Running the calls of a turn on a world: in order, overlapping where nothing is written.

Invariant: a refused or failing call leaves the state as it was, and so does a write that is
cancelled.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from tooldojo.envs.blame import described
from tooldojo.envs.calls import RAN, Admitted, WorldCrash, admit, at_once, phases, shown
from tooldojo.envs.limits import ToolDeadline, limited
from tooldojo.envs.tools import ToolError, ToolLost
from tooldojo.verifiers.records import CallOutcome, ToolCall

if TYPE_CHECKING:
    from tooldojo.envs.world import World

T = TypeVar("T")


async def run_calls(world: World, wanted: Sequence[dict]) -> list[ToolCall]:
    """Run the calls of one turn and add them to the world's record; returns what ran, in order.

    Raises:
        WorldCrash: when a tool fails with anything but a `ToolError`.
        ToolLost, ToolDeadline: when it could not run, for no fault of the policy.
    """
    specs, faults, first = world.tool_specs(), world.task.faults, len(world.calls)
    ran = Counter(call.name for call in world.calls if call.outcome in RAN) if faults else Counter()
    for phase in phases([admit(call, specs, ran, faults) for call in wanted]):
        if len(phase) > 1 and any(call.waits for call in phase):
            world.calls += await at_once([_call(world, call) for call in phase])
        else:
            for call in phase:
                world.calls.append(await _call(world, call))
    return world.calls[first:]


def of_plain_data(env_id: str, work: Callable[[], T]) -> T:
    """`work`, which refuses a state that is no plain data.

    Raises:
        WorldCrash: where a tool left one.
    """
    try:
        return work()
    except ValueError as error:
        raise WorldCrash(f"a tool of {env_id} left a bad state: {error}") from error


async def _call(world: World, call: Admitted) -> ToolCall:
    if call.spec is None:
        return _record(world, call, call.refusal, call.reason)
    if call.writes:
        of_plain_data(world.env_id, world.state_tree.begin)
    try:
        work = world.perform(call.spec, call.checked)
        text = shown(await limited(world.env_id, call.spec, work, world.call_deadline))
    except BaseException as error:  # a cancelled write leaves nothing behind, either
        if call.writes:
            world.state_tree.rollback()
            world.on_load()
        if isinstance(error, ToolError):
            return _record(world, call, CallOutcome.TOOL_ERROR, str(error))
        lost = isinstance(error, ToolLost | ToolDeadline)
        if lost or not isinstance(error, Exception):
            raise
        raise WorldCrash(f"tool {call.name!r} failed: {described(error)}") from error
    mutated = call.writes and of_plain_data(world.env_id, world.state_tree.commit)
    return _record(world, call, CallOutcome.OK, text, mutated)


def _record(
    world: World, call: Admitted, outcome: CallOutcome, text: str, mutated: bool = False
) -> ToolCall:
    if outcome is not CallOutcome.OK:
        text = json.dumps({"error": text}, ensure_ascii=False)
    return ToolCall(call.name, call.arguments, world.turn, outcome, mutated, text)
