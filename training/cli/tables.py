"""Evaluations on the terminal: one table of rates with intervals, one sentence per comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tooldojo.training.evaluation.results import Comparison, Evaluation, Mean
from tooldojo.training.report.views import sentence, world_name
from tooldojo.verifiers.intervals import Proportion

if TYPE_CHECKING:
    from rich.console import Console


def show_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Success by world, split and level, and how the policy behaves."""
    summary = evaluation.summary()
    table = Table(title=f"{evaluation.stage}: {_rate(summary.success)}", title_justify="left")
    for name in ("world", "split", "level"):
        table.add_column(name)
    for name in ("tasks", "success", "95 % interval"):
        table.add_column(name, justify="right")
    for cell in evaluation.cells():
        rate = cell.success
        table.add_row(
            world_name(cell.world),
            cell.split,
            str(cell.level),
            str(rate.trials),
            f"{100 * rate.rate:.0f} %",
            f"{100 * rate.low:.0f} to {100 * rate.high:.0f}",
        )
    console.print(table)
    behaviour = (
        ("right tools", summary.tool_selection),
        ("exact calls", summary.arguments),
        ("well-formed turns", summary.well_formed),
    )
    console.print(", ".join(f"{name} {_share(mean)}" for name, mean in behaviour))
    if summary.failed:
        console.print(f"[yellow]without a verdict: {summary.failed}[/]")


def show_comparison(console: Console, comparison: Comparison) -> None:
    """The difference in one sentence, and what could not be paired."""
    console.print(sentence(comparison))
    if comparison.left_out:
        console.print(f"[yellow]{comparison.left_out} tasks have no partner and are left out[/]")


def _rate(rate: Proportion) -> str:
    return (
        f"{100 * rate.rate:.1f} % of {rate.trials} tasks "
        f"({100 * rate.low:.1f} to {100 * rate.high:.1f})"
    )


def _share(mean: Mean | None) -> str:
    return f"{100 * mean.mean:.0f} %" if mean else "not applicable"
