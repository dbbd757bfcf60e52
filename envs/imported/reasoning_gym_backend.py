"""reasoning-gym in the outside process: items by (data set, seed), and its own scores of answers.

Runs under `worker.py` and imports nothing of this package. Invariant: an item is made anew from its
seed, so a task needs to carry nothing of it but its question.
"""

from __future__ import annotations

import hashlib
import importlib
from collections import OrderedDict
from typing import Any

KEPT = 64  # items whose answers may be scored without making them again


class Backend:
    """The data sets of the installed package."""

    def __init__(self) -> None:
        self._gym = importlib.import_module("reasoning_gym")
        self._datasets = importlib.import_module("reasoning_gym.factory").DATASETS
        self._kept: OrderedDict[tuple[str, int], tuple[Any, dict]] = OrderedDict()

    def names(self) -> list[str]:
        """All data sets but the one that mixes others."""
        return sorted(name for name in self._datasets if name != "composite")

    def item(self, name: str, seed: int) -> dict[str, Any]:
        """Question, answer (None where the data set stores none) and a digest of the question."""
        _, entry = self._item(name, seed)
        answer = entry.get("answer")
        return {
            "question": entry["question"],
            "answer": None if answer is None else str(answer),
            "digest": _digest(entry),
        }

    def score(self, name: str, seed: int, digest: str, answer: str) -> float:
        """The data set's score of an answer, as it is.

        Raises:
            ValueError: when the generator gives another question than the task's.
        """
        dataset, entry = self._item(name, seed)
        if _digest(entry) != digest:
            raise ValueError(f"{name} no longer gives the question of this task")
        return float(dataset.score_answer(answer=answer, entry=entry))

    def _item(self, name: str, seed: int) -> tuple[Any, dict]:
        key = (name, seed)
        if key not in self._kept:
            dataset = self._gym.create_dataset(name, size=1, seed=seed)
            self._kept[key] = (dataset, dataset[0])
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def _digest(entry: dict) -> str:
    return hashlib.sha256(str(entry["question"]).encode("utf-8", "replace")).hexdigest()[:16]
