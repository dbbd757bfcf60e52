"""Recipes on the command line: a name or a file, then `section.key=value`; both optional."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError

if TYPE_CHECKING:
    from tooldojo.configs.schema import Recipe

RecipeArgument = Annotated[
    str | None,
    typer.Argument(help="A recipe: a file, a name in configs/, or a run directory."),
]
Keys = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Recipe keys to change."),
]


def resolve(name: str | None, keys: Sequence[str] | None, *more: str) -> Recipe:
    """The recipe of a command; `more` are what its own options mean as keys, and yield to keys.

    A first argument of the form `section.key=value` means the default recipe; a run directory
    stands for the config.toml in it, wherever the directory has moved to.
    """
    from tooldojo.configs.loading import load_recipe

    given = list(keys or ())
    if name is not None and "=" in name and not Path(name).exists():
        name, given = None, [name, *given]
    if name is not None and (Path(name) / "config.toml").is_file():
        more = (f"run.dir={json.dumps(name)}", *more)
        name = str(Path(name) / "config.toml")
    return load_recipe(name, [*more, *given])


def check_split(split: str) -> None:
    """Refuse a split that does not exist."""
    from tooldojo.envs.task import Split

    if split not in list(Split):
        raise InputError(f"there is no split {split!r}; there are {', '.join(Split)}")
