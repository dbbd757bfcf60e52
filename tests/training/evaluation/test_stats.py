"""Exact values from the literature and from scipy, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tooldojo.training.evaluation.stats import bootstrap_mean, mcnemar, paired_difference
from tooldojo.verifiers.intervals import z_score


def pairs(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    first = [True] * both + [False] * gained + [True] * lost + [False] * neither
    second = [True] * both + [True] * gained + [False] * lost + [False] * neither
    return first, second


def test_paired_counts_and_direction() -> None:
    got = paired_difference(*pairs(both=20, gained=12, lost=2, neither=16))
    assert (got.tasks, got.both, got.gained, got.lost, got.neither) == (50, 20, 12, 2, 16)
    assert (got.first, got.second) == (0.44, 0.64)
    assert got.difference == pytest.approx(0.2)
    assert (round(got.low, 4), round(got.high, 4)) == (0.0562, 0.3292)


def test_the_worked_example_of_altman_2000() -> None:
    """Statistics with Confidence, table 6.2: 0.122 with 0.011 to 0.226."""
    got = paired_difference(*pairs(both=14, gained=5, lost=0, neither=22))
    assert [round(x, 3) for x in (got.difference, got.low, got.high)] == [0.122, 0.011, 0.226]


def test_paired_interval_is_antisymmetric_and_stays_inside() -> None:
    there, back = pairs(5, 30, 0, 1), pairs(5, 0, 30, 1)
    one, two = paired_difference(*there), paired_difference(*back)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    full = paired_difference([False] * 10, [True] * 10)
    assert full.difference == 1.0 and full.high == 1.0 and 0.5 < full.low < 1


def test_equal_results_have_no_difference() -> None:
    got = paired_difference(*pairs(40, 0, 0, 60))
    assert got.difference == 0 and got.low < 0 < got.high and got.p_value == 1.0


def test_paired_refuses_other_lengths() -> None:
    with pytest.raises(ValueError, match="pair task by task"):
        paired_difference([True], [True, False])


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (12, 2), (3, 3), (150, 90)])
def test_mcnemar_equals_the_binomial_test(gained: int, lost: int) -> None:
    changed = gained + lost
    want = scipy_stats.binomtest(gained, changed, 0.5).pvalue if changed else 1.0
    assert mcnemar(gained, lost) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(
    "cells", [(0.5, 0.25, 0.1, 0.15), (0.02, 0.3, 0.01, 0.67), (0.9, 0.05, 0.05, 0)]
)
def test_paired_coverage(cells: tuple[float, ...]) -> None:
    """1500 draws of 100 tasks: coverage within 2.2 % of the promised 95 %, base and SFT-like rates
    alike.
    """
    rng = np.random.default_rng(1)
    truth, draws = cells[1] - cells[2], 1500
    hits = 0
    for both, gained, lost, neither in rng.multinomial(100, cells, draws):
        got = paired_difference(*pairs(both, gained, lost, neither))
        hits += got.low <= truth <= got.high
    assert 0.928 <= hits / draws <= 0.99


def test_bootstrap_is_close_to_the_normal_interval_and_repeatable() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 400)
    got = bootstrap_mean(values.tolist())
    half = z_score() * values.std(ddof=1) / 20
    assert got.mean == pytest.approx(values.mean())
    assert (got.mean - got.low, got.high - got.mean) == pytest.approx((half, half), rel=0.06)
    assert bootstrap_mean(values.tolist()) == got


def test_bootstrap_coverage() -> None:
    rng = np.random.default_rng(2)
    samples = rng.beta(0.4, 0.8, (300, 60))
    got = [bootstrap_mean(sample.tolist(), draws=500) for sample in samples]
    hits = sum(each.low <= 1 / 3 <= each.high for each in got)
    assert 0.90 <= hits / 300 <= 0.985


def test_bootstrap_of_nothing_and_of_equal_values() -> None:
    with pytest.raises(ValueError, match="finite values"):
        bootstrap_mean([])
    same = bootstrap_mean([0.5] * 8)
    assert (same.low, same.mean, same.high) == (0.5, 0.5, 0.5)
