"""Advantages, policy term, aggregations and KL against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.training.objectives import (
    ADVANTAGES,
    AGGREGATIONS,
    Tokens,
    clip_term,
    k3,
    kl_term,
    policy_loss,
    token_weights,
)
from tooldojo.training.scoring import score_tokens

SECTION = ObjectiveSection(clip_low=0.2, clip_high=0.28)


def tokens(ratio: float, advantage: float) -> Tokens:
    """One token whose probability ratio is `ratio`."""
    logprob = torch.tensor([math.log(ratio) - 1.0], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    return Tokens(logprob, -one, advantage * one, torch.zeros(1, dtype=torch.long), one)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", [1.5, -0.5, -0.5, -0.5]),
        ("rloo", [1, -1 / 3, -1 / 3, -1 / 3]),
        ("dr_grpo", [0.75, -0.25, -0.25, -0.25]),
    ],
)
def test_advantages_of_one_success_in_four(name: str, expected: list[float]) -> None:
    found = ADVANTAGES[name](torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
    scale = 0.5 / (0.5 + 1e-4) if name == "grpo" else 1.0  # the epsilon beside the std of 0.5
    assert found.tolist() == pytest.approx([scale * x for x in expected])


@pytest.mark.parametrize("name", ADVANTAGES)
@pytest.mark.parametrize("rewards", [[0.3, 0.3, 0.3], [1.0], [0.0, 0.0]])
def test_equal_rewards_and_lone_members_have_no_advantage(name: str, rewards: list[float]) -> None:
    assert ADVANTAGES[name](torch.tensor(rewards, dtype=torch.float64)).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("name", "short", "long"),
    [("token_mean", 0.1, 0.1), ("sequence_mean", 0.25, 0.0625), ("constant", 0.05, 0.05)],
)
def test_weights_of_lengths_two_and_eight(name: str, short: float, long: float) -> None:
    section = ObjectiveSection.model_validate({"aggregation": name, "constant_length": 10})
    assert token_weights(torch.tensor([2, 8]), section).tolist() == pytest.approx([short, long])
    assert set(AGGREGATIONS) == {"token_mean", "sequence_mean", "constant"}


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope", "clipped"),
    [
        (1.0, 2.0, -2.0, -2.0, False),  # on policy: -A
        (1.5, 1.0, -1.28, 0.0, True),  # above the upper bound
        (1.25, 1.0, -1.25, -1.25, False),  # between 1 + low and 1 + high: clip-higher lets it pass
        (0.5, 1.0, -0.5, -0.5, False),  # the bound does not protect what would be improved
        (0.5, -1.0, 0.8, 0.0, True),
        (5.0, -1.0, 5.0, 5.0, False),
    ],
)
def test_clip(ratio: float, advantage: float, loss: float, slope: float, clipped: bool) -> None:
    given = tokens(ratio, advantage)
    term = clip_term(given, SECTION)
    term.loss_N.sum().backward()
    assert term.loss_N.item() == pytest.approx(loss)
    assert given.logprob_N.grad is not None
    assert given.logprob_N.grad.item() == pytest.approx(slope)
    assert term.ratio_N.item() == pytest.approx(ratio)
    assert term.clipped_N.item() is clipped


def test_a_ratio_beyond_reason_stays_finite() -> None:
    given = tokens(1.0, -1.0)
    given = replace(given, old_N=given.old_N - 500)
    assert torch.isfinite(policy_loss(given, SECTION).total)


def test_k3_is_the_exact_kl_in_expectation() -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, 9, generator=generator, dtype=torch.float64).softmax(-1)
    estimates = k3(p.log(), q.log())
    assert (estimates >= 0).all()
    assert (p * estimates).sum().item() == pytest.approx(
        (p * (p / q).log()).sum().item(), rel=1e-12
    )


def test_gradient_of_the_kl_term_is_that_of_the_reverse_kl() -> None:
    """In expectation over samples of the policy itself; k3 alone would give another gradient."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, generator=generator, dtype=torch.float64, requires_grad=True)
    logq = torch.randn(9, generator=generator, dtype=torch.float64).log_softmax(-1)
    logp = logits.log_softmax(-1)
    p, old = logp.detach().exp(), logp.detach()
    zeros = torch.zeros(9)
    given = Tokens(logp, old, zeros, zeros.long(), zeros)
    (exact,) = torch.autograd.grad((logp.exp() * (logp - logq)).sum(), logits, retain_graph=True)
    (ours,) = torch.autograd.grad((p * kl_term(given, logq)).sum(), logits, retain_graph=True)
    (plain,) = torch.autograd.grad((p * k3(logp, logq)).sum(), logits)
    assert torch.allclose(ours, exact, atol=1e-12)
    assert (plain - exact).norm() > 0.1 * exact.norm()


def test_kl_is_added_with_its_coefficient() -> None:
    given = tokens(1.0, 1.0)
    given = replace(given, reference_N=given.old_N + 0.3)
    loss = policy_loss(given, ObjectiveSection(kl_coef=0.5))
    kl = math.exp(0.3) - 0.3 - 1
    assert loss.kl.item() == pytest.approx(kl)
    assert loss.total.item() == pytest.approx(-1.0 + 0.5 * kl)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_equal_log_softmax(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tooldojo.training.scoring.CHUNK_NUMBERS", 100)  # several chunks
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(31, 8, generator=generator, dtype=torch.float64)
    states = torch.randn(17, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 31, (17,), generator=generator)
    gain = torch.randn(17, generator=generator, dtype=torch.float64)
    scores = score_tokens(states, weight, target, temperature)
    mine = torch.autograd.grad((gain * scores.logprob_N).sum(), states)[0]
    z = (states @ weight.T / temperature).log_softmax(-1)
    theirs = torch.autograd.grad((gain * z.gather(1, target[:, None])[:, 0]).sum(), states)[0]
    assert torch.allclose(scores.logprob_N.double(), z.gather(1, target[:, None])[:, 0], atol=1e-6)
    assert torch.allclose(scores.entropy_N.double(), -(z.exp() * z).sum(-1), atol=1e-6)
    assert torch.allclose(mine, theirs, atol=1e-6)
