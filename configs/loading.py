"""Reading recipes: a TOML file, then `section.key=value` overrides, then the schema. Mistakes get
one clear line.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pydantic

from tooldojo.configs import combinations, deterministic
from tooldojo.configs.schema import Recipe

RECIPES = Path(__file__).parent


class RecipeError(ValueError):
    """A recipe that cannot be used; the message is meant for the user."""


def load_recipe(source: str | None, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe named `source` (a file, or a name in configs/), with overrides applied.

    Raises:
        RecipeError: naming the key, the value, what is allowed and the nearest known name.
    """
    data: dict[str, Any] = {}
    if source is not None:
        path = recipe_path(source)
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} is not TOML: {error}") from None
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data)


def recipe_path(source: str) -> Path:
    """The file behind a recipe's name or path."""
    for path in (Path(source), RECIPES / source, RECIPES / f"{source}.toml"):
        if path.is_file():
            return path
    known = sorted(path.stem for path in RECIPES.glob("*.toml"))
    raise RecipeError(
        f"no recipe {source!r};{_hint(source, known)} there are {', '.join(known) or 'none'}"
    )


def parse_recipe(data: dict[str, Any]) -> Recipe:
    """Validate plain data as a recipe."""
    try:
        recipe = Recipe.model_validate(deterministic.pinned(data))
    except pydantic.ValidationError as error:
        raise RecipeError(_explain(error)) from None
    problems = (deterministic.contradictions(recipe), combinations.contradictions(recipe))
    contradiction = next(chain.from_iterable(problems), None)
    if contradiction is not None:
        raise RecipeError(contradiction)
    return recipe


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and name):
        raise RecipeError(f"override {override!r} is not of the form section.key=value")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    data.setdefault(section, {})[name] = value


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r};{_hint(where, known_keys())} see docs/config.md for all keys"
    return f"{where} = {first['input']!r}: {first['msg'].lower()}"


def known_keys() -> list[str]:
    """Every section and `section.key` of the schema."""
    keys: list[str] = []
    for section, field in Recipe.model_fields.items():
        keys.append(section)
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, pydantic.BaseModel)
        keys += [f"{section}.{name}" for name in model.model_fields]
    return keys


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f" did you mean {near[0]!r}?" if near else ""
