"""The gradient noise scale: exact on numbers, unbiased on samples, and measured by every update."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tooldojo.rollouts.records import Group
from tooldojo.training.learning.batch import members_of
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.noise import middle, noise_between


def test_two_halves() -> None:
    """m = (2, 0) and (4, 2): signal 8, |difference|^2 = 8 at noise (1 + 1)."""
    found = noise_between([torch.tensor([1.0, 0.0])], [torch.tensor([2.0, 1.0])], (1, 1))
    assert (found.signal, found.noise) == (8.0, 4.0)
    uneven = noise_between([torch.tensor([1.0])], [torch.tensor([3.0])], (1, 3))  # m = 4 and 4
    assert (uneven.signal, uneven.noise) == (16.0, 0.0)


def test_the_estimates_are_unbiased() -> None:
    generator = torch.Generator().manual_seed(0)
    true, spread, sums = torch.tensor([0.6, -0.8]), 2.0, [0.0, 0.0]
    for _ in range(4000):
        groups = true + spread * torch.randn(5, 2, generator=generator)
        found = noise_between([groups[:2].sum(0) / 5], [groups[2:].sum(0) / 5], (2, 3))
        sums = [sums[0] + found.signal, sums[1] + found.noise]
    assert sums[0] / 4000 == pytest.approx(1.0, abs=0.15)  # |true|^2
    assert sums[1] / 4000 == pytest.approx(2 * spread**2, rel=0.05)


def test_halves_add_up_to_the_step(
    make_learner: Callable[..., Learner], make_groups: Callable[..., list[Group]]
) -> None:
    learner, groups = make_learner(), make_groups(count=5)
    members = learner.members(groups)
    assert middle(members) == 2 and middle(learner.members(groups[:1])) is None
    noise = learner.gradients(members).noise
    assert noise is not None and noise.noise > 0
    whole = torch.cat([p.grad.flatten() for p in learner.policy.parameters().values()])  # type: ignore[union-attr]
    parts = []
    for half in (members[: 2 * 4], members[2 * 4 :]):
        share = learner._weight(members)[: len(half)] * 0 + learner._weight(members)[0]
        learner._optimiser.zero_grad()
        learner._half_gradients(learner._cut(half, share))
        parts.append([p.grad for p in learner.policy.parameters().values()])
    sums = torch.cat([(a + b).flatten() for a, b in zip(*parts, strict=True)])  # type: ignore[operator]
    assert torch.allclose(sums, whole, rtol=1e-5, atol=1e-8)
    figures = learner.update(groups)
    assert figures["grad_noise"] > 0 and "grad_signal" in figures
    assert len(members_of(groups)) == len(members)
