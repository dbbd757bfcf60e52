"""What no call may do to a world, however random or hostile: crash it, or change it by failing."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tooldojo.envs.gates.play import action, lift_limit, start
from tooldojo.envs.gates.random_calls import grounded_call, schema_valid_call
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.envs.world import MALFORMED, World
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import CallOutcome, Json

_CALLS = 12  # random calls a task, half of them with arguments from the state
_HOSTILE: tuple[Json, ...] = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", " ", "\x00",
    "../../etc/passwd", "' OR 1=1 --", "x" * 5000,
    "\u202e漢é", "\ud800", "__class__", "{0.__init__}", "NaN", [], {},
    [[[[[]]]]], {"$ref": "#"},
)  # fmt: skip


def random_calls_are_harmless(task: Task, _other: Task) -> Iterator[str]:
    """Schema-valid calls never crash; what each changes is what it says it changes."""
    rng = derived_random("fuzzing", task.id)
    world = start(task)
    specs = list(world.tool_specs().values())
    for number in range(_CALLS if specs else 0):
        call = grounded_call(world, specs, rng) if number % 2 else schema_valid_call(specs, rng)
        if not world.action_space.contains(action(GoldTurn("", (call,)))):
            yield f"the action space does not contain its own sample {call}"
        yield from step_complaints(world, call)


def hostile_calls_are_refused_or_harmless(task: Task, _other: Task) -> Iterator[str]:
    """Unknown tools, malformed calls and strange arguments become errors that change nothing."""
    rng = derived_random("hostile", task.id)
    world = start(task)
    for call, kind in _ill_formed(world):
        yield from step_complaints(world, call)
        if world.calls[-1].outcome is not kind:
            yield f"{call} counts as {world.calls[-1].outcome.value}, not as {kind.value}"
    specs = [spec for spec in world.tool_specs().values() if spec.parameters["properties"]]
    for value in _HOSTILE if specs else ():
        call = schema_valid_call([rng.choice(specs)], rng)
        name = rng.choice(sorted(call.arguments)) if call.arguments else "no_such_argument"
        yield from step_complaints(world, Call(call.name, {**call.arguments, name: value}))


def _ill_formed(world: World) -> Iterator[tuple[Call, CallOutcome]]:
    yield Call("no_such_tool", {}), CallOutcome.UNKNOWN_TOOL
    yield Call(MALFORMED, {"error": "no JSON"}), CallOutcome.MALFORMED
    for spec in world.tools_now().values():
        yield Call(spec.name, {"no_such_argument": 1}), CallOutcome.INVALID_ARGUMENTS


def step_complaints(world: World, call: Call) -> Iterator[str]:
    """Make one call and compare what the world says about it with what it did."""
    lift_limit(world)
    before = content_hash(world.state)
    observation, reward, terminated, truncated, _ = world.step(action(GoldTurn("", (call,))))
    done = world.calls[-1]
    about = f"{call.name}({json.dumps(call.arguments)[:120]})"
    if not world.observation_space.contains(observation):
        yield f"the observation of {about} is outside the observation space"
    if reward != 0.0 or terminated or truncated:
        yield f"{about} ended the task or was paid {reward!r}"
    if done.outcome is not CallOutcome.OK and not _is_error(done.result):
        yield f"{about} failed, but its result {done.result[:80]!r} is no error"
    if content_hash(world.state) == before:
        if done.mutated:
            yield f"{about} claims a change that it did not make"
    elif done.outcome is not CallOutcome.OK:
        yield f"{about} failed ({done.outcome.value}) and yet changed the state"
    elif not world.tool_specs()[call.name].mutates:
        yield f"{about} changed the state, but its tool is marked mutates=False"
    elif not done.mutated:
        yield f"{about} changed the state, but its record says that it did not"


def _is_error(result: str) -> bool:
    try:
        return "error" in json.loads(result)
    except ValueError:
        return False
