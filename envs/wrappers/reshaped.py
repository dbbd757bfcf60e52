"""`ReshapedSpec`: a tool under another name and with other arguments, and the way back.

Invariant: `inward(outward(arguments)) == arguments` for arguments that the tool accepts, up to the
spelling of numbers (5.0 and 5 are one number in JSON).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tooldojo.envs.tools import ToolError, ToolSpec
from tooldojo.verifiers.records import Json

_DIGITS = 330  # more than the longest float has before or behind its point
NUMBERS = {
    "integer": re.compile(rf"-?\d{{1,{_DIGITS}}}"),
    "number": re.compile(rf"-?\d{{1,{_DIGITS}}}(\.\d{{1,{_DIGITS}}})?"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What is done to a tool: its new name and parameters, and how arguments are given.

    params: new names of parameters, of this tool and maybe others, by old ones; a parameter that is
    not among them keeps its name. strings: whether
    numbers are strings. nest: the parameter that holds all others, or None.
    """

    name: str
    params: dict[str, str]
    strings: bool = False
    nest: str | None = None


@dataclass(frozen=True, slots=True)
class ReshapedSpec(ToolSpec):
    """A spec whose schema has a `shape` and whose `validate` gives the arguments of `inner`."""

    inner: ToolSpec
    shape: Shape

    def validate(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """The inner tool's arguments with defaults filled in.

        Raises:
            ToolError: naming the first bad argument as the schema calls it.
        """
        inward = self.inward(arguments)
        try:
            return self.inner.validate(inward)
        except ToolError as error:
            where, _, what = str(error).partition(": ")
            first, *rest = where.split(".")
            outer = self.shape.params.get(first, first)
            path = (
                [self.shape.nest, outer, *rest]
                if _nested(self.inner, self.shape)
                else [outer, *rest]
            )
            raise ToolError(f"{'.'.join(map(str, path))}: {what}") from None

    def outward(self, arguments: dict[str, Json]) -> dict[str, Json]:
        """Arguments of the inner tool as this one takes them."""
        numbers = _numbers(self.inner, self.shape)
        flat = {
            self.shape.params.get(name, name): _text(value) if name in numbers else value
            for name, value in arguments.items()
        }
        return (
            {self.shape.nest: flat} if self.shape.nest and _nested(self.inner, self.shape) else flat
        )

    def inward(self, arguments: dict[str, Json]) -> dict[str, Json]:
        """The inverse of `outward`.

        Raises:
            ToolError: where the arguments do not have this shape.
        """
        flat, prefix = self._flat(arguments)
        old = {self.shape.params.get(name, name): name for name in self.inner.fields}
        numbers = _numbers(self.inner, self.shape)
        found: dict[str, Json] = {}
        for name, value in flat.items():
            if name not in old:
                raise ToolError(f"{prefix}{name}: extra inputs are not permitted")
            kind = numbers.get(old[name])
            found[old[name]] = value if kind is None else _parsed(prefix + name, value, kind)
        return found

    def _flat(self, arguments: dict[str, Json]) -> tuple[dict[str, Json], str]:
        nest = self.shape.nest
        if nest is None or not _nested(self.inner, self.shape):
            return arguments, ""
        extra = next((name for name in arguments if name != nest), None)
        if extra is not None:
            raise ToolError(f"{extra}: extra inputs are not permitted")
        inside = arguments.get(nest)
        if not isinstance(inside, dict):
            what = "input should be an object" if nest in arguments else "field required"
            raise ToolError(f"{nest}: {what}")
        return inside, f"{nest}."


def reshape(
    spec: ToolSpec, shape: Shape, describe: Callable[[str], str] = str, waits: bool = False
) -> ReshapedSpec:
    """A tool in a shape.

    describe: puts the new names into a description. waits: the tool is asynchronous, whatever the
    inner one is.
    """
    return ReshapedSpec(
        shape.name,
        describe(spec.description),
        spec.mutates,
        spec.idempotent,
        _described(_parameters(spec, shape), describe),
        spec.is_async or waits,
        spec._model,
        spec,
        shape,
        deadline=spec.deadline,
        at_once=spec.at_once,
    )


def _nested(spec: ToolSpec, shape: Shape) -> bool:
    return shape.nest is not None and bool(spec.fields)


def _numbers(spec: ToolSpec, shape: Shape) -> dict[str, str]:
    """The parameters that are given as strings, with the JSON type of their numbers."""
    kinds = {name: str(value.get("type")) for name, value in spec.fields.items()}
    return {name: kind for name, kind in kinds.items() if shape.strings and kind in NUMBERS}


def _parameters(spec: ToolSpec, shape: Shape) -> dict[str, Json]:
    numbers = _numbers(spec, shape)
    properties: dict[str, Json] = {
        shape.params.get(name, name): _as_string(value) if name in numbers else value
        for name, value in spec.fields.items()
    }
    flat: dict[str, Json] = {**spec.parameters, "properties": properties}
    if "required" in flat:
        required: list[Any] = flat["required"]  # type: ignore[assignment]
        flat["required"] = [shape.params.get(name, name) for name in required]
    if shape.nest is None or not properties:
        return flat
    shared = {"$defs": flat.pop("$defs")} if "$defs" in flat else {}
    return {
        "type": "object",
        "properties": {shape.nest: flat},
        "required": [shape.nest],
        **shared,
    }


def _described(schema: Any, describe: Callable[[str], str]) -> Any:
    """A schema whose descriptions went through `describe`."""
    if isinstance(schema, list):
        return [_described(each, describe) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: describe(value)
        if key == "description" and isinstance(value, str)
        else _described(value, describe)
        for key, value in schema.items()
    }


def _as_string(schema: dict[str, Json]) -> dict[str, Json]:
    changed = {**schema, "type": "string", "format": schema["type"]}
    if "default" in schema:
        changed["default"] = _text(schema["default"])
    return changed


def _text(value: Json) -> Json:
    """A number as a string, without an exponent; what is none is left for the check to refuse."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f") if math.isfinite(value) else value


def _parsed(where: str, value: Json, kind: str) -> Json:
    if not isinstance(value, str) or not NUMBERS[kind].fullmatch(value):
        raise ToolError(f"{where}: input should be a string that holds a valid {kind}")
    number = float(value)
    if not math.isfinite(number):
        raise ToolError(f"{where}: input should be less than 1e308")
    return number if "." in value or (kind == "number" and abs(number) >= 2**53) else int(value)
