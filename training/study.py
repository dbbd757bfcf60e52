"""A study's runs, one after the other, and what they say side by side.

Owns the order, what is done already, and the comparison at equal samples. Refuses to compare
different tasks: all cells of a seed are evaluated on the same ones. Invariant: a finished run is
never repeated, an interrupted one goes on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

from tooldojo.configs.study import StudyRun
from tooldojo.training.evaluation.results import read_evaluation
from tooldojo.training.evaluation.stats import Mean, student_mean
from tooldojo.training.runs.metrics import NAME, read_metrics
from tooldojo.training.runs.run_dir import check_same
from tooldojo.verifiers.records import Json

STOPPED = 130  # exit code of a command that Ctrl-C ended
VALIDATED = "val/success"
POOLED = 3  # steps of a training curve; a single step plays few tasks


class StudyError(RuntimeError):
    """A run of a study failed; the message names it and the command that goes on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished run. success: on held-out tasks, in [0, 1], or the end of the curve; tasks: how
    many of them there were. samples_S, curve_S: trajectories played so far and success
    (validation's where there is one, else training's, pooled over `POOLED` steps).
    """

    cell: str
    seed: int
    success: float
    tasks: int
    samples_S: tuple[float, ...]
    curve_S: tuple[float, ...]

    def at(self, budget: float) -> float:
        """The last known success after at most `budget` trajectories; the first one where none is
        that early.
        """
        known = [y for x, y in zip(self.samples_S, self.curve_S, strict=True) if x <= budget]
        return known[-1] if known else self.curve_S[0]


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell over its seeds, with 95 % intervals of Student's t; a single seed has none.

    equal: success during training at the study's common number of trajectories. rise: that minus
    the curve's first point. gain: success minus the first cell's, seed by seed.
    """

    cell: str
    success: Mean
    equal: Mean
    rise: Mean
    gain: Mean | None


def stage_of(run: StudyRun) -> str:
    """Under which name the evaluation of a run's last version is kept."""
    return f"study_v{run.recipe.learner.steps + 1}"


def pending(run: StudyRun) -> list[list[str]]:
    """The commands that are missing, as arguments of `tooldojo`; none for a finished run.

    Raises:
        RunDirectoryError: where the directory holds a run of another recipe.
    """
    commands = []
    directory, stage = run.directory, stage_of(run)
    adapter = directory / "adapters" / f"v{run.recipe.learner.steps + 1}"
    started = (directory / "config.toml").exists()
    if started:
        check_same(directory / "config.toml", run.recipe)
    if not adapter.exists():
        commands.append(["train", *run.keys, *(["--resume"] if started else [])])
    if run.held_out and not (directory / "eval" / f"{stage}.json").exists():
        resume = ["--resume"] if (directory / "eval" / f"{stage}.toml").exists() else []
        out = str(directory / "eval")
        options = ["--adapter", str(adapter), "--stage", stage, "--out", out]
        commands.append(["eval", *run.keys, *options, *resume])
    return commands


def run_study(
    runs: Sequence[StudyRun], recipe: str | None, announce: Callable[[str], None]
) -> list[Outcome]:
    """Do what is missing, one process at a time; returns all outcomes.

    Raises:
        StudyError: when a run fails.
    """
    outcomes = []
    for place, run in enumerate(runs, 1):
        announce(f"{place}/{len(runs)}  {run.cell}, seed {run.seed}")
        for name, *rest in pending(run):
            source = [recipe] if recipe else []
            command = [sys.executable, "-m", "tooldojo.training.cli", name, *source, *rest]
            code = run_command(command)
            if code == STOPPED:
                raise KeyboardInterrupt
            if code:
                raise StudyError(
                    f"{name} of {run.cell}, seed {run.seed} failed in {run.directory}; "
                    "the same study goes on from there"
                )
        outcomes.append(read_outcome(run))
    return outcomes


def run_command(command: Sequence[str]) -> int:
    """A command's exit code. Ctrl-C is handed on to it, and its clean end waited for."""
    child = subprocess.Popen(command, process_group=0)  # Ctrl-C reaches it through us, once
    try:
        return child.wait()
    except KeyboardInterrupt:
        while child.poll() is None:
            child.send_signal(signal.SIGINT)
            with suppress(KeyboardInterrupt):  # pressed again: told again
                child.wait()
        raise


