"""Policy terms, aggregations, KL and entropy as small pure functions; one loss from all of them.

A new method adds one policy term to `POLICY_TERMS` (or an advantage to `advantages.ADVANTAGES`);
nothing else changes. Invariant: the loss is a plain sum of weight * term over tokens, with weights
from the whole optimiser step, so the way a step is cut into micro-batches cannot change it. Shapes:
_B trajectories, _N trainable tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.training.learning.mismatch import bounded

MAX_LOG_RATIO = 20.0  # exp of more than this says nothing
SAPO_POSITIVE, SAPO_NEGATIVE = 1.0, 1.05  # temperatures, as published
VESPO_POSITIVE, VESPO_NEGATIVE = (2.0, 3.0), (3.0, 2.0)  # (k, lambda), as TRL
VESPO_LEAST = 1e-8  # of a trajectory's ratio


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a policy term may look at; logprob_N and entropy_N carry gradients.

    old_N: logprobs under the policy that the ratio is taken against. sampler_N: under the one that
    sampled. trajectory_N: index of the token's trajectory, all of whose tokens are here.
    reference_N: logprobs under the reference policy, or None without a KL term.
    """

    logprob_N: Tensor
    old_N: Tensor
    advantage_N: Tensor
    trajectory_N: Tensor
    weight_N: Tensor
    sampler_N: Tensor
    entropy_N: Tensor | None = None
    reference_N: Tensor | None = None

    @property
    def log_ratio_N(self) -> Tensor:
        """log pi / pi_old, bounded."""
        return (self.logprob_N - self.old_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)

    def over_trajectory(self, value_N: Tensor, mean: bool = False) -> Tensor:
        """At each token the sum, or mean, over its trajectory."""
        return over_trajectory(value_N, self.trajectory_N, mean)


@dataclass(frozen=True, slots=True)
class PolicyTerm:
    """loss_N per token (to minimise, unweighted), the detached ratio_N, and where the objective cut
    the gradient."""

    loss_N: Tensor
    ratio_N: Tensor
    clipped_N: Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """total: the scalar to differentiate. policy and kl: its detached parts, without coefficients.
    kl_N: the KL estimate per token. importance_N: learner / sampler probabilities before they are
    truncated, and correction_N after, None without a correction."""

    total: Tensor
    policy: Tensor
    kl: Tensor
    term: PolicyTerm
    kl_N: Tensor | None
    importance_N: Tensor | None
    correction_N: Tensor | None


def clip_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """-min(r A, clip(r, 1 - low, 1 + high) A), r = pi / pi_old.

    PPO, https://arxiv.org/abs/1707.06347, eq. 7; a higher upper bound is DAPO's,
    https://arxiv.org/abs/2503.14476, eq. 10. With `dual_clip` c the loss where A < 0 is at most
    c |A|: https://arxiv.org/abs/1912.09729, section 3.
    """
    return _clipped(tokens.log_ratio_N.exp(), tokens.advantage_N, section)


def gspo_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """The clip on s = (prod r)^(1/|y|), the trajectory's geometric mean, in its token form
    sg(s) pi / sg(pi). GSPO, https://arxiv.org/abs/2507.18071, eq. 13 and 14."""
    log_s_N = tokens.over_trajectory(tokens.log_ratio_N.detach(), mean=True)
    ratio = (log_s_N + tokens.logprob_N - tokens.logprob_N.detach()).exp()
    return _clipped(ratio, tokens.advantage_N, section)


def trajectory_clip_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """The clip on prod r, the ratio of whole trajectories, as in RLOO where a batch is used more
    than once. https://arxiv.org/abs/2402.14740; TRL's RLOOTrainer."""
    log_ratio = tokens.over_trajectory(tokens.logprob_N - tokens.old_N)
    ratio = log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    return _clipped(ratio, tokens.advantage_N, section)


def cispo_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """-sg(clip(r, 1 - low, 1 + high)) A log pi: a bounded weight, but every token keeps its
    gradient. CISPO, https://arxiv.org/abs/2506.13585."""
    ratio = tokens.log_ratio_N.exp().detach()
    weight = ratio.clamp(1 - section.clip_low, 1 + section.clip_high)
    loss = -weight * tokens.advantage_N * tokens.logprob_N
    return PolicyTerm(loss, ratio, weight != ratio)


def sapo_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """-f(r) A, f(r) = (4 / t) sigmoid(t (r - 1)), t larger where A <= 0: a soft clip. SAPO,
    https://arxiv.org/abs/2511.20347."""
    ratio, advantage = tokens.log_ratio_N.exp(), tokens.advantage_N
    temperature = torch.where(advantage > 0, SAPO_POSITIVE, SAPO_NEGATIVE)
    soft = (temperature * (ratio - 1)).sigmoid() * 4 / temperature
    return PolicyTerm(-soft * advantage, ratio.detach(), torch.zeros_like(advantage).bool())


