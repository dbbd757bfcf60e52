"""What the rules look at: a run's metrics, evaluations and trajectories as plain numbers.

Owns reading; refuses judging. Invariant: nothing heavy is imported, and a file that is missing is
an empty field, not an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import pyarrow.compute as pc

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.whole_files import opened_shard, read_json
from tooldojo.training.report.inputs import ReportError
from tooldojo.training.runs.metrics import NAME, read_metrics
from tooldojo.verifiers.records import Json, StopReason

WINDOW = 0.25  # the beginning and the end of a run are each so much of it
TRAIN = "train"

_COLUMNS = ["ending", "ids", "turns"]


@dataclass(frozen=True, slots=True)
class Played:
    """Trajectories of training. lengths in tokens, prompt included; malformed: turns that did not
    parse.
    """

    scored: int = 0
    failed: int = 0
    turns: int = 0
    malformed: int = 0
    scored_length: float = 0.0
    failed_length: float = 0.0


@dataclass(frozen=True, slots=True)
class Trend:
    """A metric's mean over the first and the last quarter of the steps that have it."""

    first: float
    last: float

    @property
    def change(self) -> float:
        """Last minus first."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Symptoms:
    """A run's numbers. metrics: rows of metrics.jsonl; evaluations: their summaries by stage."""

    recipe: Recipe
    metrics: Sequence[Mapping[str, Json]]
    evaluations: Mapping[str, Mapping[str, Json]]
    played: Played

    def values(self, name: str) -> list[float]:
        """A metric's finite values in the order of steps."""
        found = [row.get(name) for row in self.metrics]
        return [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]

    def trend(self, name: str, least: int = 4) -> Trend | None:
        """How a metric moved; None where fewer than `least` steps have it."""
        values = self.values(name)
        if len(values) < least:
            return None
        size = max(1, round(WINDOW * len(values)))
        return Trend(fmean(values[:size]), fmean(values[-size:]))

    def last(self, name: str) -> float | None:
        """The mean over the last quarter; None where the metric is missing."""
        values = self.values(name)
        return fmean(values[-max(1, round(WINDOW * len(values))) :]) if values else None


def read_symptoms(run: Path) -> Symptoms:
    """Read a run directory.

    Raises:
        ReportError: where there is no run.
    """
    if not (run / "config.toml").exists():
        raise ReportError(f"{run} holds no run: it has no config.toml; give a run directory")
    summaries = {
        path.stem: read_json(path).get("summary") or {} for path in sorted(run.glob("eval/*.json"))
    }
    folder = run / "trajectories"
    played = read_played(TrajectoryStore(folder)) if folder.is_dir() else Played()
    recipe = load_recipe(str(run / "config.toml"))
    return Symptoms(recipe, read_metrics(run / NAME), summaries, played)


def read_played(store: TrajectoryStore) -> Played:
    """The training trajectories of a store, counted."""
    turns = malformed = 0
    lengths: dict[bool, list[int]] = {True: [], False: []}
    for path in store.shards(TRAIN):
        with opened_shard(path, _COLUMNS) as file:
            table = file.read(_COLUMNS)
        tokens = pc.list_value_length(table["ids"])  # pyright: ignore[reportAttributeAccessIssue]
        columns = (table["ending"], tokens, table["turns"])
        for ending, length, text in zip(*(c.to_pylist() for c in columns), strict=True):
            scored = ENDINGS[StopReason(ending)].trains
            lengths[scored].append(length)
            if scored:
                played = [turn for segment in json.loads(text) for turn in segment]
                turns += len(played)
                malformed += sum(turn["malformed"] is not None for turn in played)
    return Played(
        len(lengths[True]),
        len(lengths[False]),
        turns,
        malformed,
        median(lengths[True]) if lengths[True] else 0.0,
        median(lengths[False]) if lengths[False] else 0.0,
    )
