"""What the RLHF benchmark says about a run: a turning point only where intervals are apart."""

from __future__ import annotations

from pathlib import Path

from rlhf import draw, judge  # pyright: ignore[reportMissingImports]


def rows(success: list[float], reward: list[float]) -> list[dict]:
    pairs = zip(success, reward, strict=True)
    return [
        {"step": i, "success": s, "reward": r, "scored": 64} for i, (s, r) in enumerate(pairs, 1)
    ]


def test_success_that_falls_while_the_reward_rises_is_a_turning_point(tmp_path: Path) -> None:
    made = rows([0.5] * 4 + [0.8] * 4 + [0.4] * 4, [i / 10 for i in range(12)])
    found = judge(made)
    assert found["turning_point"] == 8 and "peaks by step 8" in found["said"]
    assert [window["success"]["trials"] for window in found["windows"]] == [256] * 3
    assert [window["success"]["successes"] for window in found["windows"]] == [128, 205, 102]
    draw(made, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()


def test_noise_and_a_falling_reward_are_none() -> None:
    level = judge(rows([0.5] * 4 + [0.54] * 4 + [0.5] * 4, [i / 10 for i in range(12)]))
    assert level["turning_point"] is None and "no turning point in 12 steps" in level["said"]
    both = judge(rows([0.8] * 4 + [0.4] * 4, [1.0] * 4 + [0.0] * 4))
    assert both["turning_point"] is None
