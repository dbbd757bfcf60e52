"""Stopped and killed runs on real parts: they end at once, leave no process, and go on."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from resume_kills import EXACT, KEYS, TAG, Job, Killing, kill_both, orphans, processes

from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.runs.fingerprint import fingerprint

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
SMALL = [
    "rollout.max_turns=3",
    "rollout.max_turn_tokens=40",
    "rollout.kv_cache_gib=0.25",
    "objective.groups=4",
    "objective.group_size=4",
    "run.checkpoint_every=1",
    "run.tensorboard=false",
    "eval.every=0",
]


@pytest.mark.timeout(1800)
def test_a_run_killed_five_times_ends_bit_for_bit_like_an_undisturbed_one(tmp_path: Path) -> None:
    tag = uuid.uuid4().hex
    first = Job(tmp_path / "first", [*KEYS, *EXACT], tag)
    began = time.monotonic()
    first.end()
    killing = Killing(tmp_path, tag, random.Random(7), time.monotonic() - began)
    cells = killing.cells("both", 5, kill_both, fingerprint(first.directory))
    assert sum(cell["kills"] for cell in cells.values()) == 5
    for cell in cells.values():
        assert cell["bit_equal"], cell["differences"]
        assert (cell["lost"], cell["duplicated"], cell["share"]) == (0, 0, 1.0)
    assert orphans(tag) == []


@dataclass
class Stopped:
    """A command that Ctrl-C ended, and what it printed."""

    seconds: float
    code: int
    text: str
    left: list[str]

    @property
    def go_on(self) -> list[str]:
        """The arguments of the command that it printed."""
        words = shlex.split(self.text.rpartition("go on with: ")[2].splitlines()[0])
        return words[words.index("tooldojo.training.cli") + 1 :]


def interrupt(args: list[str], begun: Callable[[], bool], log: Path) -> Stopped:
    """Start a command and, once it is under way, press Ctrl-C as a terminal does: for its group."""
    tag = uuid.uuid4().hex
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tooldojo.training.cli", *args],
            stdout=out,
            stderr=out,
            env={**os.environ, TAG: tag},
            start_new_session=True,
        )
    end = time.monotonic() + 300
    while not begun() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert process.poll() is None, log.read_text()[-2000:]
    os.killpg(process.pid, signal.SIGINT)
    pressed = time.monotonic()
    code = process.wait(120)
    seconds = time.monotonic() - pressed
    time.sleep(2.0)  # for the kernel to take away what was killed last
    return Stopped(seconds, code, log.read_text(), [words for _, words in processes(tag)])


def go_on(stopped: Stopped, *instead: str) -> subprocess.CompletedProcess[str]:
    """Run the printed command, or other arguments."""
    command = [sys.executable, "-m", "tooldojo.training.cli", *(instead or stopped.go_on)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check(stopped: Stopped) -> None:
    """It ended cleanly, at once, and said how to go on."""
    assert stopped.code == 130, stopped.text[-2000:]
    assert stopped.left == []
    assert stopped.go_on[-1] == "--resume"
    assert "Traceback" not in stopped.text
    assert stopped.seconds < 20


@pytest.mark.slow
def test_training_stops_moves_and_goes_on(tmp_path: Path) -> None:
    run, moved = tmp_path / "run", tmp_path / "elsewhere" / "run"
    args = ["train", *SMALL, "learner.steps=5", f"run.dir={run}"]
    stopped = interrupt(args, (run / "state" / "step-000002").exists, tmp_path / "log")
    check(stopped)
    moved.parent.mkdir()
    run.rename(moved)
    done = go_on(stopped, "train", str(moved), "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    assert not run.exists()
    steps = [json.loads(line)["step"] for line in (moved / "metrics.jsonl").open()]
    assert steps == [1, 2, 3, 4, 5]
    places = [
        (row.step, row.trajectory.ordinal, row.trajectory.member)
        for row in TrajectoryStore(moved / "trajectories").read("train")
    ]
    assert len(places) == len(set(places)) and {step for step, *_ in places} == set(range(5))


@pytest.mark.slow
def test_the_warm_start_stops_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    keys = ["task.demos=64", "sft.epochs=6", "sft.eval_every=3", "task.val_tasks=8"]
    stopped = interrupt(
        ["sft", *SMALL, *keys, f"run.dir={run}"],
        lambda: any(run.glob("sft/checkpoint-*/trainer_state.json")),
        tmp_path / "log",
    )
    check(stopped)
    assert not (run / "adapters").exists()
    done = go_on(stopped)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (run / "adapters" / "sft" / "adapter_model.safetensors").exists()


@pytest.mark.slow
def test_an_evaluation_stops_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "eval"
    keys = ["eval.tasks=96", "rollout.max_inflight=8"]
    stopped = interrupt(
        ["eval", *SMALL, *keys, "--out", str(out), "--json"],
        lambda: any(out.glob("trajectories/policy-*.parquet")),
        tmp_path / "log",
    )
    check(stopped)
    before = len(list(TrajectoryStore(out / "trajectories").read("policy")))
    assert 64 <= before < 192
    command = json.loads(stopped.text.splitlines()[-1])["go_on"]
    assert shlex.split(command)[-len(stopped.go_on) :] == stopped.go_on
    done = go_on(stopped)
    assert done.returncode == 0, done.stderr[-2000:]
    ordinals = [r.trajectory.ordinal for r in TrajectoryStore(out / "trajectories").read("policy")]
    assert len(ordinals) == len(set(ordinals)) == 192
    assert len(json.loads((out / "policy.json").read_text())["rows"]) == 192


@pytest.mark.slow
def test_base_training_stops_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "base"
    under_way: list[float] = []

    def begun() -> bool:
        if (out / "bpe.json").exists() and not under_way:
            under_way.append(time.monotonic())
        return bool(under_way) and time.monotonic() - under_way[0] > 30

    args = ["base", "--out", str(out), "--tokens", "4000000"]
    stopped = interrupt(args, begun, tmp_path / "log")
    check(stopped)
    assert (out / "checkpoint.pt").exists()
    log = tmp_path / "again"
    again = interrupt(stopped.go_on, lambda: "going on from" in log.read_text(), log)
    check(again)
