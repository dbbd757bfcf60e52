"""Curves of training runs and the time that two of them take to the same success."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import pytest
from async_vs_sync import Curve, compare


def run(successes: list[float], seconds: float) -> list[dict[str, Any]]:
    """Metrics of a run with steps of ten trajectories."""
    about = {"rollout/trajectories": 10, "seconds/step": seconds, "seconds/rollout": 1.0}
    return [{**about, "success": rate, "staleness/mean": 1.0} for rate in successes]


def test_a_curve_pools_three_steps() -> None:
    curve = Curve.of(run([0.1, 0.2, 0.6, 0.7, 0.8], 2.0), span=3)
    assert curve.seconds == (6.0, 8.0, 10.0)
    assert curve.successes == (9, 15, 21) and curve.trials == (30, 30, 30)
    assert curve.seconds_to(0.5) == 8.0
    with pytest.raises(ValueError, match=r"never reached 0\.9"):
        curve.seconds_to(0.9)
    with pytest.raises(ValueError, match="a curve needs 3"):
        Curve.of(run([0.1, 0.2], 2.0), span=3)


def test_the_target_is_what_both_reached() -> None:
    both = [run([0.1, 0.2, 0.6, 0.7, 0.8], 4.0), run([0.3, 0.3, 0.3, 0.9, 0.9], 3.0)]
    row = compare(both, span=3)
    assert row["target"] == 0.7  # the first one's best
    assert row["seconds_to_target"] == [20.0, 15.0] and row["speedup"] == 1.333
    assert row["eta 1"]["success_last"] == 0.7 and row["eta 1"]["waited"] == 0.333
    low, high = row["eta 1"]["ci95"]
    assert low < 0.7 < high
