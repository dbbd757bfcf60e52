"""What an update reports: one flat dict of floats, computed once from the tokens of all
micro-batches.

Names: `ratio`, `clip_fraction`, `approx_kl`, `mismatch`, `correction` and `entropy` are about
trainable tokens; `advantage` and `reward` about trajectories; `value` and `critic` about tokens
that the critic is asked at; `grad_noise` / `grad_signal`, each added up over steps, is the gradient
noise scale in groups. Invariant: failed trajectories count nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tooldojo.rollouts.records import Group
from tooldojo.training.learning.batch import Batch, Column, Member
from tooldojo.training.learning.critic import CriticRecord, explained_variance
from tooldojo.training.learning.mismatch import correction_figures, mismatch_figures, quantile
from tooldojo.training.learning.noise import GradientNoise
from tooldojo.training.learning.objectives import Loss
from tooldojo.training.learning.scoring import TokenScores


@dataclass(frozen=True, slots=True, eq=False)
class TokenRecord:
    """Detached per-token values of one micro-batch, the tokens of its row, and its part of the
    loss."""

    logprob_N: Tensor
    old_N: Tensor
    ratio_N: Tensor
    clipped_N: Tensor
    entropy_N: Tensor
    kl_N: Tensor | None
    importance_N: Tensor | None
    correction_N: Tensor | None
    packed: int
    loss: Tensor
    policy_loss: Tensor
    kl_loss: Tensor


def token_record(batch: Batch, scores: TokenScores, loss: Loss) -> TokenRecord:
    """What is kept of a micro-batch once its gradient is taken."""
    return TokenRecord(
        logprob_N=scores.logprob_N.detach(),
        old_N=batch.old_N,
        ratio_N=loss.term.ratio_N,
        clipped_N=loss.term.clipped_N,
        entropy_N=scores.entropy_N.detach(),
        kl_N=loss.kl_N,
        importance_N=loss.importance_N,
        correction_N=loss.correction_N,
        packed=batch.layout.tokens,
        loss=loss.total.detach(),
        policy_loss=loss.policy,
        kl_loss=loss.kl,
    )


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """One optimiser step: its members, its micro-batches, and what the optimiser did."""

    members: tuple[Member, ...]
    batches: tuple[TokenRecord, ...]
    loss: float
    policy_loss: float
    kl_loss: float
    critic: CriticRecord | None
    grad_norm: float
    noise: GradientNoise | None
    learning_rate: float


def update_metrics(
    groups: Sequence[Group], steps: Sequence[StepRecord], seconds: float
) -> dict[str, float]:
    """Metrics of an update of one or more optimiser steps. seconds: wall clock of the whole update.

    The mismatch compares learner and sampler on the first step only, before the policy has moved.
    """
    members = [member for step in steps for member in step.members]
    advantage = torch.tensor([member.advantage for member in members], dtype=torch.float64)
    rewards = torch.tensor([r for group in groups for r in group.rewards], dtype=torch.float64)
    figures = _token_figures(steps) | _critic_figures(steps)
    noises = [step.noise for step in steps if step.noise is not None]
    if noises:
        figures["grad_signal"] = _mean([noise.signal for noise in noises])
        figures["grad_noise"] = _mean([noise.noise for noise in noises])
    return figures | {
        "loss": _mean([step.loss for step in steps]),
        "policy_loss": _mean([step.policy_loss for step in steps]),
        "grad_norm": _mean([step.grad_norm for step in steps]),
        "learning_rate": steps[-1].learning_rate,
        "advantage_mean": float(advantage.mean()),
        "advantage_std": float(advantage.std(correction=0)),
        "advantage_max": float(advantage.abs().max()),
        "reward_mean": float(rewards.mean()),
        "trajectories": float(len(members)),
        "seconds": seconds,
        "tokens_per_second": figures["packed_tokens"] / seconds,
    }


def _token_figures(steps: Sequence[StepRecord]) -> dict[str, float]:
    batches = [batch for step in steps for batch in step.batches]
    ratio = torch.cat([batch.ratio_N for batch in batches])
    mismatch = torch.cat([batch.logprob_N - batch.old_N for batch in steps[0].batches])
    figures = {
        "entropy": float(torch.cat([batch.entropy_N for batch in batches]).mean()),
        "clip_fraction": float(torch.cat([batch.clipped_N for batch in batches]).float().mean()),
        "approx_kl": float((ratio - 1 - ratio.log()).mean()),
        "ratio_p01": quantile(ratio, 0.01),
        "ratio_p50": quantile(ratio, 0.5),
        "ratio_p99": quantile(ratio, 0.99),
        "ratio_max": float(ratio.max()),
        "trainable_tokens": float(len(ratio)),
        "packed_tokens": float(sum(batch.packed for batch in batches)),
    }
    figures |= mismatch_figures(mismatch)
    kl_parts = [batch.kl_N for batch in batches if batch.kl_N is not None]
    if kl_parts:
        figures["kl"] = float(torch.cat(kl_parts).mean())
        figures["kl_loss"] = _mean([step.kl_loss for step in steps])
    importance = [batch.importance_N for batch in batches if batch.importance_N is not None]
    correction = [batch.correction_N for batch in batches if batch.correction_N is not None]
    if correction:
        figures |= correction_figures(torch.cat(importance), torch.cat(correction))
    return figures


def _critic_figures(steps: Sequence[StepRecord]) -> dict[str, float]:
    """How well the values of before the update foresaw the returns, and the critic's own steps."""
    records = [step.critic for step in steps if step.critic is not None]
    if not records:
        return {}
    members = [member for step in steps for member in step.members]
    value_N = np.concatenate([member.columns[Column.VALUE] for member in members])
    return_N = np.concatenate([member.columns[Column.RETURN] for member in members])
    asked = np.isfinite(return_N)
    return {
        "value_loss": _mean([record.loss for record in records]),
        "value_mean": float(value_N[asked].mean()),
        "return_mean": float(return_N[asked].mean()),
        "explained_variance": explained_variance(value_N[asked], return_N[asked]),
        "critic_grad_norm": _mean([record.grad_norm for record in records]),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
