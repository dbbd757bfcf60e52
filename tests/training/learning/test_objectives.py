"""Policy terms, corrections, aggregations, KL and entropy against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.training.learning.mismatch import bounded, correction_figures, mismatch_figures
from tooldojo.training.learning.objectives import (
    AGGREGATIONS,
    KL_ESTIMATORS,
    POLICY_TERMS,
    Tokens,
    clip_term,
    k3,
    kl_term,
    policy_loss,
    token_weights,
)
from tooldojo.training.learning.scoring import score_tokens

SECTION = ObjectiveSection(clip_low=0.2, clip_high=0.28)


def tokens(ratio: float, advantage: float) -> Tokens:
    """One token whose probability ratio is `ratio`."""
    logprob = torch.tensor([math.log(ratio) - 1.0], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    return Tokens(logprob, -one, advantage * one, torch.zeros(1, dtype=torch.long), one, -one)


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


def many(seed: int = 0, advantage_per_token: bool = False) -> Tokens:
    """Three trajectories of 2, 5 and 8 tokens with random logprobs and advantages."""
    generator = torch.Generator().manual_seed(seed)
    trajectory = torch.repeat_interleave(torch.arange(3), torch.tensor([2, 5, 8]))
    draws = torch.randn(4, 15, generator=generator, dtype=torch.float64)
    logprob = (-2 + 0.3 * draws[0]).requires_grad_()
    advantage = draws[3] if advantage_per_token else draws[3][:3][trajectory]
    weight = torch.full((15,), 1 / 15, dtype=torch.float64)
    old, sampler = -2 + 0.3 * draws[1], -2 + 0.3 * draws[2]
    return Tokens(logprob, old, advantage, trajectory, weight, sampler)


def slopes(given: Tokens, section: ObjectiveSection) -> torch.Tensor:
    return torch.autograd.grad(policy_loss(given, section).total, given.logprob_N)[0]


@pytest.mark.parametrize("name", sorted(POLICY_TERMS))
def test_on_policy_every_term_has_the_policy_gradient(name: str) -> None:
    given = many()
    given = replace(given, old_N=given.logprob_N.detach(), sampler_N=given.logprob_N.detach())
    section = ObjectiveSection.model_validate({"loss": name, "aggregation": "sequence_mean"})
    lengths = torch.tensor([2, 5, 8])[given.trajectory_N]
    given = replace(given, weight_N=1 / (3 * lengths.double()))
    expected = -given.advantage_N * given.weight_N
    if name == "trajectory_clip":  # the gradient of a whole trajectory's probability
        expected = expected * lengths
    assert torch.allclose(slopes(given, section), expected)
    assert not POLICY_TERMS[name](given, section).clipped_N.any()


def test_cispo_weighs_where_ppo_cuts() -> None:
    given = tokens(1.5, 1.0)
    section = SECTION.model_copy(update={"loss": "cispo", "clip_high": 0.2})
    assert slopes(given, section).item() == pytest.approx(-1.2)
    published = ObjectiveSection.model_validate({"method": "cispo"})
    assert slopes(given, published).item() == pytest.approx(-1.5)
    assert slopes(tokens(7.0, 1.0), published).item() == pytest.approx(-5.0)


def test_dual_clip_bounds_the_loss_of_what_was_bad() -> None:
    section = SECTION.model_copy(update={"dual_clip": 3.0})
    given = tokens(5.0, -1.0)
    loss = policy_loss(given, section)
    assert loss.total.item() == pytest.approx(3.0)
    assert slopes(given, section).item() == 0
    assert loss.term.clipped_N.item() is True
    assert policy_loss(tokens(2.5, -1.0), section).total.item() == pytest.approx(2.5)
    assert policy_loss(tokens(5.0, 1.0), section).total.item() == pytest.approx(-1.28)


def test_gspo_in_token_form_equals_its_sequence_form() -> None:
    given, section = many(), ObjectiveSection(clip_low=0.1, clip_high=0.1)
    lengths = torch.tensor([2.0, 5.0, 8.0], dtype=torch.float64)
    given = replace(given, weight_N=(1 / (3 * lengths))[given.trajectory_N])
    mine = slopes(given, section.model_copy(update={"loss": "gspo"}))
    log_s = torch.stack(
        [(given.logprob_N - given.old_N)[given.trajectory_N == i].mean() for i in range(3)]
    )
    s, advantage = log_s.exp(), given.advantage_N[[0, 2, 7]]
    losses = -torch.minimum(s * advantage, s.clamp(0.9, 1.1) * advantage)
    (theirs,) = torch.autograd.grad(losses.mean(), given.logprob_N)
    assert torch.allclose(mine, theirs, atol=1e-12)
    assert theirs.abs().max() > 0


def test_gspo_knows_advantages_per_token() -> None:
    """Where turns differ, each token's slope has its own advantage's sign."""
    given = many(advantage_per_token=True)
    section = ObjectiveSection.model_validate({"loss": "gspo", "clip_low": 5, "clip_high": 5})
    assert torch.equal(slopes(given, section).sign(), -given.advantage_N.sign())


def test_sapo_is_soft() -> None:
    section = ObjectiveSection.model_validate({"method": "sapo"})
    for ratio, advantage, temperature in ((1.5, 1.0, 1.0), (0.6, -2.0, 1.05)):
        gate = 1 / (1 + math.exp(-temperature * (ratio - 1)))
        loss = policy_loss(tokens(ratio, advantage), section).total.item()
        assert loss == pytest.approx(-4 / temperature * gate * advantage)
        slope = -4 * gate * (1 - gate) * ratio * advantage
        assert slopes(tokens(ratio, advantage), section).item() == pytest.approx(slope)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("token_truncate", [0.25, 1.0, 2.0, 1.9]),
        ("token_mask", [0.0, 1.0, 0.0, 1.9]),
        ("sequence_truncate", [0.25, 0.25, 2.0, 2.0]),
        ("sequence_mask", [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_corrections(kind: str, expected: list[float]) -> None:
    """Learner / sampler probabilities of two trajectories; the policy stands where it was."""
    ratio = torch.tensor([0.25, 1.0, 3.0, 1.9], dtype=torch.float64)
    old = torch.full((4,), -1.0, dtype=torch.float64)
    one, logprob = torch.ones(4, dtype=torch.float64), old.clone().requires_grad_()
    given = Tokens(logprob, old, one, torch.tensor([0, 0, 1, 1]), one, old - ratio.log())
    section = ObjectiveSection.model_validate({"correction": kind, "proximal": "learner"})
    assert (-slopes(given, section)).tolist() == pytest.approx(expected)
    loss = policy_loss(given, section)
    assert loss.correction_N is not None
    assert loss.correction_N.tolist() == pytest.approx(expected)
    assert loss.total.item() == pytest.approx(-sum(expected))


def test_without_mismatch_a_correction_is_nothing() -> None:
    given = many()
    given = replace(given, sampler_N=given.old_N)
    plain = slopes(given, ObjectiveSection())
    for kind in ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"):
        section = ObjectiveSection.model_validate({"correction": kind})
        assert torch.equal(slopes(given, section), plain)


def test_truncation_trades_variance_for_bias() -> None:
    """Two distributions: with a bound that is never met the weighted gradient is the on-policy one;
    its bias grows and its variance falls as the bound falls."""
    generator = torch.Generator().manual_seed(1)
    mu, pi = torch.randn(2, 12, generator=generator, dtype=torch.float64).softmax(-1)
    gain = torch.randn(12, generator=generator, dtype=torch.float64)
    exact = (pi * gain).sum()
    errors, variances = [], []
    for bound in (1e6, 2.0, 1.2):
        section = ObjectiveSection.model_validate(
            {"correction": "token_truncate", "correction_max": bound}
        )
        estimate = bounded(pi / mu, section) * gain
        mean = (mu * estimate).sum()
        errors.append(float((mean - exact).abs()))
        variances.append(float((mu * (estimate - mean) ** 2).sum()))
    assert errors[0] < 1e-12 < errors[1] < errors[2]
    assert variances[0] > variances[1] > variances[2]


def test_figures_of_a_mismatch() -> None:
    ratio = torch.tensor([0.5, 1.0, 1.0, 2.0])
    figures = mismatch_figures(ratio.log())
    assert figures["mismatch_chi2"] == pytest.approx(6.25 / 4 - 1)
    assert figures["mismatch_ess"] == pytest.approx(4.5**2 / (4 * 6.25))
    assert figures["mismatch_p50"] == pytest.approx(1.0)
    assert figures["mismatch_p99"] == pytest.approx(2.0)
    assert figures["mismatch_below_0.95"] == 0.25
    assert figures["mismatch_below_1.05"] == 0.75
    done = correction_figures(ratio, torch.tensor([0.0, 1.0, 1.0, 1.5]))
    assert done == {
        "correction_mean": 0.875,
        "correction_bounded": 0.5,
        "correction_masked": 0.25,
    }


@pytest.mark.parametrize("kind", ["k1", "k3"])
def test_unbiased_estimators_are_the_exact_kl_in_expectation(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, 9, generator=generator, dtype=torch.float64).softmax(-1)
    estimates = KL_ESTIMATORS[kind](p.log(), q.log())
    assert kind == "k1" or (estimates >= 0).all()
    assert (p * estimates).sum().item() == pytest.approx(
        (p * (p / q).log()).sum().item(), rel=1e-12
    )


@pytest.mark.parametrize("kind", sorted(KL_ESTIMATORS))
@pytest.mark.parametrize("off_policy", [False, True])
def test_gradient_of_the_kl_term_is_that_of_the_reverse_kl(kind: str, off_policy: bool) -> None:
    """In expectation over samples of the old policy; k3 alone would give another gradient."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, generator=generator, dtype=torch.float64, requires_grad=True)
    logq = torch.randn(9, generator=generator, dtype=torch.float64).log_softmax(-1)
    other = torch.randn(9, generator=generator, dtype=torch.float64).log_softmax(-1)
    logp = logits.log_softmax(-1)
    old = other if off_policy else logp.detach()
    p, zeros = old.exp(), torch.zeros(9)
    given = Tokens(logp, old, zeros, zeros.long(), zeros, old)
    (exact,) = torch.autograd.grad((logp.exp() * (logp - logq)).sum(), logits, retain_graph=True)
    (ours,) = torch.autograd.grad((p * kl_term(given, logq, kind)).sum(), logits, retain_graph=True)
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
    monkeypatch.setattr("tooldojo.training.learning.scoring.CHUNK_NUMBERS", 100)  # several chunks
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


