"""A study: one recipe, a grid of keys, several seeds. Reading, and nothing else.

Invariant: every cell's recipe is valid before the first run starts.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from tooldojo.configs.loading import RecipeError, load_recipe
from tooldojo.configs.schema import Name, Positive, Recipe, Section

Value = bool | int | float | str | list[int] | list[float] | list[str]


class Study(Section):
    """A grid file."""

    recipe: str | None = None
    """A recipe's file or name; by default the default recipe."""
    dir: Name = "runs/study"
    """Where runs, study.json and plots go."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)] = (
        0,
        1,
        2,
    )
    """Every cell runs under each of them."""
    samples: Positive | None = None
    """Trajectories per run; `learner.steps` follows from it. By default the recipe's steps."""
    held_out: bool = True
    """Evaluate the last version of every run on held-out tasks; otherwise the end of its curve is
    its success."""
    set: Annotated[dict[str, Value], Field(default_factory=dict)]
    """Keys (`"section.key"`) that all cells share."""
    grid: Annotated[dict[str, list[Value]], Field(min_length=1)]
    """Keys and the values that each takes; cells are all combinations, the first is the base."""


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One cell under one seed. keys: overrides as the command line takes them. held_out: whether
    its last version is evaluated.
    """

    cell: str
    seed: int
    directory: Path
    keys: tuple[str, ...]
    recipe: Recipe
    held_out: bool = True


def load_study(path: Path) -> Study:
    """Read a grid file.

    Raises:
        RecipeError: for what is no study, naming the key.
    """
    try:
        return Study.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        known = ", ".join(Study.model_fields)
        raise RecipeError(f"{path}: {where}: {first['msg'].lower()}; keys are {known}") from None


def study_runs(study: Study) -> list[StudyRun]:
    """All runs, cell by cell, the base first.

    Raises:
        RecipeError: for a key or value that no recipe takes, or a budget below one step.
    """
    return [
        _run(study, cell, seed, values) for cell, values in _cells(study) for seed in study.seeds
    ]


def _cells(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    for values in product(*study.grid.values()):
        chosen = dict(zip(study.grid, values, strict=True))
        yield ", ".join(f"{key.split('.')[-1]}={value}" for key, value in chosen.items()), chosen


def _run(study: Study, cell: str, seed: int, values: dict[str, Any]) -> StudyRun:
    folder = re.sub(r"[^A-Za-z0-9.=_-]+", "_", cell)
    directory = Path(study.dir) / f"{folder}-seed{seed}"
    own = {**study.set, **values, "run.seed": seed, "run.dir": str(directory)}
    keys = tuple(f"{key}={json.dumps(value)}" for key, value in own.items())
    recipe = load_recipe(study.recipe, keys)
    if study.samples is not None:
        per_step = recipe.objective.groups * recipe.objective.group_size
        if study.samples < per_step:
            raise RecipeError(
                f"samples = {study.samples} is less than one step of {cell}, which plays {per_step}"
            )
        keys += (f"learner.steps={round(study.samples / per_step)}",)
        recipe = load_recipe(study.recipe, keys)
    return StudyRun(cell, seed, directory, keys, recipe, study.held_out)
