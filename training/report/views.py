"""What the page says, as plain records: headline, tables, curves, timings and failures.

Pure functions of a run's files as read by `inputs`; refuses HTML. Invariant: a rate never appears
without its interval, and a difference never without the number of tasks it was measured on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tooldojo.training.evaluation.results import Comparison, EvalRow, Evaluation, Summary
from tooldojo.training.evaluation.stats import Mean, PairedDifference, paired_difference
from tooldojo.training.report.plots import Chart, Series, draw
from tooldojo.training.runs.metrics import StepTimings
from tooldojo.verifiers.intervals import Proportion, wilson
from tooldojo.verifiers.records import Json

STAGES = {"base": "Base model", "sft": "SFT", "rl": "RL"}
IN_PROSE = {"base": "the base model"}
MINUS = "\N{MINUS SIGN}"
SPLITS = {
    "test": "New instances",
    "test_combos": "Unseen combinations",
    "test_wordings": "Unseen wordings",
    "val": "Validation",
    "train": "Training",
}


@dataclass(frozen=True, slots=True)
class StageView:
    """One policy's headline number."""

    key: str
    label: str
    policy: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class TableRow:
    """One kind of task: the rate of each stage (None where it was not played) and the last gain."""

    label: str
    tasks: int
    rates: tuple[Proportion | None, ...]
    gain: PairedDifference | None


@dataclass(frozen=True, slots=True)
class TableGroup:
    """Rows that cut the same tasks in one way."""

    title: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table of behaviour; a text per stage."""

    name: str
    about: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """A stage's share of the run's time, in [0, 1]."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class FailureRow:
    """How the trajectories of one stage ended: those that limits ended, and those without
    verdict.
    """

    label: str
    trajectories: int
    answered: int
    truncated: int
    env: int
    infra: int


def stage_label(stage: str) -> str:
    """`rl` as a reader would write it."""
    return STAGES.get(stage, stage)


def ordered(evaluations: Mapping[str, Evaluation]) -> list[Evaluation]:
    """Base, SFT, RL, then others by name; only those with a verdict, and no validations."""
    names = [*(name for name in STAGES if name in evaluations)]
    names += sorted(n for n in evaluations if n not in STAGES and not n.startswith("val"))
    return [evaluations[name] for name in names if evaluations[name].scored]


def stage_views(evaluations: Sequence[Evaluation]) -> tuple[StageView, ...]:
    """The headline's numbers."""
    views = []
    for each in evaluations:
        policy = each.policies[-1] if each.policies else None
        named = f"{policy.name} v{policy.version}" if policy else ""
        views.append(StageView(each.stage, stage_label(each.stage), named, each.summary()))
    return tuple(views)


def sentence(comparison: Comparison) -> str:
    """A comparison in one honest sentence."""
    d = comparison.success
    first, second = (
        IN_PROSE.get(stage, stage_label(stage)) for stage in (comparison.first, comparison.second)
    )
    change = f"{points(d.difference)} points (95 % interval {points(d.low)} to {points(d.high)})"
    detail = f"{d.gained} tasks gained, {d.lost} lost, McNemar {p_text(d.p_value)}"
    if d.low > 0:
        verdict = f"{second} is better than {first}"
    elif d.high < 0:
        verdict = f"{second} is worse than {first}"
    else:
        verdict = f"No difference between {second} and {first} is shown"
    verdict = verdict[0].upper() + verdict[1:]
    return f"{verdict}: {change} on the same {d.tasks} tasks; {detail}."


def points(share: float) -> str:
    """A difference in percentage points, signed, with a true minus."""
    return f"{100 * share:+.1f}".replace("-", MINUS)


