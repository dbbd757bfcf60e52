"""The operator that does what nobody asked for, takes it back, and then does the right work.

Owns its own notion of what a demonstration changes, so that it shares none with the verifiers.
Invariant: what it plays ends as the demonstration does, and is wrong on the way alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from tooldojo.envs.gates.mutants import Case, Mutant, after
from tooldojo.envs.gates.oracle import state_digest
from tooldojo.envs.gates.play import action, lift_limit
from tooldojo.envs.gates.random_calls import choices, grounded_call, shape, shapes_of
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.envs.tools import ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Json, Path

_EXTRAS = 30  # random calls tried
_INVERSES = 60  # calls tried to take one back
_KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}


def undo_extra_call(case: Case) -> Mutant | None:
    """One more write somewhere, of a thing that the demonstration leaves alone, and its inverse."""
    place = case.rng.randrange(len(case.gold))
    world = after(case, case.gold[:place])
    specs = [spec for spec in world.tool_specs().values() if spec.mutates]
    start, asked = world.snapshot(), _asked(case)
    for _ in range(_EXTRAS if specs else 0):
        world.restore(start)
        extra = _elsewhere(case, start.state) or grounded_call(world, specs, case.rng)
        _play(world, extra)
        changed = list(_entries(start.state, world.state))
        if all(any(_meet(path, each) for each in asked) for path in changed):
            continue
        inverse = _inverse(case, world, start.state, extra, changed)
        if inverse is not None:
            detour = [GoldTurn("", (extra,)), GoldTurn("", (inverse,))]
            turns = [*case.gold[:place], *detour, *case.gold[place:]]
            return Mutant(turns, wrong=True) if _ends_alike(case, turns) else None
    return None


def _elsewhere(case: Case, state: dict[str, Json]) -> Call | None:
    """Every other time a gold write with one value swapped, which reaches into nested arguments."""
    if not case.writes or case.rng.random() < 0.5:
        return None
    call = case.rng.choice(case.writes).call
    swaps = list(_swapped(call.arguments, _values(state)))
    return Call(call.name, case.rng.choice(swaps)) if swaps else None  # type: ignore[arg-type]


def _play(world: World, call: Call) -> None:
    lift_limit(world)
    world.step(action(GoldTurn("", (call,))))


def _ends_alike(case: Case, turns: Sequence[GoldTurn]) -> bool:
    """Whether the state before the final message is the demonstration's, which time-outs that hit
    other calls may prevent.
    """
    right, here = (after(case, played[:-1]).state for played in (case.gold, turns))
    return state_digest(right) == state_digest(here)


def _asked(case: Case) -> list[Path]:
    """Where the demonstration changes something at any turn, and what the goal leaves open."""
    states = [after(case, case.gold[:place]).snapshot().state for place in range(len(case.gold))]
    changed = {path for a, b in itertools.pairwise(states) for path in _entries(a, b)}
    goal = case.task.goal
    return [*changed, *(tuple(path.split(".")) for path in goal.ignore), *goal.transient]


def _entries(before: Json, now: Json, at: Path = ()) -> Iterator[Path]:
    """The entries of dicts that differ; a list counts as one value."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            if key in before and key in now:
                yield from _entries(before[key], now[key], (*at, key))
            else:
                yield (*at, key)
    elif before != now:
        yield at


def _meet(path: Path, pattern: Path) -> bool:
    return all(want in ("*", have) for have, want in zip(path, pattern, strict=False))


def _inverse(
    case: Case, world: World, before: dict[str, Json], extra: Call, changed: Sequence[Path]
) -> Call | None:
    """A write that leads back, made of values that the extra one used, changed or replaced."""
    pool = _values(list(extra.arguments.values()))
    for path in changed:
        pool += [*path, *(word for key in path for word in re.split(r"\W+", key))]
        pool += _values(_at(before, path))
    calls = [
        call
        for spec in world.tool_specs().values()
        if spec.mutates
        for call in _calls(type(world), spec, pool)
    ]
    calls += [Call(extra.name, swap) for swap in _swapped(extra.arguments, pool)]  # type: ignore
    middle, wanted = world.snapshot(), state_digest(before)
    for call in case.rng.sample(calls, min(_INVERSES, len(calls))):
        world.restore(middle)
        _play(world, call)
        if state_digest(world.state) == wanted:
            return call
    return None


def _calls(world: type[World], spec: ToolSpec, pool: Sequence[Json]) -> Iterator[Call]:
    """Calls of a tool with arguments from the pool that look like what demonstrations pass, where
    one calls it.
    """
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    options = [_fitting(world, spec, name, pool) for name in properties]
    for values in itertools.islice(itertools.product(*options), _INVERSES * 4):
        yield Call(spec.name, dict(zip(properties, values, strict=True)))


def _fitting(world: type[World], spec: ToolSpec, name: str, pool: Sequence[Json]) -> list[Json]:
    if listed := choices(spec, name):
        return listed
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    schema = properties[name]
    kind = schema.get("type") if isinstance(schema, dict) else None
    known = shapes_of(world).get((spec.name, name), frozenset())
    fits: list[Json] = []
    for value in pool:
        right = isinstance(value, _KINDS.get(str(kind), ()))
        right = right and isinstance(value, bool) == (kind == "boolean")
        alike = not known or not isinstance(value, str) or shape(value) in known
        if right and alike and value not in fits:
            fits.append(value)
    return fits


def _at(state: Json, path: Path) -> Json:
    """What stands at a path; None for nothing."""
    for key in path:
        if not (isinstance(state, dict) and key in state):
            return None
        state = state[key]
    return state


def _swapped(value: Json, pool: Sequence[Json]) -> Iterator[Json]:
    """The value with one string or number in it replaced by one of the pool that looks like it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ({**value, key: other} for other in _swapped(item, pool))
    elif isinstance(value, str):
        texts = {each for each in pool if isinstance(each, str)} - {value}
        yield from sorted(each for each in texts if shape(each) == shape(value))
    elif type(value) is int or type(value) is float:
        numbers = [each for each in pool if isinstance(each, int | float) and each != value]
        yield from sorted({each for each in numbers if type(each) is type(value)})


def _values(value: Json) -> list[Json]:
    """A value and all that it holds, keys included."""
    below: list[Json] = [*value, *value.values()] if isinstance(value, dict) else []
    if isinstance(value, list):
        below = value
    return [value, *(each for item in below for each in _values(item))]
