"""Fuzzed model outputs and tool arguments over all native worlds: nothing may crash, nothing may
change by failing, and everything is labelled.

An output is the text of a demonstration's turn, spoilt, in one of the call formats; it is parsed
and played. Arguments are schema-valid ones, spoilt, given to the world directly. After each step
the state is compared by the gates' own digest, which shares no code with the world's.

python benchmarks/fuzz_outputs.py [--quick]
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from random import Random
from typing import Any

from common import arguments, finish

from tooldojo.envs.gates.oracle import state_digest
from tooldojo.envs.gates.play import lift_limit, start
from tooldojo.envs.gates.random_calls import grounded_call
from tooldojo.envs.registry import NATIVE
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.users import of_policy, replies
from tooldojo.envs.world import World
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import action_of
from tooldojo.verifiers.records import CallOutcome, Json

BUDGET = {"quick": 7000, "full": 100_000}
TASKS = 40  # a world
STEPS = 25  # played on one instance before a fresh one
FORMATS = ("hermes", "llama3")
JUNK = (
    "<tool_call>", "</tool_call>", "<think>", "</think>", "<|python_tag|>", "{", "}", "[", "]",
    '"', "\\", "\x00", "\ud800", "\u202e", "é漢😀", "null", "NaN", "1e999", "-0", ",,", ": ",
    '{"name": "x"}', '"arguments": 1', "\n\n", " " * 50, "[" * 40, '{"a":' * 40,
    "[" * 500 + "]" * 500,
)  # fmt: skip
WEIGHTS = {"tool_selection": 1.0, "argument_accuracy": 1.0, "call_form": 1.0}
DEEP: Json = json.loads('{"a":[' * 250 + "]}" * 250)  # what canonical() cannot take
VALUES: tuple[Json, ...] = (
    None, True, -1, 0, 10**30, -0.0, 1e308, float("nan"), float("inf"), "", "\x00", "\ud800",
    "x" * 3000, "' OR 1=1 --", "../..", [], {}, [[[[]]]], {"a": {"b": [None]}}, "1", 1.5,
)  # fmt: skip


def spoilt_text(text: str, rng: Random) -> str:
    """Up to three edits: cut, drop, double, swap, insert junk."""
    for _ in range(rng.randint(0, 3)):
        one, two = sorted(rng.randint(0, len(text)) for _ in range(2))
        text = rng.choice(
            (
                text[:one],
                text[:one] + text[two:],
                text[:two] + text[one:],
                text[two:] + text[:one],
                text[:one] + rng.choice(JUNK) + text[one:],
                text[:one] + rng.choice(JUNK) + text[two:],
                text[:one] + chr(rng.randrange(1, 0x3000)) + text[one + 1 :],
            )
        )
    return text


def spoilt_arguments(given: dict[str, Json], rng: Random) -> dict[str, Json]:
    """Arguments with values, names or nesting changed; sometimes none are."""
    given = dict(given)
    for _ in range(rng.randint(0, 2)):
        name = rng.choice([*given, "no_such_argument"])
        match rng.randrange(5):
            case 0:
                given[name] = rng.choice(VALUES)
            case 1:
                given.pop(name, None)
            case 2:
                given[name] = [given.get(name)]
            case 3:
                given[name] = DEEP
            case _:
                given[f"{name} "] = rng.choice(VALUES)
    return given


def outputs(task: Task, world: World, rng: Random) -> dict[str, Any]:
    """The action of a spoilt turn of the demonstration."""
    form = call_format(rng.choice(FORMATS))
    parsed = form.parse(spoilt_text(form.render(rng.choice(task.gold)), rng))
    return action_of(parsed)  # type: ignore[arg-type]  # a text's parts have a turn's names


def calls(task: Task, world: World, rng: Random) -> dict[str, Any]:
    """An action of one to three calls with spoilt arguments, some to tools that there are not; now
    and then the closing line, so that what was called is judged.
    """
    if rng.random() < 0.1:
        return {"calls": (), "message": task.goal.answer or ""}
    specs = list(world.tool_specs().values())
    made = []
    for _ in range(rng.randint(1, 3)):
        call = grounded_call(world, specs, rng)
        name = (
            call.name
            if rng.random() < 0.95
            else rng.choice(("", "reset", "__class__", call.name + " "))
        )
        made.append({"name": name, "arguments": spoilt_arguments(call.arguments, rng)})
    return {"calls": tuple(made), "message": rng.choice(("", "I look."))}


SOURCES: dict[str, Callable[[Task, World, Random], dict[str, Any]]] = {
    "outputs": outputs,
    "arguments": calls,
}


def faults(world: World, action: dict[str, Any], labels: Counter[str]) -> Iterator[str]:
    """Play one action; what it did that nothing may do."""
    before, first = state_digest(world.state), len(world.calls)
    lift_limit(world)
    try:
        observation, reward, *_ = world.step(action)
        if world.stop is not None:
            world.process_rewards(WEIGHTS)
    except Exception as error:
        labels["crash"] += 1
        yield f"crashed with {type(error).__name__}: {error}"
        return
    done = world.calls[first:]
    labels.update(call.outcome.value for call in done)
    labels["message"] += world.stop is not None
    made, heard = len(of_policy(done)), len(replies(done))
    if made != len(action["calls"]) or len(observation) != heard:
        yield f"{len(action['calls'])} calls gave {made} records, {len(observation)} results"
    if not done and world.stop is None:
        yield "no call, no end: the output has no label"
    if any(call.outcome not in set(CallOutcome) for call in done):
        yield "a call has no label"
    if state_digest(world.state) != before and not any(call.mutated for call in done):
        yield "the state changed, though no call says that it changed it"
    if any(call.mutated and call.outcome is not CallOutcome.OK for call in done):
        yield "a call failed and yet changed the state"
    if not 0 <= reward <= 1:
        yield f"paid {reward}"


def fuzz(env_id: str, source: str, count: int) -> tuple[Counter[str], list[str]]:
    """`count` actions in one world: labels of all calls, and faults."""
    tasks = cycle(take([env_id], Split.TRAIN, 0, TASKS))
    labels: Counter[str] = Counter()
    found: list[str] = []
    world, task = None, None
    for number in range(count):
        rng = derived_random("fuzz", env_id, source, number)
        if world is None or task is None or world.stop is not None or number % STEPS == 0:
            task = next(tasks)
            world = start(task)
        action = SOURCES[source](task, world, rng)
        wrong = list(faults(world, action, labels))
        if wrong:
            found += [f"{env_id} {source} {number}: {what} {action!r:.300}" for what in wrong]
            world = None
    return labels, found


def main() -> None:
    """Fuzz all worlds with both sources in equal shares."""
    args = arguments(__doc__ or "")
    share = BUDGET["quick" if args.quick else "full"] // (len(NATIVE) * len(SOURCES)) + 1
    labels: dict[str, Counter[str]] = {source: Counter() for source in SOURCES}
    found: list[str] = []
    began = time.perf_counter()
    for env_id in NATIVE:
        for source in SOURCES:
            seen, wrong = fuzz(env_id, source, share)
            labels[source] += seen
            found += wrong
            print(f"{env_id} {source}: {dict(seen)}, {len(wrong)} faults", flush=True)
    for what in found[:20]:
        print(json.dumps(what))
    finish(
        {
            "actions": share * len(NATIVE) * len(SOURCES),
            "faults": len(found),
            "labels": {source: dict(seen) for source, seen in labels.items()},
            "seconds": round(time.perf_counter() - began, 1),
        }
    )


if __name__ == "__main__":
    main()
