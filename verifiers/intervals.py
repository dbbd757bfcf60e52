"""Intervals for rates, shared by evaluations and audits. Pure functions of counts.

Invariant: an interval contains its own point estimate; two-sided at 95 % unless told otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """`successes` of `trials`, with an interval for the rate; all rates in [0, 1]."""

    successes: int
    trials: int
    rate: float
    low: float
    high: float


def z_score(level: float = LEVEL) -> float:
    """The normal quantile of a two-sided interval, 1.96 at 95 %."""
    if not 0 < level < 1:
        raise ValueError(f"confidence level {level!r} is not between 0 and 1; use 0.95")
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(successes: int, trials: int, level: float = LEVEL) -> Proportion:
    """Wilson's score interval (Wilson 1927, JASA 22:209), without continuity correction.

    Raises:
        ValueError: without trials, or with more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is no proportion")
    z, rate = z_score(level), successes / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return Proportion(successes, trials, rate, low, high)
