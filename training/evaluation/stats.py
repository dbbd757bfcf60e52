"""Statistics of evaluations: intervals for a paired difference and a mean.

Pure functions of counts and values; refuses empty samples. Every interval is two-sided at 95 %
unless told otherwise.
Invariant: an interval contains its own point estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tooldojo.verifiers.intervals import LEVEL, wilson


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `count` values, with an interval in the values' unit."""

    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Success of two policies on the same tasks; `difference` is second minus first, in [-1, 1].

    gained: only the second succeeded. lost: only the first did. p_value: McNemar's exact test,
    two-sided.
    """

    tasks: int
    both: int
    gained: int
    lost: int
    neither: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], level: float = LEVEL
) -> PairedDifference:
    """Second minus first on the same tasks: Newcombe's hybrid score interval for paired rates.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17:2635): the two Wilson intervals, joined
    with the correlation of the pairs. It keeps its coverage near rates of 0 and 1, where the normal
    interval collapses.

    Raises:
        ValueError: for samples of different or no length.
    """
    if len(first) != len(second) or not first:
        raise ValueError(
            f"paired samples of {len(first)} and {len(second)} values; pair task by task"
        )
    pairs = list(zip(first, second, strict=True))
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    old = wilson(both + lost, len(pairs), level)
    new = wilson(both + gained, len(pairs), level)
    phi = _correlation(both, gained, lost, neither)
    difference = (gained - lost) / len(pairs)
    below = _join(new.rate - new.low, old.high - old.rate, phi)
    above = _join(new.high - new.rate, old.rate - old.low, phi)
    return PairedDifference(
        len(pairs), both, gained, lost, neither, old.rate, new.rate, difference,
        max(-1.0, difference - below), min(1.0, difference + above), mcnemar(gained, lost),
    )  # fmt: skip


def _join(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _correlation(both: int, gained: int, lost: int, neither: int) -> float:
    """Newcombe's phi: the pairs' correlation, a positive one reduced by his continuity
    correction.
    """
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    cross = both * neither - gained * lost
    half = (both + gained + lost + neither) / 2
    if cross > 0:
        cross = max(0.0, cross - half)
    return cross / math.sqrt(margins)


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value that gains and losses are equally likely (McNemar 1947, binomial
    form).
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"{gained} gained and {lost} lost are no counts")
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**changed)


def bootstrap_mean(
    values: Sequence[float], level: float = LEVEL, draws: int = 4000, seed: int = 0
) -> Mean:
    """Percentile bootstrap of a mean (Efron 1979); the same values and seed give the same interval.

    Raises:
        ValueError: for no values, or one that is not finite.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.size == 0 or not np.isfinite(values_N).all():
        raise ValueError(f"a mean needs finite values; got {list(values)[:5]}")
    mean = float(values_N.mean())
    if np.ptp(values_N) == 0:
        return Mean(values_N.size, mean, mean, mean)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [_resampled(values_N, rng, min(500, draws)) for _ in range(0, draws, 500)]
    )
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Mean(values_N.size, mean, min(mean, float(low)), max(mean, float(high)))


def student_mean(values: Sequence[float], level: float = LEVEL) -> Mean:
    """Mean of a few independent runs with Student's t interval; a single value has no width.

    Raises:
        ValueError: for no values, or one that is not finite.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.size == 0 or not np.isfinite(values_N).all():
        raise ValueError(f"a mean needs finite values; got {list(values)[:5]}")
    mean = float(values_N.mean())
    if values_N.size == 1:
        return Mean(1, mean, mean, mean)
    from scipy.stats import t

    error = float(values_N.std(ddof=1)) / math.sqrt(values_N.size)
    half = float(t.ppf(0.5 + level / 2, values_N.size - 1)) * error
    return Mean(values_N.size, mean, mean - half, mean + half)


def _resampled(values_N: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    return values_N[rng.integers(0, values_N.size, (draws, values_N.size))].mean(axis=1)
