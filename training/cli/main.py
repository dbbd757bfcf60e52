"""`tooldojo`: the commands, and nothing but their names and help until one runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Annotated

import typer

from tooldojo.training.cli import (
    authoring,
    gates,
    playing,
    records,
    runs,
    sandbox,
    serving,
    stages,
    studying,
    surveys,
    worlds,
)
from tooldojo.training.cli.boundary import Boundary

app = typer.Typer(
    name="tooldojo",
    cls=Boundary,
    help="Worlds, verifiers and GRPO for language models that use tools.",
    epilog="Start with `tooldojo quickstart`; recipes and their keys: docs/config.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(installed("tooldojo"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Worlds, verifiers and GRPO for language models that use tools."""


PANELS: dict[str, tuple[Callable[..., object], ...]] = {
    "Worlds": (
        *(worlds.envs, authoring.new, gates.check, gates.audit, surveys.survey),
        *(playing.play, playing.rollout, sandbox.sandbox),
    ),
    "Training": (
        *(runs.quickstart, runs.sft, stages.dpo, stages.kto, stages.reward, runs.train),
        *(studying.study, runs.base, runs.export),
    ),
    "Evidence": (
        *(runs.evaluate, records.replay, records.rescore, records.report),
        *(records.doctor, stages.prefer),
    ),
    "Servers": (serving.serve, serving.mcp, serving.openenv),
}
for panel, commands in PANELS.items():
    for command in commands:
        name = {"evaluate": "eval"}.get(command.__name__, command.__name__)
        app.command(name, rich_help_panel=panel)(command)
