"""What a side had done by when, and the adapters it had by then.

Owns `timeline.json` and `adapters/` of a side's directory. Invariant: seconds are the side's own;
what the benchmark does between two steps (saving an adapter for the evaluation) is not in them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import Stolen

from tooldojo.rollouts.whole_files import write_json

NAME = "timeline.json"
SPAN = 5  # steps


@dataclass(frozen=True, slots=True)
class Budget:
    """What a side may use: seconds of training and steps, whatever ends first.

    every: seconds of training between two adapters that are kept for the evaluation. enough: mean
    reward of `SPAN` steps that ends a side before.
    """

    seconds: float
    steps: int
    every: float
    enough: float = math.inf


@dataclass(frozen=True, slots=True)
class Mark:
    """A finished step. seconds, trajectories, tokens (sampled): since training began, start-up
    apart. reward: mean of the step. adapter: its directory, where it was kept.
    """

    step: int
    seconds: float
    trajectories: int
    tokens: int
    reward: float
    adapter: str | None


class Timeline:
    """Marks of one side, written to disk when its budget is spent."""

    def __init__(self, folder: Path, budget: Budget, save: Callable[[Path], None]) -> None:
        """save: writes the adapter as it stands to a directory."""
        self.folder, self.budget, self._save = folder, budget, save
        self.marks: list[Mark] = []
        self.startup = 0.0
        self._opened = self._began = time.perf_counter()
        self._kept = 0.0
        self._stolen = Stolen()

    def begin(self) -> None:
        """Training begins; what came before is start-up."""
        self._began = time.perf_counter()
        self.startup = self._began - self._opened
        self._stolen = Stolen()

    def add(self, trajectories: int, tokens: int, reward: float) -> bool:
        """Note a finished step; returns whether the budget is spent."""
        now = time.perf_counter()
        last = self.marks[-1] if self.marks else Mark(0, 0.0, 0, 0, 0.0, None)
        seconds, step = now - self._began, last.step + 1
        lately = [reward, *(mark.reward for mark in self.marks[:-SPAN:-1])]
        enough = len(lately) == SPAN and sum(lately) / SPAN >= self.budget.enough
        spent = enough or seconds >= self.budget.seconds or step >= self.budget.steps
        adapter = None
        if spent or seconds - self._kept >= self.budget.every:
            adapter, self._kept = self.folder / "adapters" / f"{step:05d}", seconds
            self._save(adapter)
        played, sampled = last.trajectories + trajectories, last.tokens + tokens
        kept = str(adapter) if adapter else None
        self.marks.append(Mark(step, round(seconds, 3), played, sampled, reward, kept))
        print(f"{self.folder.name}: step {step}, {seconds:.1f} s, reward {reward:.3f}", flush=True)
        self._began += time.perf_counter() - now
        return spent

    def write(self, about: dict[str, Any]) -> None:
        """Everything to `timeline.json`; about: what else is to be known of the run."""
        marks = [asdict(mark) for mark in self.marks]
        own = {"startup_seconds": round(self.startup, 2), "stolen": self._stolen.share()}
        write_json(self.folder / NAME, {**own, **about, "marks": marks})


def speed(marks: Sequence[Mark]) -> dict[str, float]:
    """Seconds per step, trajectories per step, sampled tokens per second, over all steps but the
    first, which warms up.

    Raises:
        ValueError: for fewer than two steps.
    """
    if len(marks) < 2:
        raise ValueError(f"{len(marks)} steps say nothing about speed; raise the budget")
    first, last = marks[0], marks[-1]
    steps, seconds = last.step - first.step, last.seconds - first.seconds
    return {
        "steps": last.step,
        "seconds_per_step": seconds / steps,
        "trajectories_per_step": (last.trajectories - first.trajectories) / steps,
        "tokens_per_second": (last.tokens - first.tokens) / seconds,
    }
