"""Crash-safe metrics and the line that names the bottleneck."""

from __future__ import annotations

from pathlib import Path

import pytest

from tooldojo.training.runs.metrics import (
    MetricsLog,
    StepTimings,
    TrajectorySeconds,
    bottleneck_line,
    read_metrics,
    total_timings,
)


def test_one_line_per_step_and_no_nan(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(0, {"reward": 0.5, "kl": float("nan")})
        log.write(1, {"reward": 0.75, "note": "x"})
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert rows == [
        {"step": 0, "reward": 0.5, "kl": None},
        {"step": 1, "reward": 0.75, "note": "x"},
    ]


def test_a_resumed_run_cuts_off_what_it_plays_again(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        for step in range(4):
            log.write(step, {"reward": step})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 4, "rew')  # torn by a crash
    assert [row["step"] for row in read_metrics(path)] == [0, 1, 2, 3]
    with MetricsLog(tmp_path, resume_at=2) as log:
        log.write(2, {"reward": 20})
    assert [row["reward"] for row in read_metrics(path)] == [0, 1, 20]


def test_steps_rise(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(3, {})
        with pytest.raises(ValueError, match="step 3 follows step 3"):
            log.write(3, {})


def timings(**stages: float) -> StepTimings:
    inside = TrajectorySeconds(prefill=10, decode=70, tool=3, waiting=17)
    return StepTimings(10.0, stages, inside, 16, 16, trajectories=128, max_inflight=10)


def test_rollout_with_a_full_house() -> None:
    line = bottleneck_line(timings(rollout=7.1, learner=2.4, publish=0.2))
    assert line == (
        "rollout 71 % of the step (decode 50 %, prefill 7 %, tools 2 %, waiting 12 %), "
        "learner 24 %, publish 2 %, other 3 %; raise rollout.max_inflight"
    )


def test_other_bottlenecks_get_other_advice() -> None:
    assert "learner.tokens_per_microbatch" in bottleneck_line(timings(rollout=2, learner=8))
    assert bottleneck_line(timings(rollout=3.4, learner=3.3, publish=3.3)).endswith("; balanced")
    slow = StepTimings(10, {"rollout": 9}, TrajectorySeconds(tool=50), 8, 8, 64, 128)
    assert "tools are slow" in bottleneck_line(slow)
    wasted = StepTimings(10, {"rollout": 9}, TrajectorySeconds(decode=5), 40, 8, 64, 128)
    assert "40 groups played for 8 with a signal" in bottleneck_line(wasted)


def test_timings_come_back_from_the_log() -> None:
    numbers = timings(rollout=8.0, learner=1.0).to_metrics()
    assert numbers["seconds/step"] == 10 and numbers["seconds/rollout"] == 8.0
    assert numbers["rollout/inflight"] == pytest.approx(12.5)
    both = total_timings([{"step": 0, **numbers}, {"step": 1, **numbers}])
    assert both is not None and both.total == 20 and both.stages["rollout"] == 16
    assert both.inside.decode == 140 and both.max_inflight == 10 and both.trajectories == 128
    assert total_timings([{"step": 0, "reward": 1.0}]) is None


@pytest.mark.slow
def test_tensorboard_files_appear(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, tensorboard=True) as log:
        log.write(0, {"reward": 0.5})
    assert list((tmp_path / "tensorboard").glob("events.*"))