def read_outcome(run: StudyRun) -> Outcome:
    """What a finished run says."""
    steps = run.recipe.learner.steps  # another study may have gone on from here
    rows = [row for row in read_metrics(run.directory / NAME) if _number(row, "step") <= steps]
    samples_S, curve_S = _curve(rows)
    if not run.held_out:
        return Outcome(run.cell, run.seed, curve_S[-1], 0, samples_S, curve_S)
    evaluation = read_evaluation(run.directory / "eval" / f"{stage_of(run)}.json")
    success = evaluation.summary().success
    return Outcome(run.cell, run.seed, success.rate, success.trials, samples_S, curve_S)


def _curve(rows: Sequence[Mapping[str, Json]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Trajectories played so far, and success; steps that do not say theirs are left out."""
    sizes = [_number(row, "rollout/trajectories") for row in rows]
    name = VALIDATED if any(VALIDATED in row for row in rows) else "success"
    told = [
        (played, size, _number(row, name))
        for played, size, row in zip(accumulate(sizes), sizes, rows, strict=True)
        if name in row
    ]
    span = 1 if name == VALIDATED else min(POOLED, len(told))
    pools = [told[last - span : last] for last in range(span, len(told) + 1) if last]
    samples_S = tuple(pool[-1][0] for pool in pools)
    return samples_S, tuple(_pooled(pool) for pool in pools)


def _pooled(pool: Sequence[tuple[float, float, float]]) -> float:
    """Success of some steps together, by their sizes."""
    return sum(size * rate for _, size, rate in pool) / max(1.0, sum(size for _, size, _ in pool))


def _number(row: Mapping[str, Json], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def budget_of(outcomes: Sequence[Outcome]) -> float:
    """The number of trajectories that every run has played."""
    return min(outcome.samples_S[-1] for outcome in outcomes)


def compare_cells(outcomes: Sequence[Outcome]) -> list[CellResult]:
    """Cells in the order of the study; the first one is the base of all gains."""
    budget = budget_of(outcomes)
    cells: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        cells.setdefault(outcome.cell, []).append(outcome)
    base = {outcome.seed: outcome.success for outcome in next(iter(cells.values()))}
    results = []
    for place, (cell, found) in enumerate(cells.items()):
        gains = [outcome.success - base[outcome.seed] for outcome in found]
        results.append(
            CellResult(
                cell,
                student_mean([outcome.success for outcome in found]),
                student_mean([outcome.at(budget) for outcome in found]),
                student_mean([outcome.at(budget) - outcome.curve_S[0] for outcome in found]),
                student_mean(gains) if place else None,
            )
        )
    return results


def study_json(outcomes: Sequence[Outcome], results: Sequence[CellResult]) -> dict[str, Json]:
    """Everything as plain data."""
    return {
        "trajectories": budget_of(outcomes),
        "cells": [asdict(result) for result in results],
        "runs": [asdict(outcome) for outcome in outcomes],
    }


def draw_study(
    outcomes: Sequence[Outcome], results: Sequence[CellResult], folder: Path
) -> list[Path]:
    """Two plots: success over trajectories, and held-out success with intervals."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    curves, ends = Figure((7, 4.2), layout="constrained"), Figure((7, 4.2), layout="constrained")
    axes = curves.subplots()
    for place, result in enumerate(results):
        for outcome in (each for each in outcomes if each.cell == result.cell):
            axes.plot(outcome.samples_S, outcome.curve_S, color=f"C{place}", alpha=0.6)
        axes.plot([], [], color=f"C{place}", label=result.cell)
    axes.axvline(budget_of(outcomes), color="0.6", linestyle=":", linewidth=1)
    axes.set(xlabel="trajectories played", ylabel="success", ylim=(0, 1))
    axes.legend(fontsize="small")
    bars = ends.subplots()
    means = [result.success for result in results]
    reach = [[m.mean - m.low for m in means], [m.high - m.mean for m in means]]
    bars.errorbar([m.mean for m in means], range(len(means)), xerr=reach, fmt="o", capsize=3)
    bars.set_yticks(range(len(means)), [result.cell for result in results])
    bars.invert_yaxis()
    bars.set(xlabel="success on held-out tasks, mean of seeds (95 %)", xlim=(0, 1))
    paths = [folder / "curves.svg", folder / "success.svg"]
    for figure, path in zip((curves, ends), paths, strict=True):
        FigureCanvasSVG(figure).print_svg(path)
    return paths
