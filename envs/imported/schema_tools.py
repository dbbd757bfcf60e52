"""`SchemaSpec`: a tool that is known by its JSON schema alone, without a Python function."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import pydantic

from tooldojo.envs.tools import ToolError, ToolSpec, json_text
from tooldojo.verifiers.records import Json


@dataclass(frozen=True, slots=True)
class SchemaSpec(ToolSpec):
    """A spec whose `validate` is the schema's: defaults are not filled in, that is the tool's."""

    def validate(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """The arguments as they are.

        Raises:
            ToolError: naming the first bad argument, in words for the model.
        """
        if json_text(arguments) is None:
            raise ToolError("arguments: should be JSON, with finite numbers")
        validator = importlib.import_module("jsonschema").Draft202012Validator
        closed = {**self.parameters, "additionalProperties": False}
        errors = sorted(
            validator(closed).iter_errors(arguments), key=lambda e: list(map(str, e.path))
        )
        if errors:
            where = ".".join(map(str, errors[0].path)) or "arguments"
            raise ToolError(f"{where}: {errors[0].message[:200]}")
        return dict(arguments)


def schema_spec(name: str, about: str, parameters: dict[str, Json], mutates: bool) -> SchemaSpec:
    """A tool that runs elsewhere; parameters: a JSON schema of an object."""
    return SchemaSpec(name, about, mutates, False, parameters, False, pydantic.BaseModel)
