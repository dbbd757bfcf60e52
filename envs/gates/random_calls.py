"""Random calls that reach into a world: schema-valid ones with arguments taken from its state.

A string argument is drawn from the keys and values along one random path of the state, among those
that look like what demonstrations pass there, so that ids exist and belong together.
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

import numpy as np

from tooldojo.envs.seeding import derived_random
from tooldojo.envs.spaces import ToolCallSpace
from tooldojo.envs.task import Call
from tooldojo.envs.tools import ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Json

_DRAFTS = 40  # per level, to see what arguments look like


def shape(text: str) -> str:
    """What a string looks like: runs of digits, small and capital letters, each as one sign."""
    return re.sub(r"[^\W\d_A-Z]+", "a", re.sub(r"[A-Z]+", "A", re.sub(r"\d+", "9", text)))


def schema_valid_call(specs: list[ToolSpec], rng: Random) -> Call:
    """A random tool of `specs` with random arguments that its schema allows."""
    space = ToolCallSpace(specs)
    space._np_random = np.random.default_rng(rng.getrandbits(63))
    drawn = space.sample()
    name, arguments = drawn["name"], drawn["arguments"]
    assert isinstance(name, str) and isinstance(arguments, dict)
    return Call(name, arguments)


def grounded_call(world: World, specs: list[ToolSpec], rng: Random) -> Call:
    """A random call whose plain string arguments come from the world's state, where some fit."""
    call = schema_valid_call(specs, rng)
    spec = next(spec for spec in specs if spec.name == call.name)
    near, all_strings = _path_strings(world.state, rng), _strings(world.state)
    shapes = shapes_of(type(world))
    arguments = dict(call.arguments)
    for name, value in arguments.items():
        if is_choice(spec, name):
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            arguments[name] = rng.randint(1, 3)
        if isinstance(value, str):
            known = shapes.get((call.name, name), frozenset())
            fits = [s for s in near if shape(s) in known]
            fits = fits or [s for s in all_strings if shape(s) in known]
            arguments[name] = rng.choice(fits) if fits else value
    return Call(call.name, arguments)


def is_choice(spec: ToolSpec, name: str) -> bool:
    """Whether the schema lists the values of a parameter."""
    return bool(choices(spec, name))


def choices(spec: ToolSpec, name: str) -> list[Json]:
    """The values that a parameter's schema lists; none where it does not."""
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    schema = properties.get(name)
    if isinstance(schema, dict) and "$ref" in schema:
        definitions = spec.parameters["$defs"]
        assert isinstance(definitions, dict)
        schema = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
    listed = schema.get("enum") if isinstance(schema, dict) else None
    return list(listed) if isinstance(listed, list) else []


@cache
def shapes_of(world: type[World]) -> dict[tuple[str, str], frozenset[str]]:
    """By tool and parameter, the shapes of the strings that demonstrations pass."""
    found: dict[tuple[str, str], set[str]] = {}
    for level in world.levels:
        rng = derived_random("shapes", world.env_id, level)
        for draft in (world.draft(rng, level) for _ in range(_DRAFTS)):
            for call in (call for turn in draft.gold for call in turn.calls):
                for name, value in call.arguments.items():
                    if isinstance(value, str):
                        found.setdefault((call.name, name), set()).add(shape(value))
    return {key: frozenset(shapes) for key, shapes in found.items()}


def _strings(value: Json) -> list[str]:
    """All keys and string leaves, sorted."""
    found: set[str] = set()
    pending: list[Json] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            found |= set(item)
            pending += item.values()
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, str):
            found.add(item)
    return sorted(found)


def _path_strings(value: Json, rng: Random) -> list[str]:
    """The keys along one random path, with the string leaves beside it."""
    found: list[str] = []
    while isinstance(value, dict | list) and value:
        inside = value.values() if isinstance(value, dict) else value
        found += [item for item in inside if isinstance(item, str)]
        if isinstance(value, dict):
            key = rng.choice(sorted(value))
            found.append(key)
            value = value[key]
        else:
            value = rng.choice(value)
    return found
