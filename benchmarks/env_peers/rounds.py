"""Sides in processes of their own, asked in turns; what comes out of their rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

BENCHMARKS = Path(__file__).parents[1]
OURS = "ours"  # the side that the ratios are about: with its parser
SIDES = {  # by name: a module of this package, and its side
    "bare": "bare_shop:SIDE",
    OURS: "ours_shop:SIDE",
    "ours-parsed": "ours_shop:PARSED",
    "trl": "trl_shop:SIDE",
    "gem": "gem_shop:SIDE",
    "skyrl-gym": "skyrl_shop:SIDE",
    "verifiers-0.4": "verifiers_shop:SIDE",
    "verifiers-0.1": "verifiers_v0_shop:SIDE",
}
ELSEWHERE = frozenset({"gem", "skyrl-gym", "verifiers-0.4", "verifiers-0.1"})  # not installed here


class Missing(LookupError):
    """A side that no interpreter can import, and why."""


class Worker:
    """One side's process; `about` is what it says of itself."""

    def __init__(self, python: str, side: str, records: int) -> None:
        """Raises: Missing, where the interpreter lacks the side's packages."""
        environment = {
            **os.environ,
            "PATH": _joined(str(Path(sys.executable).parent), os.environ["PATH"]),  # for uv
            "PYTHONPATH": _joined(str(BENCHMARKS), os.environ.get("PYTHONPATH")),
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        self._process = subprocess.Popen(
            [python, "-m", "env_peers.worker", side, str(records)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            self.about = self._read()
            if "missing" in self.about:
                raise Missing(self.about["missing"])
        except BaseException:
            self.close()
            raise

    def play(self, seconds: float) -> dict[str, Any]:
        """One round of about so many seconds."""
        assert self._process.stdin
        print(seconds, file=self._process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        """End it; it takes down what it started."""
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Missing("its process ended; what it wrote is above")
        return json.loads(line)


def opened(name: str, pythons: Sequence[str], records: int) -> Worker:
    """A side in the first interpreter that has it.

    Raises:
        Missing: when none has.
    """
    reasons = []
    for python in pythons if name in ELSEWHERE else [sys.executable]:
        try:
            return Worker(python, SIDES[name], records)
        except Missing as reason:
            reasons.append(str(reason))
    raise Missing("; ".join(reasons) or "no interpreter was given (--peers PYTHON)")


def compared(
    records: int, pythons: Sequence[str], rounds: int, seconds: float, names: Sequence[str]
) -> dict[str, Any]:
    """All sides on the task of so many records, a round of each in turns; by name its figures, or
    why it is missing.
    """
    rows: dict[str, Any] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for name in names:
            try:
                workers[name] = opened(name, pythons, records)
                stack.callback(workers[name].close)
            except Missing as reason:
                if name == OURS:
                    raise
                rows[name] = {"missing": str(reason)}
        for _ in range(rounds):
            for name, worker in workers.items():
                found.setdefault(name, []).append(worker.play(seconds))
        rows |= {name: {**w.about, **figures(found[name])} for name, w in workers.items()}
    ours = rows[OURS]["episodes_per_cpu_second"]
    for row in rows.values():
        if "missing" not in row:
            row["ours_over_it"] = round(ours / row["episodes_per_cpu_second"], 3)
    return rows


def figures(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of a side's rounds: microseconds an episode, and episodes a second of one core."""
    cpu = [1e6 * each["cpu"] / each["episodes"] for each in rounds]
    wall = [1e6 * each["wall"] / each["episodes"] for each in rounds]
    names = sorted({name for each in rounds for name in each["parts"]})
    parts = {name: _share(rounds, name) for name in names}
    told = {"share_of_cpu": parts} if parts else {}
    return {
        "episodes": sum(each["episodes"] for each in rounds),
        "episodes_per_cpu_second": round(1e6 / statistics.median(cpu), 3),
        "cpu_us": {
            "median": round(statistics.median(cpu), 1),
            "p95": round(float(np.percentile(cpu, 95)), 1),
        },
        "wall_us": round(statistics.median(wall), 1),
        **told,
    }


def worst_ratio(cells: Mapping[str, Mapping[str, Any]]) -> float | None:
    """The smallest of our episodes a second over those of a peer that validates arguments; None
    where there is no such peer.
    """
    ratios = [
        row["ours_over_it"]
        for rows in cells.values()
        for name, row in rows.items()
        if row.get("validates") and not name.startswith(OURS)
    ]
    return min(ratios, default=None)


def _joined(*places: str | None) -> str:
    return os.pathsep.join(filter(None, places))


def _share(rounds: Sequence[Mapping[str, Any]], name: str) -> float:
    spent = sum(each["parts"].get(name, 0.0) for each in rounds)
    return round(spent / sum(each["cpu"] for each in rounds), 3)
