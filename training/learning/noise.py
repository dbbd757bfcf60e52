"""How much of a gradient is signal: the two halves of an optimiser step against each other.

The gradient noise scale of McCandlish et al. 2018, https://arxiv.org/abs/1812.06162, section 2.2
and appendix A.1, with groups as the units: a step on that many groups holds as much signal as
noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tooldojo.training.learning.batch import Member


@dataclass(frozen=True, slots=True)
class GradientNoise:
    """Unbiased estimates of one step, each very noisy itself: add up several before dividing.

    signal: |G|^2 of the true gradient, may come out negative. noise: trace of the covariance of one
    group's gradient.
    """

    signal: float
    noise: float


def middle(members: Sequence[Member]) -> int | None:
    """The group with which the second half of a step begins; None where there is but one group."""
    groups = list(dict.fromkeys(member.group for member in members if member.length))
    return groups[len(groups) // 2] if len(groups) > 1 else None


def noise_between(
    first: Sequence[Tensor], second: Sequence[Tensor], groups: tuple[int, int]
) -> GradientNoise:
    """From the two halves' parts of a step's gradient, which add up to it, and their groups.

    With m_i = g_i (n_1 + n_2) / n_i both unbiased: |G|^2 = m_1 . m_2, and
    E |m_1 - m_2|^2 = noise (1 / n_1 + 1 / n_2).
    """
    total = sum(groups)
    one, two = (
        torch.cat([part.flatten() for part in parts]).double() * (total / count)
        for parts, count in zip((first, second), groups, strict=True)
    )
    apart = float((one - two).square().sum())
    return GradientNoise(float(one @ two), apart / (1 / groups[0] + 1 / groups[1]))
