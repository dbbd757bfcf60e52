"""A world's tools as plain Python functions, for frameworks that read signatures and docstrings."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Literal

import pydantic

from tooldojo.envs.tools import ToolSpec
from tooldojo.verifiers.records import Json

_TYPES: dict[object, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def dress(function: Any, spec: ToolSpec, method: bool = False, strict: bool = False) -> Any:
    """Give a function that takes keywords the name, signature and docstring of a tool.

    method: whether it has a `self`. strict: mark the types so that pydantic converts nothing.
    """
    needed = spec.parameters.get("required") or []
    assert isinstance(needed, list)
    types = {name: _type(about, strict) for name, about in spec.fields.items()}
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=empty if name in needed else about.get("default"),
            annotation=types[name],
        )
        for name, about in spec.fields.items()
    ]
    own = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)] if method else []
    function.__name__ = function.__qualname__ = spec.name
    function.__signature__ = inspect.Signature([*own, *parameters], return_annotation=str)
    function.__annotations__ = {**types, "return": str}
    lines = [f"    {name}: {about.get('description', name)}" for name, about in spec.fields.items()]
    function.__doc__ = "\n".join([spec.description, "", *(["Args:", *lines] if lines else [])])
    return function


def _type(about: dict[str, Json], strict: bool) -> Any:
    choices = about.get("enum")
    if isinstance(choices, list):
        return Literal[tuple(choices)]  # type: ignore[valid-type]
    found = _TYPES.get(about.get("type"), str)
    return Annotated[found, pydantic.Strict()] if strict else found
