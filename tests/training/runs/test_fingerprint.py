"""Two runs are the same only when every token, logprob, verdict and adapter is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from tooldojo.rollouts.records import EngineId, Group
from tooldojo.rollouts.store import StoredRow, TrajectoryStore
from tooldojo.training.runs.fingerprint import differences, fingerprint


def rewrite(run: Path, change: object) -> None:
    """Store the `rl` stage again with its first trajectory changed."""
    store = TrajectoryStore(run / "trajectories")
    rows: list[StoredRow] = list(store.read("rl"))
    changed = [change(rows[0].trajectory), *(row.trajectory for row in rows[1:])]  # type: ignore[operator]
    store.discard_after("rl", -1)
    groups = [Group(t.ordinal, row.task, (t,)) for row, t in zip(rows, changed, strict=True)]
    store.append(groups, "rl", rows[0].step)


def one_bit(trajectory: object) -> object:
    segment = trajectory.segments[0]  # type: ignore[attr-defined]
    logprobs = segment.logprobs_T.copy()
    at = int(np.flatnonzero(np.isfinite(logprobs))[0])
    logprobs[at] = np.nextafter(logprobs[at], np.float32(-9))
    return replace(trajectory, segments=(replace(segment, logprobs_T=logprobs),))  # type: ignore[type-var]


def test_times_and_engines_do_not_count_but_the_last_bit_does(
    finished_run: Path, tmp_path: Path
) -> None:
    first = fingerprint(finished_run)
    assert len(first.trajectories) == 72
    other = Path(shutil.copytree(finished_run, tmp_path / "other"))
    engine = EngineId("engine-9", "vllm", 1, "elsewhere")
    rewrite(other, lambda t: replace(t, engine=engine, seconds=99.0))
    assert differences(first, fingerprint(other)) == []
    rewrite(other, one_bit)
    found = differences(first, fingerprint(other))
    assert len(found) == 1 and found[0].startswith("trajectory rl ")


def test_adapters_and_repetitions_count(finished_run: Path) -> None:
    adapter = finished_run / "adapters" / "v2"
    adapter.mkdir(parents=True)
    (adapter / "adapter_model.safetensors").write_bytes(b"1")
    first = fingerprint(finished_run)
    (adapter / "adapter_model.safetensors").write_bytes(b"2")
    store = TrajectoryStore(finished_run / "trajectories")
    row = next(store.read("rl"))
    store.append([Group(row.trajectory.ordinal, row.task, (row.trajectory,))], "rl", row.step)
    place = f"rl {row.trajectory.ordinal}.{row.trajectory.member}"
    assert differences(first, fingerprint(finished_run)) == [place, "adapter v2"]