def p_text(p_value: float) -> str:
    """A p-value as papers write it."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def tables(evaluations: Sequence[Evaluation]) -> tuple[TableGroup, ...]:
    """The same tasks cut by world, by split, by level, and fully."""
    cuts: list[tuple[str, Callable[[EvalRow], tuple]]] = [
        ("By world", lambda row: (row.world,)),
        ("By kind of novelty", lambda row: (row.split,)),
        ("By level", lambda row: (row.level,)),
    ]
    groups = [TableGroup(title, tuple(_rows(evaluations, key))) for title, key in cuts]
    return tuple(group for group in groups if len(group.rows) > 1)


def full_table(evaluations: Sequence[Evaluation]) -> TableGroup:
    """Every world, split and level apart."""
    key = lambda row: (row.world, row.split, row.level)  # noqa: E731
    return TableGroup("World, split and level", tuple(_rows(evaluations, key)))


def world_table(evaluations: Sequence[Evaluation]) -> TableGroup:
    """One row per world."""
    return TableGroup("By world", tuple(_rows(evaluations, lambda row: (row.world,))))


def _rows(evaluations: Sequence[Evaluation], key: Callable[[EvalRow], tuple]) -> Iterator[TableRow]:
    order = list(SPLITS)
    keys = {key(row) for each in evaluations for row in each.scored}
    place = lambda k: tuple(order.index(p) if p in order else p for p in k)  # noqa: E731
    for value in sorted(keys, key=place):
        inside = [[row for row in each.scored if key(row) == value] for each in evaluations]
        yield TableRow(
            " · ".join(_name(part) for part in value),
            max(len(rows) for rows in inside),
            tuple(_rate(rows) for rows in inside),
            _gain(inside),
        )


def _name(part: str | int) -> str:
    if isinstance(part, int):
        return f"Level {part}"
    return SPLITS.get(part) or world_name(part)


def world_name(env_id: str) -> str:
    """`Orders` for `tooldojo/Orders-v0`, `Orders (nest=1)` for `tooldojo/Orders-v0?nest=1`."""
    plain, _, wrappers = env_id.partition("?")
    name = plain.rpartition("/")[2].rpartition(":")[2].partition("-v")[0]
    return f"{name} ({wrappers.replace('&', ', ')})" if wrappers else name


def _rate(rows: Sequence[EvalRow]) -> Proportion | None:
    return wilson(sum(bool(row.success) for row in rows), len(rows)) if rows else None


def _gain(inside: Sequence[Sequence[EvalRow]]) -> PairedDifference | None:
    """The last stage against the one before it, on the tasks of both."""
    if len(inside) < 2:
        return None
    before = {row.task_id: bool(row.success) for row in inside[-2]}
    pairs = [(before[r.task_id], bool(r.success)) for r in inside[-1] if r.task_id in before]
    return paired_difference([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def measures(summaries: Sequence[Summary]) -> tuple[Measure, ...]:
    """How the policies behave, beside whether they succeed."""

    def line(name: str, about: str, show: Callable[[Summary], str]) -> Measure:
        return Measure(name, about, tuple(show(summary) for summary in summaries))

    return (
        line("Well-formed turns", "share of turns that parse", lambda s: _share(s.well_formed)),
        line("Right tools", "share of the gold's tools called", lambda s: _share(s.tool_selection)),
        line("Exact calls", "share of gold calls made exactly", lambda s: _share(s.arguments)),
        line("Calls that worked", "of all calls made", _worked),
        line("Turns per task", "", lambda s: f"{s.turns.mean:.1f}"),
        line("Sampled tokens per task", "", lambda s: f"{s.sampled_tokens.mean:.0f}"),
    )


def _share(mean: Mean | None) -> str:
    return f"{100 * mean.mean:.0f} %" if mean else "not applicable"


def _worked(summary: Summary) -> str:
    return f"{100 * summary.calls_ok / summary.calls:.0f} %" if summary.calls else "no calls"


CURVES: tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...] = (
    ("Reward per trajectory", False, (("reward", "reward"),)),
    ("Success", True, (("success", "training tasks"), ("val/success", "validation"))),
    ("Entropy (nats per token)", False, (("entropy", "entropy"),)),
    ("KL to the start (nats per token)", False, (("kl", "KL"),)),
    ("KL of an update (nats per token)", False, (("approx_kl", "KL"),)),
    ("Turns per trajectory", False, (("turns", "turns"),)),
    ("Groups without a signal", True, (("groups/dead", "dead groups"),)),
)


def curves(metrics: Sequence[Mapping[str, Json]]) -> tuple[Chart, ...]:
    """The charts whose numbers were logged."""
    charts = []
    for title, percent, lines in CURVES:
        series = [_series(metrics, key, name) for key, name in lines]
        if any(line.steps for line in series):
            charts.append(draw(title, series, percent))
    return tuple(charts)


def _series(metrics: Sequence[Mapping[str, Json]], key: str, name: str) -> Series:
    rows = [row for row in metrics if isinstance(row.get(key), int | float)]
    bands = [row for row in rows if f"{key}/low" in row]

    def column(which: str, among: Sequence[Mapping[str, Json]]) -> tuple[float, ...]:
        return tuple(float(row[which]) for row in among)  # type: ignore[arg-type]

    steps = tuple(int(row["step"]) for row in rows)  # type: ignore[arg-type]
    if len(bands) < len(rows):
        return Series(name, steps, column(key, rows))
    low, high = column(f"{key}/low", rows), column(f"{key}/high", rows)
    return Series(name, steps, column(key, rows), low, high)


def slices(timings: StepTimings | None) -> tuple[Slice, ...]:
    """The run's time by stage, largest first; what no stage claims is `other`."""
    if timings is None or timings.total <= 0:
        return ()
    other = max(0.0, timings.total - sum(timings.stages.values()))
    found = {**timings.stages, "other": other}
    named = sorted(found.items(), key=lambda item: -item[1])
    return tuple(Slice(n, s, s / timings.total) for n, s in named if s > 0.001 * timings.total)


def failure_rows(evaluations: Sequence[Evaluation]) -> tuple[FailureRow, ...]:
    """How each evaluation's trajectories ended."""
    rows = []
    for each in evaluations:
        lost = Counter(r.failure.partition(":")[0] for r in each.rows if r.failure is not None)
        answered = sum(row.ending == "answered" for row in each.scored)
        rows.append(
            FailureRow(
                stage_label(each.stage),
                len(each.rows),
                answered,
                len(each.scored) - answered,
                lost["env"],
                lost["infra"],
            )
        )
    return tuple(rows)


def training_failures(metrics: Sequence[Mapping[str, Json]]) -> FailureRow | None:
    """How the trajectories of training ended, from the logged counts."""

    def of(row: Mapping[str, Json], key: str) -> float:
        value = row.get(key)
        return float(value) if isinstance(value, int | float) else 0.0

    def total(key: str) -> float:
        return sum(of(row, key) for row in metrics)

    def scored(row: Mapping[str, Json]) -> float:
        return of(row, "rollout/trajectories") - of(row, "failed/env") - of(row, "failed/infra")

    played = total("rollout/trajectories")
    if not played:
        return None
    env, infra = total("failed/env"), total("failed/infra")
    truncated = sum(of(row, "truncated") * scored(row) for row in metrics)  # a share of those
    answered = played - env - infra - truncated
    counts = (round(x) for x in (played, answered, truncated, env, infra))
    return FailureRow("Training", *counts)
