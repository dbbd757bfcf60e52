"""Advantages, policy terms, aggregations and the KL penalty as small pure functions.

A new method adds one advantage to `ADVANTAGES` or one policy term to `POLICY_TERMS`; nothing else
changes. Invariant: the loss is a plain sum of weight * term over tokens, with weights from the
whole optimiser step, so the way a step is cut into micro-batches cannot change it. Shapes: _G group
members, _B trajectories, _N trainable tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tooldojo.configs.schema import ObjectiveSection

STD_EPSILON = 1e-4  # as TRL
MAX_LOG_RATIO = 20.0  # exp of more than this says nothing


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a policy term may look at; logprob_N carries the gradient.

    old_N: logprobs under the policy that sampled. trajectory_N: index of the token's trajectory,
    for ratios taken over sequences. reference_N: logprobs under the reference policy, or None
    without a KL penalty.
    """

    logprob_N: Tensor
    old_N: Tensor
    advantage_N: Tensor
    trajectory_N: Tensor
    weight_N: Tensor
    reference_N: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PolicyTerm:
    """loss_N per token (to minimise, unweighted), the detached ratio_N, and where the objective cut
    the gradient."""

    loss_N: Tensor
    ratio_N: Tensor
    clipped_N: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """total: the scalar to differentiate. policy and kl: its detached parts. k3_N: the KL estimate
    per token."""

    total: Tensor
    policy: Tensor
    kl: Tensor
    term: PolicyTerm
    k3_N: Tensor | None


def grpo(rewards_G: Tensor) -> Tensor:
    """A_i = (R_i - mean R) / (std R + 1e-4), unbiased std. GRPO, https://arxiv.org/abs/2402.03300,
    section 4.1.2."""
    centred = rewards_G - rewards_G.mean()
    if len(rewards_G) < 2:
        return centred
    return centred / (rewards_G.std(correction=1) + STD_EPSILON)


def dr_grpo(rewards_G: Tensor) -> Tensor:
    """A_i = R_i - mean R: no division by std, which favours easy and hard tasks.
    https://arxiv.org/abs/2503.20783."""
    return rewards_G - rewards_G.mean()


def rloo(rewards_G: Tensor) -> Tensor:
    """A_i = R_i - mean of the others = G / (G - 1) (R_i - mean R).
    https://arxiv.org/abs/2402.14740."""
    count = len(rewards_G)
    return (rewards_G - rewards_G.mean()) * (count / max(count - 1, 1))


def clip_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """-min(r A, clip(r, 1 - low, 1 + high) A), r = pi / pi_old.

    PPO, https://arxiv.org/abs/1707.06347, eq. 7; a higher upper bound is DAPO's,
    https://arxiv.org/abs/2503.14476, eq. 10.
    """
    log_ratio = (tokens.logprob_N - tokens.old_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    ratio, advantage = log_ratio.exp(), tokens.advantage_N
    clipped = ratio.clamp(1 - section.clip_low, 1 + section.clip_high)
    loss = -torch.minimum(ratio * advantage, clipped * advantage)
    with torch.no_grad():
        cut = clipped * advantage < ratio * advantage
    return PolicyTerm(loss, ratio.detach(), cut)


def k3(logprob_N: Tensor, reference_N: Tensor) -> Tensor:
    """exp(d) - d - 1 with d = log pi_ref - log pi: unbiased for KL(pi || pi_ref) on samples of pi,
    never negative.

    http://joschu.net/blog/kl-approx.html
    """
    d = (reference_N - logprob_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return d.exp() - d - 1


def kl_term(tokens: Tokens, reference_N: Tensor) -> Tensor:
    """r k3 with r = pi / pi_old: unlike k3 alone its expected gradient is that of KL(pi || pi_ref),
    on-policy too.

    DeepSeek-V3.2, https://arxiv.org/abs/2512.02556, "unbiased KL estimate".
    """
    log_ratio = (tokens.logprob_N - tokens.old_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return log_ratio.exp() * k3(tokens.logprob_N, reference_N)


def token_mean(lengths_B: Tensor, section: ObjectiveSection) -> Tensor:
    """1 / sum of lengths: every token of the step counts alike. DAPO,
    https://arxiv.org/abs/2503.14476, eq. 12."""
    return torch.ones_like(lengths_B) / lengths_B.sum().clamp(min=1)


def sequence_mean(lengths_B: Tensor, section: ObjectiveSection) -> Tensor:
    """1 / (B |y_i|): every trajectory counts alike. GRPO, https://arxiv.org/abs/2402.03300, eq.
    3."""
    return 1 / (len(lengths_B) * lengths_B.clamp(min=1))


def constant(lengths_B: Tensor, section: ObjectiveSection) -> Tensor:
    """1 / (B L) with a fixed L: neither tokens nor lengths are favoured. Dr. GRPO,
    https://arxiv.org/abs/2503.20783."""
    return torch.full_like(lengths_B, 1 / (len(lengths_B) * section.constant_length))


ADVANTAGES: dict[str, Callable[[Tensor], Tensor]] = {"grpo": grpo, "dr_grpo": dr_grpo, "rloo": rloo}
POLICY_TERMS: dict[str, Callable[[Tokens, ObjectiveSection], PolicyTerm]] = {"clip": clip_term}
AGGREGATIONS: dict[str, Callable[[Tensor, ObjectiveSection], Tensor]] = {
    "token_mean": token_mean,
    "sequence_mean": sequence_mean,
    "constant": constant,
}


def token_weights(lengths_B: Tensor, section: ObjectiveSection) -> Tensor:
    """The weight of one token of each trajectory, float32 [B]; lengths are trainable tokens of the
    *whole* step."""
    return AGGREGATIONS[section.aggregation](lengths_B.float(), section)


def policy_loss(tokens: Tokens, section: ObjectiveSection) -> Loss:
    """sum over tokens of weight * (policy term + kl_coef * KL term)."""
    term = POLICY_TERMS["clip"](tokens, section)
    policy = (tokens.weight_N * term.loss_N).sum()
    if tokens.reference_N is None:
        return Loss(policy, policy.detach(), policy.new_zeros(()), term, None)
    kl = (tokens.weight_N * kl_term(tokens, tokens.reference_N)).sum()
    k3_N = k3(tokens.logprob_N.detach(), tokens.reference_N)
    return Loss(policy + section.kl_coef * kl, policy.detach(), kl.detach(), term, k3_N)
