"""The reference of all recipe keys, made from the schema: `python -m tooldojo.configs.document >
docs/config.md`.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tooldojo.configs.schema import Recipe

HEAD = """# Recipe keys

A recipe is one TOML file with the sections below; every key has a default, and an unknown key is an
error. On the command line a key is set with `section.key=value`, for example `learner.steps=50` or
`task.worlds='["tooldojo/Orders-v0"]'`. The resolved recipe is saved as `config.toml` in the run
directory.

This page is generated: `python -m tooldojo.configs.document > docs/config.md`.
"""

_NAMES = {int: "integer", float: "number", str: "text", bool: "true or false"}
_BOUNDS = {
    annotated_types.Gt: (">", "gt"),
    annotated_types.Ge: (">=", "ge"),
    annotated_types.Lt: ("<", "lt"),
    annotated_types.Le: ("<=", "le"),
}


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in Recipe.model_fields for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    model = Recipe.model_fields[name].annotation
    assert isinstance(model, type) and issubclass(model, BaseModel)
    yield f"## [{name}]\n"
    yield f"{model.__doc__}\n"
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    for key, info in model.model_fields.items():
        default = json.dumps(info.get_default(call_default_factory=True))
        about = " ".join((info.description or "").split())
        yield f"| `{key}` | {_allowed(info)} | `{default}` | {about} |"
    yield ""


def _allowed(info: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in info.metadata
        for kind, (sign, name) in _BOUNDS.items()
        if isinstance(rule, kind)
    ]
    if any(isinstance(rule, annotated_types.MinLen) for rule in info.metadata):
        bounds.append("(not empty)")
    return " ".join([_type_name(info.annotation), ", ".join(bounds)]).strip()


def _type_name(kind: Any) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    origin, inner = get_origin(kind), [a for a in get_args(kind) if a is not Ellipsis]
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (tuple, list):
        return f"list of {_type_name(inner[0])}"
    if origin is dict:
        return f"table of {_type_name(inner[1])}"
    if origin is typing.Annotated:
        return _type_name(inner[0])
    if origin in (typing.Union, UnionType):
        return " or ".join(_type_name(part) for part in inner if part is not type(None))
    return str(kind)


if __name__ == "__main__":
    print(document(), end="")
