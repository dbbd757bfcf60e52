"""What a held-out evaluation says: rows per task, summaries with intervals, paired comparison.

Reads scores only, never rewards. Invariant: a trajectory without a verdict is in no mean; it is
counted apart, and more than `MAX_FAILED` of them make the evaluation an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tooldojo.envs.registry import stored_id
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.rollouts.whole_files import read_json
from tooldojo.training.evaluation.stats import (
    Mean,
    PairedDifference,
    bootstrap_mean,
    paired_difference,
)
from tooldojo.verifiers.intervals import Proportion, wilson
from tooldojo.verifiers.records import Json

MAX_FAILED = 0.02


class EvaluationError(RuntimeError):
    """An evaluation that says nothing about the policy; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One task, played once.

    success, value: None where there is no verdict; `failure` then says why. well_formed: share of
    turns that came to their end and parsed. tool_selection: share of the gold calls' tool names
    that were called; arguments: share of the gold calls that were made exactly; both None for a
    gold without calls.
    """

    task_id: str
    world: str
    level: int
    template: str
    condition: str
    split: str
    ending: str
    success: bool | None
    value: float | None
    components: dict[str, float]
    turns: int
    sampled_tokens: int
    seconds: float
    calls: int
    calls_ok: int
    tool_selection: float | None
    arguments: float | None
    well_formed: float | None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """Success within one world, level and split."""

    world: str
    level: int
    split: str
    success: Proportion
    value: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the tasks with a verdict; those without are `failed`, by class. truncated: share,
    in [0, 1].
    """

    tasks: int
    failed: dict[str, int]
    endings: dict[str, int]
    success: Proportion
    value: Mean
    turns: Mean
    sampled_tokens: Mean
    seconds: Mean
    tool_selection: Mean | None
    arguments: Mean | None
    well_formed: Mean | None
    calls: int
    calls_ok: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One policy's rows, with where they were played. stage: `base`, `sft`, `rl`, or any other
    name.
    """

    stage: str
    temperature: float
    seed: int
    rows: tuple[EvalRow, ...]
    engines: tuple[EngineId, ...] = ()
    policies: tuple[PolicyRef, ...] = ()

    @property
    def scored(self) -> tuple[EvalRow, ...]:
        """The rows with a verdict."""
        return tuple(row for row in self.rows if row.success is not None)

    def summary(self) -> Summary:
        """The whole evaluation in one record.

        Raises:
            EvaluationError: when no row has a verdict.
        """
        rows = self.scored
        if not rows:
            raise EvaluationError(f"evaluation {self.stage!r} has no task with a verdict")
        failed = Counter(r.failure.partition(":")[0] for r in self.rows if r.failure is not None)
        return Summary(
            len(self.rows),
            dict(failed),
            dict(Counter(row.ending for row in self.rows).most_common()),
            wilson(sum(bool(row.success) for row in rows), len(rows)),
            bootstrap_mean([row.value or 0.0 for row in rows]),
            bootstrap_mean([row.turns for row in rows]),
            bootstrap_mean([row.sampled_tokens for row in rows]),
            bootstrap_mean([row.seconds for row in rows]),
            _mean_of(row.tool_selection for row in rows),
            _mean_of(row.arguments for row in rows),
            _mean_of(row.well_formed for row in rows),
            sum(row.calls for row in rows),
            sum(row.calls_ok for row in rows),
        )

    def within(self, worlds: Collection[str]) -> Evaluation:
        """Only the tasks of these worlds."""
        ids = set(map(stored_id, worlds))
        return replace(self, rows=tuple(row for row in self.rows if row.world in ids))

    def outside(self, worlds: Collection[str]) -> Evaluation:
        """Only the tasks of other worlds."""
        ids = set(map(stored_id, worlds))
        return replace(self, rows=tuple(row for row in self.rows if row.world not in ids))

    def of_split(self, split: str) -> Evaluation:
        """Only the tasks of one split."""
        return replace(self, rows=tuple(row for row in self.rows if row.split == split))

    def figures(self, name: str) -> dict[str, float]:
        """Success with its interval, as metrics called `name/success`, and the mean value."""
        summary = self.summary()
        success = summary.success
        return {
            f"{name}/success": success.rate,
            f"{name}/success/low": success.low,
            f"{name}/success/high": success.high,
            f"{name}/value": summary.value.mean,
        }

    def cells(self) -> tuple[Cell, ...]:
        """Success per world, level and split, in that order."""
        keys = sorted({(row.world, row.split, row.level) for row in self.scored})
        return tuple(self._cell(*key) for key in keys)

    def _cell(self, world: str, split: str, level: int) -> Cell:
        rows = [r for r in self.scored if (r.world, r.split, r.level) == (world, split, level)]
        value = sum(row.value or 0.0 for row in rows) / len(rows)
        return Cell(
            world, level, split, wilson(sum(bool(r.success) for r in rows), len(rows)), value
        )

    def to_json(self) -> dict[str, Json]:
        """Plain-data form, with the derived summary and cells for other readers; `from_json` is its
        inverse.
        """
        return {
            "stage": self.stage,
            "temperature": self.temperature,
            "seed": self.seed,
            "engines": [asdict(engine) for engine in self.engines],
            "policies": [asdict(policy) for policy in self.policies],
            "summary": asdict(self.summary()) if self.scored else None,
            "cells": [asdict(cell) for cell in self.cells()],
            "rows": [asdict(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, data: dict) -> Evaluation:
        """Inverse of `to_json`; summary and cells are derived again from the rows."""
        rows = tuple(EvalRow(**row) for row in data["rows"])
        engines = tuple(EngineId(**engine) for engine in data["engines"])
        policies = tuple(PolicyRef(**policy) for policy in data["policies"])
        return cls(data["stage"], data["temperature"], data["seed"], rows, engines, policies)


def read_evaluation(path: Path) -> Evaluation:
    """An evaluation from its JSON file."""
    return Evaluation.from_json(read_json(path))


def _mean_of(values: Iterable[float | None]) -> Mean | None:
    known = [value for value in values if value is not None]
    return bootstrap_mean(known) if known else None


def check_failures(evaluation: Evaluation) -> None:
    """Refuse an evaluation of which too much is missing.

    Raises:
        EvaluationError: with the count, the limit and the commonest reason.
    """
    reasons = Counter(row.failure for row in evaluation.rows if row.failure is not None)
    failed, total = sum(reasons.values()), len(evaluation.rows)
    if failed > MAX_FAILED * total:
        reason, count = reasons.most_common(1)[0]
        raise EvaluationError(
            f"evaluation {evaluation.stage!r}: {failed} of {total} tasks got no verdict, more than "
            f"{MAX_FAILED:.0%}; {count} times {reason}. Repair that and evaluate again"
        )


@dataclass(frozen=True, slots=True)
class CellDifference:
    """The paired difference within one world, level and split."""

    world: str
    level: int
    split: str
    success: PairedDifference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Second minus first on the tasks that both have a verdict for; `left_out` is how many lack one
    or a partner.
    """

    first: str
    second: str
    success: PairedDifference
    value: Mean
    cells: tuple[CellDifference, ...]
    left_out: int

    def to_json(self) -> dict[str, Json]:
        """Plain-data form."""
        return asdict(self)


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Two policies, task by task.

    Raises:
        EvaluationError: when the two share no task, or were sampled at different temperatures or
        seeds.
    """
    for name, one, other in (
        ("temperature", first.temperature, second.temperature),
        ("seed", first.seed, second.seed),
    ):
        if one != other:
            raise EvaluationError(
                f"{first.stage!r} was evaluated with {name} {one} and {second.stage!r} with "
                f"{other}; evaluate both under the same settings"
            )
    before = {row.task_id: row for row in first.scored}
    after = {row.task_id: row for row in second.scored}
    shared = [task_id for task_id in before if task_id in after]
    if not shared:
        raise EvaluationError(
            f"{first.stage!r} and {second.stage!r} share no task; evaluate both on the same tasks"
        )
    pairs = [(before[task_id], after[task_id]) for task_id in shared]
    everything = {row.task_id for row in (*first.rows, *second.rows)}
    return Comparison(
        first.stage,
        second.stage,
        _difference(pairs),
        bootstrap_mean([(b.value or 0.0) - (a.value or 0.0) for a, b in pairs]),
        tuple(_cell_differences(pairs)),
        len(everything) - len(shared),
    )


def _difference(pairs: Sequence[tuple[EvalRow, EvalRow]]) -> PairedDifference:
    return paired_difference(
        [bool(a.success) for a, _ in pairs], [bool(b.success) for _, b in pairs]
    )


def _cell_differences(pairs: Sequence[tuple[EvalRow, EvalRow]]) -> Iterable[CellDifference]:
    for world, split, level in sorted({(a.world, a.split, a.level) for a, _ in pairs}):
        inside = [p for p in pairs if (p[0].world, p[0].split, p[0].level) == (world, split, level)]
        yield CellDifference(world, level, split, _difference(inside))
