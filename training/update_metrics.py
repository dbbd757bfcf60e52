"""What an update reports: one flat dict of floats, computed once from the tokens of all
micro-batches.

Names: `ratio`, `clip_fraction`, `approx_kl`, `mismatch` and `entropy` are about trainable tokens;
`advantage` and `reward` about trajectories. Invariant: failed trajectories count in `failed` and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tooldojo.rollouts.records import Group
from tooldojo.training.batch import Member, trainable


@dataclass(frozen=True, slots=True, eq=False)
class TokenRecord:
    """Detached per-token values of one micro-batch, and the tokens of its row."""

    logprob_N: Tensor
    old_N: Tensor
    ratio_N: Tensor
    clipped_N: Tensor
    entropy_N: Tensor
    kl_N: Tensor | None
    packed: int


@dataclass(frozen=True, slots=True, eq=False)
class StepRecord:
    """One optimiser step: its members, its micro-batches, and what the optimiser did."""

    members: tuple[Member, ...]
    batches: tuple[TokenRecord, ...]
    loss: float
    policy_loss: float
    kl_loss: float
    grad_norm: float
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
    figures = _token_figures(steps)
    return figures | {
        "loss": _mean([step.loss for step in steps]),
        "policy_loss": _mean([step.policy_loss for step in steps]),
        "grad_norm": _mean([step.grad_norm for step in steps]),
        "learning_rate": steps[-1].learning_rate,
        "advantage_mean": float(advantage.mean()),
        "advantage_std": float(advantage.std(correction=0)),
        "advantage_max": float(advantage.abs().max()),
        "reward_mean": float(rewards.mean()),
        "dead_groups": float(sum(group.dead for group in groups)),
        "trajectories": float(len(members)),
        "failed": float(sum(len(g.trajectories) - len(trainable(g)) for g in groups)),
        "seconds": seconds,
        "tokens_per_second": figures["packed_tokens"] / seconds,
    }


def _token_figures(steps: Sequence[StepRecord]) -> dict[str, float]:
    batches = [batch for step in steps for batch in step.batches]
    ratio = torch.cat([batch.ratio_N for batch in batches])
    mismatch = torch.cat([(batch.logprob_N - batch.old_N).abs() for batch in steps[0].batches])
    figures = {
        "entropy": float(torch.cat([batch.entropy_N for batch in batches]).mean()),
        "clip_fraction": float(torch.cat([batch.clipped_N for batch in batches]).float().mean()),
        "approx_kl": float((ratio - 1 - ratio.log()).mean()),
        "ratio_p01": quantile(ratio, 0.01),
        "ratio_p50": quantile(ratio, 0.5),
        "ratio_p99": quantile(ratio, 0.99),
        "ratio_max": float(ratio.max()),
        "mismatch_mean": float(mismatch.mean()),
        "mismatch_max": float(mismatch.max()),
        "trainable_tokens": float(len(ratio)),
        "packed_tokens": float(sum(batch.packed for batch in batches)),
    }
    kl_parts = [batch.kl_N for batch in batches if batch.kl_N is not None]
    if kl_parts:
        figures["kl"] = float(torch.cat(kl_parts).mean())
        figures["kl_loss"] = _mean([step.kl_loss for step in steps])
    return figures


def quantile(values_N: Tensor, share: float) -> float:
    """The value below which `share` of the values lie (nearest rank; `torch.quantile` refuses large
    tensors)."""
    rank = min(len(values_N), max(1, round(share * len(values_N))))
    return float(values_N.kthvalue(rank).values)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
