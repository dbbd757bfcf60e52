"""A stand-in for reasoning-gym, written by the tests: the same interface, five small data sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tooldojo.envs.imported import outside, reasoning_gym

PACKAGE = """
from .factory import DATASETS, create_dataset
"""
FACTORY = '''
import random

DATASETS = {}


class Sums:
    def __init__(self, size, seed):
        self.seed = seed

    def __getitem__(self, index):
        rng = random.Random(self.seed + index)
        a, b = rng.randrange(1000), rng.randrange(1000)
        return {"question": f"What is {a} + {b}?", "answer": str(a + b), "metadata": {}}

    def score_answer(self, answer, entry):
        return 1.0 if answer.strip() == entry["answer"] else 0.0


class Anything(Sums):
    def score_answer(self, answer, entry):
        return float(bool(answer))


class Runner(Sums):
    def score_answer(self, answer, entry):
        try:
            return float(eval(answer) == int(entry["answer"]))
        except Exception:
            return 0.0


class Careful(Runner):
    """Looks at the answer before it runs it, and takes the builtins away."""

    def score_answer(self, answer, entry):
        if not answer.lstrip("([ ")[:1].isdigit():
            return 0.0
        try:
            return float(eval(answer, {"__builtins__": {}}) == int(entry["answer"]))
        except Exception:
            return 0.0


class Unstored(Sums):
    def __getitem__(self, index):
        return {**super().__getitem__(index), "answer": None}

    def score_answer(self, answer, entry):
        return 0.0


class Sleeper(Sums):
    def score_answer(self, answer, entry):
        if not answer.isdigit():
            import time

            time.sleep(60)
        return super().score_answer(answer, entry)


class Fatal(Sums):
    def score_answer(self, answer, entry):
        if answer == "die":
            import os

            os._exit(3)
        if answer == "print":
            print('{"value": 1.0}', flush=True)
            return 0.25
        if answer == "raise":
            raise KeyError("no such answer")
        return super().score_answer(answer, entry)


class Drifting(Sums):
    made = 0

    def __getitem__(self, index):
        Drifting.made += 1
        entry = super().__getitem__(index)
        return {**entry, "question": f"{entry['question']} ({Drifting.made})"}


for kind in (Sums, Anything, Runner, Careful, Unstored, Sleeper, Fatal, Drifting):
    DATASETS[kind.__name__.lower()] = kind


def create_dataset(name, size, seed):
    return DATASETS[name](size, seed)
'''


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[outside.Outside]:
    """The outside process with the stand-in instead of the package."""
    package = tmp_path / "reasoning_gym"
    package.mkdir()
    (package / "__init__.py").write_text(PACKAGE)
    (package / "factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    process = reasoning_gym.outside()
    yield process
    process.close()
