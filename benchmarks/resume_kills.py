"""kill -9 at random moments: what is lost, what comes twice, and whether a resumed run ends bit for
bit like an undisturbed one.

python benchmarks/resume_kills.py [--quick]

A small recipe on real Ray workers and vLLM. Cells: `again`, a second undisturbed run; `driver` and
`worker`, runs whose driver or rollout worker is killed and which are resumed to their end. All of
these are in deterministic mode and compared with the first run, trajectory by trajectory and
adapter by adapter. `normal-...` are killed likewise without that mode: there each (ordinal,
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common import arguments, finish

from tooldojo.configs.loading import load_recipe
from tooldojo.rollouts.ledger import Ledger, ledger
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.runs.checkpoint import latest
from tooldojo.training.runs.fingerprint import Fingerprint, differences, fingerprint

KEYS = [
    "rollout.max_turns=3",
    "rollout.max_turn_tokens=40",
    "rollout.max_inflight=8",  # two blocks a step in deterministic mode
    "rollout.kv_cache_gib=0.25",
    "rollout.deadline=600",  # a busy machine is no reason to fail
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
    normal: int  # of each kind, without deterministic mode


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
    """Kill the run's process at moments within most of the time that an undisturbed run takes (what
    is left of a resumed one is shorter); how often it was hit before it had ended.
    """
    hit = 0
    for _ in range(kills):
        process = job.start()
        try:
            process.wait(moments.uniform(0.0, 0.7 * seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hit += 1
        if process.returncode == 0:
            break
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


def kill_both(job: Job, kills: int, moments: random.Random, seconds: float) -> int:
    """Kill workers for two of five kills, then the run's process with the last worker's blow still
    unsettled, then the process again; how many were hit.
    """
    hit = kill_workers(job, max(1, 2 * kills // 5), moments, 0.5 * seconds)
    process = job.process
    if hit < kills and process is not None and process.poll() is None:
        process.kill()
        process.wait()
        hit += 1 + kill_drivers(job, kills - hit - 1, moments, seconds)
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
        "compared": 0,
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


@dataclass(frozen=True, slots=True)
class Killing:
    """Where runs go, their tag, the luck of the moments, and how long an undisturbed run takes."""

    out: Path
    tag: str
    moments: random.Random
    seconds: float

    def cells(
        self,
        name: str,
        kills: int,
        kill: Callable[[Job, int, random.Random, float], int],
        reference: Fingerprint | None,
    ) -> dict[str, dict]:
        """Runs of one kind until there were so many kills; most of the time it is one run, but one
        that ends before its kills is followed by another.
        """
        found: dict[str, dict] = {}
        while (left := kills - sum(cell["kills"] for cell in found.values())) > 0:
            label = f"{name}-{len(found) + 1}"
            job = Job(self.out / label, KEYS if reference is None else [*KEYS, *EXACT], self.tag)
            hit = kill(job, left, self.moments, self.seconds)
            job.end()
            found[label] = row(job, hit, reference)
        return found


def run_cells(out: Path, plan: Plan, tag: str) -> dict[str, dict]:
    """All cells, one run after the other."""
    first, again = (Job(out / name, [*KEYS, *EXACT], tag) for name in ("first", "again"))
    began = time.monotonic()
    first.end()
    killing = Killing(out, tag, random.Random(tag), time.monotonic() - began)
    again.end()
    reference = fingerprint(first.directory)
    return (
        {"again": row(again, 0, reference)}
        | killing.cells("driver", plan.driver, kill_drivers, reference)
        | killing.cells("worker", plan.worker, kill_workers, reference)
        | killing.cells("normal-driver", plan.normal, kill_drivers, None)
        | killing.cells("normal-worker", plan.normal, kill_workers, None)
    )


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
