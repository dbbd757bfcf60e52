"""kill -9 at random moments: what is lost, what comes twice, and whether a resumed run ends bit for
bit like an undisturbed one.

python benchmarks/resume_kills.py [--quick]

A small recipe on real Ray workers and vLLM. Cells: `again`, a second undisturbed run; `driver` and
`worker`, runs whose driver or rollout worker is killed and which are resumed to their end. All of
these are in deterministic mode and compared with the first run, trajectory by trajectory and
adapter by adapter. `normal` is killed both ways without deterministic mode: there each (ordinal,
member) must settle exactly once. `ratio` is the worst cell's share of what is as it must be.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common import arguments, finish

from tooldojo.configs.loading import load_recipe
from tooldojo.rollouts.ledger import Ledger, ledger
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.checkpoint import latest
from tooldojo.training.fingerprint import Fingerprint, differences, fingerprint

KEYS = [
    "rollout.max_turns=3",
    "rollout.max_turn_tokens=40",
    "rollout.max_inflight=8",  # two blocks a step in deterministic mode
    "rollout.kv_cache_gib=0.25",
    "objective.groups=4",
    "objective.group_size=4",
    "objective.call_error_penalty=0.3",  # without SFT the errors alone make rewards differ
    "learner.steps=6",
    "learner.tokens_per_microbatch=4096",
    "run.checkpoint_every=2",
    "run.tensorboard=false",
    "task.val_tasks=8",
    "eval.every=3",
]
EXACT = ["run.deterministic=true", "learner.threads=2"]
TAG = "TOOLDOJO_RESUME_KILLS"  # in the environment of all processes of this benchmark
WORKER = "ray::RolloutWorker"
LEAVING = 90.0  # seconds in which every process must be gone; Ray's agents take one minute


@dataclass(frozen=True, slots=True)
class Plan:
    """How many kills, of whom."""

    driver: int
    worker: int
    normal: int  # of each


@dataclass(slots=True)
class Job:
    """One run directory under one recipe; `lives` counts the processes that it took."""

    directory: Path
    keys: list[str]
    tag: str
    lives: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the run, or go on with it."""
        begun = (self.directory / "config.toml").exists()
        command = [sys.executable, "-m", "tooldojo.training.cli", "train", *self.keys]
        command += [f"run.dir={self.directory}", *(["--resume"] if begun else [])]
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.lives += 1
        with self.directory.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, TAG: self.tag},
                start_new_session=True,
            )
        return self.process

    def end(self) -> None:
        """Go on until the run has ended by itself; a run that fails again and again stops all."""
        failures = 0
        process = self.process if self.process is not None else self.start()
        while process.wait():
            failures += 1
            if failures > 3:
                sys.exit(f"{self.directory} does not end; see its .log")
            process = self.start()


def processes(tag: str) -> Iterator[tuple[int, str]]:
    """Process id and command line of everything that carries the tag, zombies left out."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{TAG}={tag}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                yield int(folder.name), words
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def kill_drivers(job: Job, kills: int, moments: random.Random, seconds: float) -> int:
    """Kill the run's process at moments within the time that an undisturbed run takes; how often
    it was hit before it had ended.
    """
    hit = 0
    for _ in range(kills):
        process = job.start()
        try:
            process.wait(moments.uniform(0.0, seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hit += 1
    job.process = None
    return hit


def kill_workers(job: Job, kills: int, moments: random.Random, seconds: float) -> int:
    """Kill a worker of the running job now and then; how often there was one to kill."""
    process, hit = job.start(), 0
    while hit < kills and process.poll() is None:
        time.sleep(moments.uniform(0.0, seconds / kills))
        for pid, words in processes(job.tag):
            if words.startswith(WORKER):
                os.kill(pid, signal.SIGKILL)
                hit += 1
                break
    return hit


def settled(job: Job) -> Ledger:
    """The ledger of a finished run."""
    checkpoint = latest(job.directory / "state")
    if checkpoint is None:
        sys.exit(f"{job.directory} has no checkpoint; see its .log")
    size = load_recipe(str(job.directory / "config.toml")).objective.group_size
    rows = TrajectoryStore(job.directory / "trajectories").read("train")
    return ledger(rows, int(str(checkpoint.source["ordinal"])), size)


def row(job: Job, kills: int, reference: Fingerprint | None) -> dict:
    """A cell's figures; share: of what is as it must be."""
    found = settled(job)
    wrong, total = len(found.lost) + len(found.duplicated), len(found.settled) + len(found.lost)
    about: dict = {
        "kills": kills,
        "lives": job.lives,
        "lost": len(found.lost),
        "duplicated": len(found.duplicated),
        "settled": found.counts(),
        "share": 1 - wrong / max(1, total),
    }
    if reference is not None:
        mine = fingerprint(job.directory)
        odd = differences(reference, mine)
        count = len(reference.trajectories) + len(reference.adapters)
        about |= {"differences": odd[:5], "bit_equal": not odd, "compared": count}
        about["share"] = min(about["share"], max(0.0, 1 - len(odd) / count))
    return about


def orphans(tag: str) -> list[str]:
    """Command lines of processes that are still there after a while."""
    end = time.monotonic() + LEAVING
    while (left := [words for _, words in processes(tag)]) and time.monotonic() < end:
        time.sleep(1.0)
    return left


def run_cells(out: Path, plan: Plan, tag: str) -> dict[str, dict]:
    """All cells, one run after the other."""
    moments = random.Random(uuid.UUID(tag).int)
    exact = [*KEYS, *EXACT]
    first = Job(out / "first", exact, tag)
    began = time.monotonic()
    first.end()
    seconds = time.monotonic() - began
    reference, cells = fingerprint(first.directory), {}
    again = Job(out / "again", exact, tag)
    again.end()
    cells["again"] = row(again, 0, reference)
    hits, attempt = 0, 0
    while hits < plan.driver:  # a run that ended before its kills is compared, and another begun
        job = Job(out / f"driver-{attempt}", exact, tag)
        more = kill_drivers(job, plan.driver - hits, moments, seconds)
        job.end()
        hits, attempt = hits + more, attempt + 1
        cells[f"driver-{attempt}"] = row(job, more, reference)
    worker = Job(out / "worker", exact, tag)
    hits = kill_workers(worker, plan.worker, moments, seconds)
    worker.end()
    cells["worker"] = row(worker, hits, reference)
    normal = Job(out / "normal", KEYS, tag)
    hits = kill_drivers(normal, plan.normal, moments, seconds)
    hits += kill_workers(normal, plan.normal, moments, seconds)
    normal.end()
    cells["normal"] = row(normal, hits, None)
    return cells


def main() -> None:
    """Run the cells in fresh directories and print the worst."""
    args = arguments(__doc__ or "")
    plan = Plan(3, 2, 1) if args.quick else Plan(10, 5, 3)
    out, tag = args.out / "resume-kills", uuid.uuid4().hex
    shutil.rmtree(out, ignore_errors=True)
    cells = run_cells(out, plan, tag)
    left = orphans(tag)
    finish(
        {
            "cells": cells,
            "kills": sum(cell["kills"] for cell in cells.values()),
            "lost": sum(cell["lost"] for cell in cells.values()),
            "duplicated": sum(cell["duplicated"] for cell in cells.values()),
            "bit_equal": all(cell.get("bit_equal", True) for cell in cells.values()),
            "orphans": left,
            "ratio": min(cell["share"] for cell in cells.values()),
        }
    )


if __name__ == "__main__":
    main()
