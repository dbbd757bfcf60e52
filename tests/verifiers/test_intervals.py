"""Wilson's interval against scipy and the literature."""

from __future__ import annotations

import pytest
from scipy import stats as scipy_stats

from tooldojo.verifiers.intervals import wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 29), (15, 148), (81, 263), (7, 7)])
def test_wilson_equals_scipy(successes: int, trials: int) -> None:
    want = scipy_stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    got = wilson(successes, trials)
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-12)
    assert got.rate == successes / trials


def test_wilson_of_81_in_263() -> None:
    """The worked example of Newcombe 1998."""
    got = wilson(81, 263)
    assert (round(got.low, 4), round(got.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, trials)
