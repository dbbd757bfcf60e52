"""Gymnasium spaces for text and tool calls, with a working `sample` and `contains`.

`gymnasium.spaces.Text` refuses a space character by default; `Message` takes any string.
`ToolCallSpace` draws schema-valid calls, which gives random policies and schema fuzzing for free.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space

from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.verifiers.records import Json

_CHARACTERS = string.ascii_letters + string.digits + " .,:#-_@é漢"


class Message(Space[str]):
    """Any unicode string of at most `max_length` characters."""

    def __init__(
        self, max_length: int = 100_000, seed: int | np.random.Generator | None = None
    ) -> None:
        self.max_length = max_length
        super().__init__(None, None, seed)

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """A random string of up to 24 characters."""
        size = int(self.np_random.integers(0, min(24, self.max_length) + 1))
        return "".join(_CHARACTERS[i] for i in self.np_random.integers(0, len(_CHARACTERS), size))

    def contains(self, x: Any) -> bool:
        """Whether `x` is a string that fits."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and other.max_length == self.max_length

    def __repr__(self) -> str:
        return f"Message({self.max_length})"


class ToolCallSpace(Space[dict]):
    """Calls of the given tools, `{"name": ..., "arguments": {...}}`, valid by their schemas."""

    def __init__(
        self, tools: Sequence[ToolSpec], seed: int | np.random.Generator | None = None
    ) -> None:
        self.tools = {spec.name: spec for spec in tools}
        super().__init__(None, None, seed)

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> dict[str, Json]:
        """A random tool with random schema-valid arguments."""
        names = sorted(self.tools)
        spec = self.tools[names[int(self.np_random.integers(len(names)))]]
        return {"name": spec.name, "arguments": sample_arguments(spec.parameters, self.np_random)}

    def contains(self, x: Any) -> bool:
        """Whether `x` names one of the tools with arguments that validate."""
        if (
            not isinstance(x, dict)
            or set(x) != {"name", "arguments"}
            or x["name"] not in self.tools
        ):
            return False
        if not isinstance(x["arguments"], dict):
            return False
        try:
            self.tools[x["name"]].validate(x["arguments"])
        except ToolError:
            return False
        return True

    @property
    def is_np_flattenable(self) -> bool:
        """Calls have no fixed-size array form."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolCallSpace) and other.tools == self.tools

    def __repr__(self) -> str:
        return f"ToolCallSpace({', '.join(sorted(self.tools))})"


class NoCalls(Space[tuple]):
    """The calls of a turn in a world without tools: none. gymnasium allows no empty `Tuple`."""

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> tuple:
        """No call."""
        return ()

    def contains(self, x: Any) -> bool:
        """Whether there is none."""
        return x == ()

    @property
    def is_np_flattenable(self) -> bool:
        """It is of the kind of `ToolCallSpace`."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoCalls)

    def __repr__(self) -> str:
        return "NoCalls()"


def sample_arguments(schema: dict, rng: np.random.Generator) -> dict[str, Json]:
    """Random arguments for a parameter schema; optional ones are left out half of the time."""
    required = set(schema.get("required", ()))
    return {
        name: _sample_value(value, schema.get("$defs", {}), rng)
        for name, value in schema.get("properties", {}).items()
        if name in required or rng.random() < 0.5
    }


def _sample_value(schema: dict, defs: dict, rng: np.random.Generator) -> Json:
    if "$ref" in schema:
        return _sample_value(defs[schema["$ref"].rsplit("/", 1)[-1]], defs, rng)
    if "anyOf" in schema:
        return _sample_value(schema["anyOf"][int(rng.integers(len(schema["anyOf"])))], defs, rng)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][int(rng.integers(len(schema["enum"])))]
    low, high = schema.get("minimum", -1000), schema.get("maximum", 1000)
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string" and form in ("integer", "number"):  # a number given as text
        return str(_sample_value({**schema, "type": form}, defs, rng))
    match kind:
        case "integer":
            return int(rng.integers(low, high + 1))
        case "number":
            return round(float(rng.uniform(low, high)), 2)
        case "boolean":
            return bool(rng.integers(2))
        case "null":
            return None
        case "array":
            return [
                _sample_value(schema.get("items", {}), defs, rng)
                for _ in range(int(rng.integers(0, 4)))
            ]
        case "object":
            return sample_arguments({**schema, "$defs": defs}, rng)
    size = int(rng.integers(0, 13))
    return "".join(_CHARACTERS[i] for i in rng.integers(0, len(_CHARACTERS), size))