def vespo_term(tokens: Tokens, section: ObjectiveSection) -> PolicyTerm:
    """-sg(phi(w)) A log pi, phi(w) = w^k exp(l (1 - w)), w = prod r over the trajectory. VESPO,
    https://arxiv.org/abs/2602.10693; k and l as TRL's GRPOTrainer has them."""
    log_ratio = tokens.log_ratio_N.detach()
    log_w = tokens.over_trajectory(log_ratio).clamp(math.log(VESPO_LEAST), MAX_LOG_RATIO)
    up = tokens.advantage_N >= 0
    k, decay = (torch.where(up, VESPO_POSITIVE[i], VESPO_NEGATIVE[i]) for i in (0, 1))
    phi = (k * log_w + decay * (1 - log_w.exp())).exp()
    loss = -phi * tokens.advantage_N * tokens.logprob_N
    return PolicyTerm(loss, log_ratio.exp(), torch.zeros_like(up))


def _clipped(ratio: Tensor, advantage: Tensor, section: ObjectiveSection) -> PolicyTerm:
    clipped = ratio.clamp(1 - section.clip_low, 1 + section.clip_high) * advantage
    free = ratio.clamp(max=section.dual_clip) if section.dual_clip else ratio
    loss = -torch.minimum(free * advantage, clipped)
    with torch.no_grad():
        cut = (clipped < ratio * advantage) | ((free != ratio) & (advantage < 0))
    return PolicyTerm(loss, ratio.detach(), cut)


def over_trajectory(value_N: Tensor, trajectory_N: Tensor, mean: bool = False) -> Tensor:
    """At each token the sum, or mean, of `value_N` over the tokens of its trajectory."""
    count = int(trajectory_N.max()) + 1 if len(trajectory_N) else 0
    total = value_N.new_zeros(count).index_add(0, trajectory_N, value_N)
    if mean:
        total = total / torch.bincount(trajectory_N, minlength=count).clamp(min=1)
    return total[trajectory_N]


def k1(logprob_N: Tensor, reference_N: Tensor) -> Tensor:
    """log pi - log pi_ref: unbiased for KL(pi || pi_ref) on samples of pi, of either sign.
    http://joschu.net/blog/kl-approx.html (all three)."""
    return (logprob_N - reference_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def k2(logprob_N: Tensor, reference_N: Tensor) -> Tensor:
    """k1^2 / 2: biased, of low variance."""
    return k1(logprob_N, reference_N) ** 2 / 2


def k3(logprob_N: Tensor, reference_N: Tensor) -> Tensor:
    """exp(-k1) + k1 - 1: unbiased, never negative."""
    difference = k1(logprob_N, reference_N)
    return (-difference).exp() + difference - 1


KL_ESTIMATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}


def kl_term(tokens: Tokens, reference_N: Tensor, kind: str) -> Tensor:
    """r k with r = pi / pi_old, held constant for k2: so that all three have in expectation the
    gradient of KL(pi || pi_ref), off-policy too.

    k1, k3: DeepSeek-V3.2, https://arxiv.org/abs/2512.02556, "unbiased KL estimate"; k2:
    https://arxiv.org/abs/2510.01555.
    """
    ratio = tokens.log_ratio_N.exp()
    return (ratio.detach() if kind == "k2" else ratio) * KL_ESTIMATORS[kind](
        tokens.logprob_N, reference_N
    )


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


POLICY_TERMS: dict[str, Callable[[Tokens, ObjectiveSection], PolicyTerm]] = {
    "clip": clip_term,
    "gspo": gspo_term,
    "trajectory_clip": trajectory_clip_term,
    "cispo": cispo_term,
    "sapo": sapo_term,
    "vespo": vespo_term,
}
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
    """sum over tokens of weight * (correction * policy term + kl_coef * KL - entropy_coef *
    entropy)."""
    term = POLICY_TERMS[section.loss](tokens, section)
    importance_N = correction_N = kl_N = None
    if section.correction != "none":
        importance_N = importance(tokens, section)
        correction_N = bounded(importance_N, section)
        term = replace(term, loss_N=correction_N * term.loss_N)
    policy = total = (tokens.weight_N * term.loss_N).sum()
    kl = policy.new_zeros(())
    if tokens.reference_N is not None:
        kl = (tokens.weight_N * kl_term(tokens, tokens.reference_N, section.kl)).sum()
        kl_N = KL_ESTIMATORS[section.kl](tokens.logprob_N.detach(), tokens.reference_N)
        total = total + section.kl_coef * kl
    if section.entropy_coef and tokens.entropy_N is not None:
        total = total - section.entropy_coef * (tokens.weight_N * tokens.entropy_N).sum()
    return Loss(total, policy.detach(), kl.detach(), term, kl_N, importance_N, correction_N)


def importance(tokens: Tokens, section: ObjectiveSection) -> Tensor:
    """rho = pi_old / pi_sampler of each token, or of its whole trajectory; a constant."""
    log_N = (tokens.old_N - tokens.sampler_N).detach()
    if section.correction.startswith("sequence"):
        log_N = tokens.over_trajectory(log_N)
    return log_N.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
