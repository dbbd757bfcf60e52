"""From a run's data to the finished HTML text: what goes where, and the template's small words.

Invariant: everything that came from a model or a file is escaped; only our own SVG is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import tomli_w
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from tooldojo.configs.schema import Recipe
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.whole_files import write_text
from tooldojo.training.evaluation.results import Evaluation, compare
from tooldojo.training.report import views
from tooldojo.training.report.inputs import Pair, RunData, read_run
from tooldojo.training.report.plots import Chart
from tooldojo.training.report.provenance import Provenance
from tooldojo.training.runs.metrics import bottleneck_line, total_timings
from tooldojo.verifiers.records import Json

NBSP = "\N{NO-BREAK SPACE}"
ENGINES = {"vllm": "vLLM", "transformers": "transformers"}


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the template shows, in its order."""

    title: str
    headline: str
    lead: str
    stages: tuple[views.StageView, ...]
    sentences: tuple[str, ...]
    fine: str
    charts: tuple[Chart, ...]
    pairs: tuple[Pair, ...]
    tables: tuple[views.TableGroup, ...]
    full: views.TableGroup
    transfer: tuple[views.TableGroup, ...]
    measures: tuple[views.Measure, ...]
    slices: tuple[views.Slice, ...]
    bottleneck: str
    failures: tuple[views.FailureRow, ...]
    provenance: Provenance
    engine_kind: str
    versions: tuple[tuple[str, str], ...]
    summary: tuple[tuple[str, str], ...]
    recipe: str
    directory: str


def build_page(run: RunData) -> Page:
    """Arrange a run's data."""
    evaluations = views.ordered(run.evaluations)
    own = [each.within(run.recipe.task.worlds) for each in evaluations]
    own = [each for each in own if each.scored]
    new = [each.of_split(Split.TEST) for each in own]
    new = new if new and all(each.scored for each in new) else own
    other = [each.outside(run.recipe.task.worlds) for each in evaluations]
    stages = views.stage_views(new)
    timings = total_timings(run.metrics)
    trained = views.training_failures(run.metrics)
    return Page(
        title=f"{run.directory.name} · Tooldojo",
        headline=_headline(stages, run.recipe),
        lead=_lead(run),
        stages=stages,
        sentences=_sentences(new),
        fine=_fine(new, run.recipe),
        charts=views.curves(run.metrics),
        pairs=run.pairs,
        tables=views.tables(own),
        full=views.full_table(own),
        transfer=_transfer(other),
        measures=views.measures([each.summary() for each in own]),
        slices=views.slices(timings),
        bottleneck=bottleneck_line(timings) if timings else "",
        failures=(*([trained] if trained else []), *views.failure_rows(evaluations)),
        provenance=run.provenance,
        engine_kind=ENGINES.get(run.recipe.rollout.engine, run.recipe.rollout.engine),
        versions=_flat(run.versions),
        summary=_flat({k: v for k, v in run.summary.items() if k != "versions"}),
        recipe=_toml(run.recipe),
        directory=run.directory.name,
    )


def render(page: Page) -> str:
    """The finished HTML."""
    folder = files("tooldojo.training.report")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "pct": lambda share: f"{100 * share:.1f}{NBSP}%" if 0 < share < 0.1 else _percent(share),
        "pct0": _percent,
        "between": lambda p: f"{100 * p.low:.0f}–{100 * p.high:.0f}{NBSP}%",  # noqa: RUF001
        "points": views.points,
        "world": views.world_name,
        "plain": _tokens,
        "thousands": lambda count: f"{count:,}".replace(",", "\u202f"),
        "duration": _duration,
    }
    template = environment.from_string((folder / "report.html.jinja").read_text(encoding="utf-8"))
    css = Markup((folder / "style.css").read_text(encoding="utf-8"))
    return template.render(page=page, css=css)


def write_report(run: Path, chat: Chat | None = None) -> Path:
    """Write `report.html` into a run directory; chat: of the run's policy, by default the recipe's.

    Raises:
        ReportError: where there is no run. ProvenanceError: where a trajectory came from elsewhere.
    """
    target = run / "report.html"
    write_text(target, render(build_page(read_run(run, chat))))
    return target


def _percent(share: float) -> str:
    return f"{100 * share:.0f}{NBSP}%"


_TAG = re.compile(r"\s*(&lt;\|?/?\w+\|?&gt;)\s*")


def _tokens(text: str) -> Markup:
    """Sampled text with control tokens dimmed: they were sampled too, but are not for reading."""
    return Markup(_TAG.sub(r'<span class="tok">\1</span>', str(escape(text.strip()))))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _headline(stages: Sequence[views.StageView], recipe: Recipe) -> str:
    worlds = _listed([views.world_name(world) for world in recipe.task.worlds])
    if not stages:
        return f"A run on {worlds}"
    last = _percent(stages[-1].summary.success.rate)
    if len(stages) == 1:
        return f"{last} of held-out {worlds} tasks solved"
    first = _percent(stages[0].summary.success.rate)
    return f"From {first} to {last} of held-out {worlds} tasks"


def _lead(run: RunData) -> str:
    """What was done, as far as it has been done."""
    recipe, objective = run.recipe, run.recipe.objective
    model = "The default policy" if recipe.policy.model == "default" else recipe.policy.model
    parts = [f"{model}, with a LoRA adapter of rank {recipe.policy.lora_rank}"]
    if "sft" in run.evaluations:
        parts.append(f"warmed up on {recipe.task.demos} verified demonstrations")
    if run.metrics:
        method = objective.method.upper().replace("_", " ")
        parts.append(
            f"trained for {run.metrics[-1]['step']} steps of {method} on {objective.groups} groups "
            f"of {objective.group_size} trajectories"
        )
    engine = ENGINES.get(recipe.rollout.engine, recipe.rollout.engine)
    return f"{', '.join(parts)}. Played by {engine}."


def _sentences(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Each stage against the one before it, the last first."""
    pairs = list(pairwise(evaluations))
    return tuple(views.sentence(compare(first, second)) for first, second in reversed(pairs))


def _fine(evaluations: Sequence[Evaluation], recipe: Recipe) -> str:
    if not evaluations:
        return ""
    same = "the same tasks under the same seeds for every policy" if len(evaluations) > 1 else ""
    played = f"Each task was played once at temperature {recipe.eval.temperature:g}"
    return (
        f"{played}{', ' if same else ''}{same}. Training never saw these tasks. Intervals at 95 %: "
        "Wilson for rates, Newcombe's method 10 for paired differences."
    )


def _transfer(evaluations: Sequence[Evaluation]) -> tuple[views.TableGroup, ...]:
    if not any(each.scored for each in evaluations):
        return ()
    return (views.world_table(evaluations),)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _flat(data: dict[str, Json], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Nested plain data as lines of name and text."""
    lines: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append((prefix + name, _text(value)))
    return tuple(lines)


def _text(value: Json) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _toml(recipe: Recipe) -> str:
    plain = recipe.model_dump(mode="json")
    kept = {s: {k: v for k, v in keys.items() if v is not None} for s, keys in plain.items()}
    return tomli_w.dumps(kept)
