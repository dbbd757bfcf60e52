"""`tooldojo study`: a grid of recipes and seeds, and one table about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import InputError, JsonFlag, Output, Trace

if TYPE_CHECKING:
    from rich.console import Console

    from tooldojo.training.evaluation.stats import Mean
    from tooldojo.training.study import CellResult


def study(
    ctx: typer.Context,
    grid: Annotated[Path, typer.Argument(help="A TOML file: recipe, seeds, [set] and [grid].")],
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Train and evaluate a grid of recipes under several seeds; goes on where it was stopped."""
    from tooldojo.configs.study import load_study, study_runs
    from tooldojo.rollouts.whole_files import write_json
    from tooldojo.training.study import compare_cells, draw_study, run_study, study_json

    output: Output = ctx.obj
    if not grid.is_file():
        raise InputError(f"{grid}: there is no such file; see docs/stages.md for its keys")
    wanted = load_study(grid)
    runs = study_runs(wanted)
    folder = Path(wanted.dir)
    output.kept, output.repeats = folder, True
    outcomes = run_study(runs, wanted.recipe, lambda line: output.console.print(line))
    results = compare_cells(outcomes)
    data = study_json(outcomes, results)
    write_json(folder / "study.json", data)
    plots = draw_study(outcomes, results, folder)
    _show(output.console, results, len(wanted.seeds), data["trajectories"])
    output.emit({**data, "plots": [str(path) for path in plots]})


def _show(
    console: Console, results: Sequence[CellResult], seeds: int, trajectories: object
) -> None:
    from rich.table import Table

    table = Table(title=f"{seeds} seeds; intervals at 95 % over seeds", title_justify="left")
    table.add_column("cell")
    for name in ("success", f"after {trajectories:g} trajectories", "rise", "gain"):
        table.add_column(name, justify="right")
    for result in results:
        gain = _interval(result.gain, sign="+") if result.gain else "base"
        shown = map(_interval, (result.success, result.equal))
        table.add_row(result.cell, *shown, _interval(result.rise, sign="+"), gain)
    console.print(table)


def _interval(mean: Mean, sign: str = "") -> str:
    shown = f"{100 * mean.mean:{sign}.1f} %"
    if mean.count == 1:
        return shown
    return f"{shown} ({100 * mean.low:{sign}.1f} to {100 * mean.high:{sign}.1f})"
