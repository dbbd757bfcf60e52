"""Tools: typed methods with a schema from hints and docstring, and arguments validated first.

Owns the `@tool` mark, `ToolSpec` (schema, validation), `ToolError` (the only exception that a model
sees) and `ToolLost` (the only one that is nobody's doing).
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pydantic

from tooldojo.envs.blame import place_of_function
from tooldojo.verifiers.records import Json

F = TypeVar("F", bound=Callable[..., object])


class ToolError(Exception):
    """A refusal that the model sees. Anything else that a tool raises is a bug in the world."""


class ToolLost(Exception):
    """What a tool runs on failed or had no time: infrastructure, no verdict on the trajectory."""


class ToolSpecError(TypeError):
    """A `@tool` method that cannot be a tool; the message says which one, where and why."""


@dataclass(frozen=True, slots=True)
class ToolMark:
    """What `@tool` leaves on a method."""

    mutates: bool
    idempotent: bool
    deadline: float | None = None
    at_once: int | None = None


def tool(
    *,
    mutates: bool,
    idempotent: bool = False,
    deadline: float | None = None,
    at_once: int | None = None,
) -> Callable[[F], F]:
    """Mark a method as a tool.

    mutates: whether it may change the world's state; a call that raises `ToolError` is rolled back.
    idempotent: whether a repeated call has the effect of one, so that infrastructure may retry it.
    deadline: seconds that a call may take; None: what the recipe allows. at_once: calls that may
    run at the same time in one process; None: any number.
    """
    if deadline is not None and not deadline > 0:
        raise ValueError(f"a tool's deadline of {deadline} s; it must be above 0, or left out")
    if at_once is not None and at_once < 1:
        raise ValueError(f"a tool with at_once={at_once}; it must be 1 or more, or left out")
    marked = ToolMark(mutates, idempotent, deadline, at_once)

    def mark(function: F) -> F:
        function.__tool_mark__ = marked  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it (`schema`) and as the world runs it (the other fields)."""

    name: str
    description: str
    mutates: bool
    idempotent: bool
    parameters: dict[str, Json]
    is_async: bool
    _model: type[pydantic.BaseModel] = field(repr=False, compare=False)
    deadline: float | None = field(default=None, kw_only=True)
    at_once: int | None = field(default=None, kw_only=True)

    @property
    def schema(self) -> dict[str, Json]:
        """The OpenAI-style function schema that chat templates render."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }

    @property
    def fields(self) -> dict[str, dict[str, Json]]:
        """The parameters' schemas by name."""
        return self.parameters["properties"]  # type: ignore[return-value]

    def validate(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """The arguments with defaults filled in.

        Raises:
            ToolError: naming the first bad argument, in words for the model.
        """
        text = json_text(arguments)
        if text is None:
            raise ToolError("arguments: should be JSON, with finite numbers")
        try:
            # By way of JSON: strict about types, yet enums and dates come as the strings they are.
            checked = self._model.model_validate_json(text, strict=True)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise ToolError(f"{where}: {first['msg'].lower()}") from None
        return {name: getattr(checked, name) for name in type(checked).model_fields}


_strict_json = json.JSONEncoder(allow_nan=False).encode


def json_text(value: Json) -> str | None:
    """A value as JSON; None where it cannot be written: NaN and infinities, for instance."""
    try:
        return _strict_json(value)
    except (TypeError, ValueError, RecursionError):
        return None


def marked_tools(world: type, taken: Container[str]) -> dict[str, ToolSpec]:
    """The `@tool` methods of a class and its bases by name, in order of definition.

    Raises:
        ToolSpecError: for one whose name is `taken` by something that every world has, and as
            `tool_spec` does.
    """
    found: dict[str, ToolSpec] = {}
    for base in reversed(world.__mro__):
        for name, value in vars(base).items():
            if not hasattr(value, "__tool_mark__"):
                continue
            if name in taken:
                raise ToolSpecError(
                    f"{world.__name__}: no tool can be called {name!r}, for that is something that "
                    f"every World has; rename it ({place_of_function(value)})"
                )
            found[name] = tool_spec(value)
    return found


def tool_spec(function: Callable[..., object]) -> ToolSpec:
    """Build the spec of a `@tool` method from its signature and docstring.

    Raises:
        ToolSpecError: where a parameter lacks a type hint or has one without a JSON schema, or the
            docstring is missing.
    """
    mark: ToolMark = function.__tool_mark__  # type: ignore[attr-defined]
    name, where = function.__name__, place_of_function(function)
    doc = inspect.getdoc(function)
    if not doc:
        raise ToolSpecError(
            f"tool {name!r} has no docstring; the model needs one sentence that says what it does "
            f"({where})"
        )
    summary, about = _docstring(doc)
    try:
        model = _arguments_model(function, about)
        parameters = _plain(model.model_json_schema())
    except ToolSpecError:
        raise
    except Exception as error:  # of typing and pydantic, in many types: a hint without a schema
        raise ToolSpecError(
            f"tool {name!r}: its type hints give no JSON schema: {error} ({where})"
        ) from error
    is_async = inspect.iscoroutinefunction(function)
    return ToolSpec(
        name,
        summary,
        mark.mutates,
        mark.idempotent,
        parameters,
        is_async,
        model,
        deadline=mark.deadline,
        at_once=mark.at_once,
    )


def _arguments_model(
    function: Callable[..., object], about: dict[str, str]
) -> type[pydantic.BaseModel]:
    """What checks a call's arguments; about: descriptions by parameter."""
    name, hints = function.__name__, typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.name not in hints:
            raise ToolSpecError(
                f"tool {name!r}: parameter {parameter.name!r} lacks a type hint; add one "
                f"({place_of_function(function)})"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        info = pydantic.Field(default, description=about.get(parameter.name))
        fields[parameter.name] = (hints[parameter.name], info)
    return pydantic.create_model(
        f"{name}_arguments", __config__=pydantic.ConfigDict(extra="forbid"), **fields
    )


def _docstring(doc: str) -> tuple[str, dict[str, str]]:
    """The first paragraph, and the text of a Google-style `Args:` section by parameter."""
    head, _, rest = doc.partition("Args:")
    summary = " ".join(head.strip().split("\n\n")[0].split())
    about = re.findall(r"^\s*(\w+):\s*(.+)$", rest.split("\n\n")[0], flags=re.MULTILINE)
    return summary, {name: text.strip() for name, text in about}


def _plain(schema: dict[str, Any]) -> dict[str, Json]:
    """JSON schema without titles and `additionalProperties`: short, for every prompt has it."""
    properties = schema.get("properties", {})
    for value in properties.values():
        value.pop("title", None)
    short: dict[str, Json] = {"type": "object", "properties": properties}
    return short | {key: schema[key] for key in ("required", "$defs") if key in schema}