def test_gradient_through_the_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tooldojo.training.learning.scoring.CHUNK_NUMBERS", 100)
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(31, 8, generator=generator, dtype=torch.float64)
    states = torch.randn(17, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 31, (17,), generator=generator)
    gain, other = torch.randn(2, 17, generator=generator, dtype=torch.float64)
    scores = score_tokens(states, weight, target, 0.7, through_entropy=True)
    mixed = (gain * scores.logprob_N + other * scores.entropy_N).sum()
    (mine,) = torch.autograd.grad(mixed, states)
    z = (states @ weight.T / 0.7).log_softmax(-1)
    chosen = z.gather(1, target[:, None])[:, 0]
    mixed = (gain * chosen - other * (z.exp() * z).sum(-1)).sum()
    (theirs,) = torch.autograd.grad(mixed, states)
    assert torch.allclose(mine, theirs, atol=1e-6)


def test_entropy_bonus_is_subtracted_with_its_coefficient() -> None:
    given = replace(tokens(1.0, 1.0), entropy_N=torch.tensor([2.0], dtype=torch.float64))
    loss = policy_loss(given, ObjectiveSection(entropy_coef=0.25))
    assert (loss.total.item(), loss.policy.item()) == (pytest.approx(-1.5), pytest.approx(-1.0))
