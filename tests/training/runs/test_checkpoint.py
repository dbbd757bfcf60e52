"""Checkpoints: round trip, damage found, kill -9 harmless."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.moments import LearnerState
from tooldojo.training.runs.atomic import atomic_directory
from tooldojo.training.runs.checkpoint import (
    GROUPS,
    MANIFEST,
    STATE,
    TENSORS,
    Checkpoint,
    CheckpointError,
    latest,
    load_checkpoint,
    save_checkpoint,
)


def small(step: int) -> Checkpoint:
    tensors = {"adapter/a": torch.randn(200, 200), "rng": torch.get_rng_state()}
    learner = LearnerState(tensors, step, {step - 1: (-1.5,), step: (-0.1, -1 / 3)})
    policy = PolicyRef("policy", step, "digest")
    return Checkpoint(step, learner, {"next": step * 8, "nested": {"rate": 0.5}}, policy)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked process; returns its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def test_round_trip(tmp_path: Path, make_groups: Callable[..., list[Group]]) -> None:
    groups = make_groups(2)
    written = replace(small(3), groups=tuple(groups))
    save_checkpoint(tmp_path, written, keep=2)
    read = latest(tmp_path)
    assert read is not None
    assert (read.step, read.source, read.policy) == (
        3,
        written.source,
        written.policy,
    )
    assert read.learner.probes == written.learner.probes
    assert all(torch.equal(read.learner.tensors[n], t) for n, t in written.learner.tensors.items())
    for a, b in zip(read.groups, groups, strict=True):
        assert a.task == b.task
        for x, y in zip(a.trajectories, b.trajectories, strict=True):
            assert x.reward == y.reward
            assert np.array_equal(x.segments[0].ids_T, y.segments[0].ids_T)
            assert np.array_equal(
                x.segments[0].logprobs_T, y.segments[0].logprobs_T, equal_nan=True
            )


def test_nothing_there(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "missing") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        save_checkpoint(tmp_path, small(step), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000004", "step-000005"]


@pytest.mark.parametrize("name", [STATE, TENSORS, GROUPS, MANIFEST])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_damage_is_found_and_passed_over(
    name: str, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_checkpoint(tmp_path, small(1), keep=2)
    bad = save_checkpoint(tmp_path, small(2), keep=2) / name
    data = bytearray(bad.read_bytes())
    if how == "gone":
        bad.unlink()
    else:
        data[len(data) // 2] ^= 1
        bad.write_bytes(data if how == "flipped" else data[:-1])
    with pytest.raises(CheckpointError):
        load_checkpoint(bad.parent)
    found = latest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step-000002" in caplog.text
    if name != MANIFEST:
        assert str(bad) in caplog.text


def test_when_all_are_damaged_the_run_stops(tmp_path: Path) -> None:
    (save_checkpoint(tmp_path, small(1), keep=2) / TENSORS).write_bytes(b"")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        latest(tmp_path)


def test_killed_before_the_rename(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, small(1), keep=2)

    def die_inside() -> None:
        with atomic_directory(tmp_path / "step-000002") as draft:
            (draft / STATE).write_text("{}")
            os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(in_child(die_inside), 0)
    assert len(list(tmp_path.iterdir())) == 2  # the leftover is there
    found = latest(tmp_path)
    assert found is not None
    assert found.step == 1
    save_checkpoint(tmp_path, small(2), keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000001", "step-000002"]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, small(1), keep=2)
    moments = random.Random(0)

    def write_on() -> None:
        for step in range(2, 500):
            save_checkpoint(tmp_path, small(step), keep=2)

    for _ in range(6):
        before = latest(tmp_path)
        child = in_child(write_on)
        time.sleep(moments.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = latest(tmp_path)
        assert before is not None
        assert found is not None
        assert found.learner.step == found.step


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "x") as draft:
        (draft / "file").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_learner_goes_on_bit_for_bit(
    tmp_path: Path, make_learner: Callable[..., Learner], make_groups: Callable[..., list[Group]]
) -> None:
    batches = [make_groups(seed=seed) for seed in range(3)]
    straight = make_learner(kl_coef=0.1)
    for groups in batches[:2]:
        straight.update(groups)
    straight.export(1)
    state = small(2)
    save_checkpoint(tmp_path, replace(state, learner=straight.state_dict()), keep=1)
    straight.update(batches[2])
    again = make_learner(kl_coef=0.1)
    again.policy.linears[0].b.data.zero_()
    read = latest(tmp_path)
    assert read is not None
    again.load_state_dict(read.learner)
    again.update(batches[2])
    a, b = straight.state_dict(), again.state_dict()
    assert a.step == b.step == 3
    assert a.probes == b.probes
    assert a.tensors.keys() == b.tensors.keys()
    assert all(torch.equal(a.tensors[n], b.tensors[n]) for n in a.tensors)


def test_a_damaged_newer_one_does_not_crowd_out_the_next(tmp_path: Path) -> None:
    """After falling back behind a damaged checkpoint, the run saves an older step again."""
    damaged = save_checkpoint(tmp_path, small(20), keep=1)
    (damaged / "state.json").write_text("{")
    save_checkpoint(tmp_path, small(15), keep=1)
    found = latest(tmp_path)
    assert found is not None and found.step == 15
    assert not damaged.exists()
