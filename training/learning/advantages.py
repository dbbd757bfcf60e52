"""Advantages of every trainable token, from rewards, the penalty for leaving the reference, and
values.

Owns three choices: what a reward is compared with (`ADVANTAGES`, or a critic), what gets an
advantage of its own (`objective.credit`), and what the whole batch does to it (whitening, factors
by sign). Invariants: a trajectory counts once in every baseline, however many turns it has; tokens
that nobody sampled do not exist here, so estimates reach over observations from one sampled token
to the next. Shapes: _G members of a group, _U units (trajectories or turns), _N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.training.learning.batch import Column, Member

STD_EPSILON = 1e-4  # as TRL
WHITENING_EPSILON = 1e-8
WHITENED = frozenset({"gae", "reinforce_pp", "reinforce_pp_baseline"})
Advantage = Callable[[Tensor, Tensor], Tensor]


def grpo(return_U: Tensor, member_U: Tensor) -> Tensor:
    """A = (R - mean R) / (std R + 1e-4), unbiased std. GRPO, https://arxiv.org/abs/2402.03300,
    section 4.1.2."""
    centred_U = dr_grpo(return_U, member_U)
    members = len(member_U.unique())
    if members < 2:
        return centred_U
    variance = member_means(centred_U**2, member_U).sum() / (members - 1)
    return centred_U / (variance.sqrt() + STD_EPSILON)


def dr_grpo(return_U: Tensor, member_U: Tensor) -> Tensor:
    """A = R - mean R: no division by std, which favours easy and hard tasks.
    https://arxiv.org/abs/2503.20783."""
    return return_U - member_means(return_U, member_U).mean()


def rloo(return_U: Tensor, member_U: Tensor) -> Tensor:
    """A = R - mean of the other members' R; 0 on the mean of a lone member.
    https://arxiv.org/abs/2402.14740."""
    mean_G = member_means(return_U, member_U)
    others_G = (mean_G.sum() - mean_G) / (len(mean_G) - 1) if len(mean_G) > 1 else mean_G
    return return_U - others_G[member_U.unique(return_inverse=True)[1]]


def reinforce(return_U: Tensor, member_U: Tensor) -> Tensor:
    """A = 2 R - 1, no baseline: rewards of 1 and 0 become +1 and -1.
    https://arxiv.org/abs/2506.01347."""
    return 2 * return_U - 1


def plain(return_U: Tensor, member_U: Tensor) -> Tensor:
    """A = R, to be whitened over the batch. REINFORCE++, https://arxiv.org/abs/2501.03262."""
    return return_U


ADVANTAGES: dict[str, Advantage] = {
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "rloo": rloo,
    "reinforce": reinforce,
    "reinforce_pp": plain,
    "reinforce_pp_baseline": dr_grpo,
}
# Where equal rewards of a group leave no advantage, so that such a group cannot train.
GROUP_RELATIVE = frozenset({"grpo", "dr_grpo", "rloo", "reinforce_pp_baseline"})


def member_means(value_U: Tensor, member_U: Tensor) -> Tensor:
    """Mean over the units of each member, [G]."""
    _, index_U, count_G = member_U.unique(return_inverse=True, return_counts=True)
    return value_U.new_zeros(len(count_G)).index_add_(0, index_U, value_U) / count_G


def with_advantages(members: Sequence[Member], section: ObjectiveSection) -> list[Member]:
    """The members with ADVANTAGE, and RETURN where there is a critic. They are the whole batch:
    groups and whitening take their statistics from it.

    A KL penalty in the reward reads REFERENCE, a critic VALUE.

    Raises:
        ValueError: when turns need rewards of their own and the trajectory's does not have them.
    """
    estimate = _with_critic if section.advantage == "gae" else _without_critic
    found = [
        member
        for _, group in groupby(members, key=lambda member: member.group)
        for member in estimate(list(group), section)
    ]
    if section.advantage in WHITENED:
        found = whitened(found)
    if section.positive_weight != 1 or section.negative_weight != 1:
        found = [_weighted(member, section) for member in found]
    if section.mask_truncated:
        found = [_emptied(member) if member.truncated else member for member in found]
    return found


def _without_critic(group: Sequence[Member], section: ObjectiveSection) -> list[Member]:
    advantages = CREDITS[section.credit](group, section, ADVANTAGES[section.advantage])
    return [
        m.having(Column.ADVANTAGE, a_N + discounted(kl_rewards(m, section), 1.0))
        for m, a_N in zip(group, advantages, strict=True)
    ]


def _trajectory_credit(
    group: Sequence[Member], section: ObjectiveSection, of: Advantage
) -> list[np.ndarray]:
    """One advantage for all tokens of a trajectory."""
    totals = [np.array([m.reward.total + overlong(m.length, section)]) for m in group]
    return [np.repeat(a, m.length) for m, a in zip(group, _by_member(of, totals), strict=True)]


def _turn_credit(
    group: Sequence[Member], section: ObjectiveSection, of: Advantage
) -> list[np.ndarray]:
    """One for each turn, of its return among all returns of the group."""
    returns = [discounted(turn_rewards(m, section), section.discount) for m in group]
    return [a_U[m.turn_N] for m, a_U in zip(group, _by_member(of, returns), strict=True)]


def _tool_credit(
    group: Sequence[Member], section: ObjectiveSection, of: Advantage
) -> list[np.ndarray]:
    """A_success + M A_action, M = 1 on tokens of calls. ToolPO,
    https://arxiv.org/abs/2510.21618, eq. 7.

    The reward for actions is the penalty for bad calls: unlike a sum over right calls it does not
    pay for more of them.
    """
    action = [np.array([m.reward.parts.get("call_error", 0.0)]) for m in group]
    rest = [
        np.array([sum(value for name, value in m.reward.parts.items() if name != "call_error")])
        + overlong(m.length, section)
        for m in group
    ]
    pairs = zip(group, _by_member(of, rest), _by_member(of, action), strict=True)
    return [np.repeat(success, m.length) + m.call_N * act for m, success, act in pairs]


def _state_credit(
    group: Sequence[Member], section: ObjectiveSection, of: Advantage
) -> list[np.ndarray]:
    """The trajectory's, plus that of the turn's return among those of the group's turns that were
    taken in the same state; 0 where there is no other. GiGPO, https://arxiv.org/abs/2505.10978."""
    returns = [discounted(turn_rewards(m, section), section.discount) for m in group]
    places: dict[str, list[tuple[int, int]]] = {}
    for i, member in enumerate(group):
        for turn in range(len(returns[i])):
            places.setdefault(member.states[turn], []).append((i, turn))
    steps = [np.zeros_like(each) for each in returns]
    for same in places.values():
        return_U = torch.tensor([returns[i][turn] for i, turn in same], dtype=torch.float64)
        for (i, turn), value in zip(same, of(return_U, torch.arange(len(same))), strict=True):
            steps[i][turn] = float(value)
    whole = _trajectory_credit(group, section, of)
    return [a_N + s_U[m.turn_N] for m, a_N, s_U in zip(group, whole, steps, strict=True)]


CREDITS: dict[str, Callable[[Sequence[Member], ObjectiveSection, Advantage], list[np.ndarray]]] = {
    "trajectory": _trajectory_credit,
    "turn": _turn_credit,
    "state": _state_credit,
    "tool": _tool_credit,
}


def _by_member(of: Advantage, returns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """An advantage function over the units of a group, float64."""
    sizes = [len(each) for each in returns]
    member_U = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    advantage_U = of(torch.from_numpy(np.concatenate(returns)).double(), member_U)
    return np.split(advantage_U.numpy(), np.cumsum(sizes)[:-1])


def _with_critic(group: Sequence[Member], section: ObjectiveSection) -> list[Member]:
    by_turn = section.credit == "turn"
    return [(_turn_gae if by_turn else _token_gae)(member, section) for member in group]


def _token_gae(member: Member, section: ObjectiveSection) -> Member:
    """Each token is a step; a turn's reward falls on its last token."""
    reward_N, value_N = kl_rewards(member, section), member.columns[Column.VALUE]
    reward_N[_ends(member.turn_N)] += turn_rewards(member, section)
    advantage_N = gae(reward_N, value_N, section.discount, section.gae_lambda)
    return member.having(Column.ADVANTAGE, advantage_N).having(Column.RETURN, advantage_N + value_N)


def _turn_gae(member: Member, section: ObjectiveSection) -> Member:
    """Each turn is a step, valued before its first token; its tokens share the advantage."""
    turn_N, ends = member.turn_N, _ends(member.turn_N)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    kl_U = np.add.reduceat(kl_rewards(member, section), starts) if len(ends) else np.zeros(0)
    value_U = member.columns[Column.VALUE][starts]
    advantage_U = gae(
        turn_rewards(member, section) + kl_U, value_U, section.discount, section.gae_lambda
    )
    return_N = np.full(member.length, np.nan)
    return_N[starts] = advantage_U + value_U
    return member.having(Column.ADVANTAGE, advantage_U[turn_N]).having(Column.RETURN, return_N)


def gae(reward_U: np.ndarray, value_U: np.ndarray, discount: float, lam: float) -> np.ndarray:
    """A_u = delta_u + g l A_(u+1) with delta_u = r_u + g V_(u+1) - V_u; nothing follows the last
    unit. https://arxiv.org/abs/1506.02438, eq. 16."""
    following_U = np.append(value_U[1:], 0.0) if len(value_U) else value_U
    return discounted(reward_U + discount * following_U - value_U, discount * lam)


def discounted(value_U: np.ndarray, discount: float) -> np.ndarray:
    """sum over later units v of discount^(v - u) value_v, u itself included; float64."""
    found, total = np.zeros(len(value_U)), 0.0
    for at in range(len(value_U) - 1, -1, -1):
        total = float(value_U[at]) + discount * total
        found[at] = total
    return found


def turn_rewards(member: Member, section: ObjectiveSection) -> np.ndarray:
    """Rewards of the turns, the loss for length on the last one.

    Raises:
        ValueError: when there is not one for each turn.
    """
    if not member.length:
        return np.zeros(0)
    reward_U, turns = np.array(member.reward.turns, np.float64), int(member.turn_N[-1]) + 1
    if len(reward_U) != turns:
        raise ValueError(
            f"a trajectory of {turns} turns has {len(reward_U)} turn rewards; "
            "credit per turn or token needs one for each"
        )
    reward_U[-1] += overlong(member.length, section)
    return reward_U


def overlong(length: int, section: ObjectiveSection) -> float:
    """0 up to L - c sampled tokens, then down to -1 at L. DAPO, https://arxiv.org/abs/2503.14476,
    eq. 13."""
    limit, buffer = section.overlong_length, section.overlong_buffer
    return -float(np.clip((length - (limit - buffer)) / buffer, 0, 1)) if limit else 0.0


def kl_rewards(member: Member, section: ObjectiveSection) -> np.ndarray:
    """-kl_coef (log pi_old - log pi_ref) per token, where the penalty is part of the reward, else
    0. https://arxiv.org/abs/2203.02155, eq. 2."""
    if section.kl != "reward" or not section.kl_coef:
        return np.zeros(member.length)
    return section.kl_coef * (member.columns[Column.REFERENCE].astype(np.float64) - member.old_N)


def whitened(members: Sequence[Member]) -> list[Member]:
    """(A - mean) / std over all trainable tokens of the batch."""
    all_N = np.concatenate([m.columns[Column.ADVANTAGE] for m in members]).astype(np.float64)
    if not len(all_N):
        return list(members)
    scale = all_N.std(ddof=1) + WHITENING_EPSILON if len(all_N) > 1 else 1.0
    mean = all_N.mean()
    return [
        m.having(Column.ADVANTAGE, (m.columns[Column.ADVANTAGE] - mean) / scale) for m in members
    ]


def _weighted(member: Member, section: ObjectiveSection) -> Member:
    """Factors by sign: 0 on one side is positive or negative sample reinforcement.
    https://arxiv.org/abs/2506.01347."""
    value_N = member.columns[Column.ADVANTAGE]
    factor_N = np.where(value_N > 0, section.positive_weight, section.negative_weight)
    return member.having(Column.ADVANTAGE, value_N * factor_N)


def _emptied(member: Member) -> Member:
    nothing = {column: value_N[:0] for column, value_N in member.columns.items()}
    return replace(member, sequences=(), columns=nothing)


def _ends(turn_N: np.ndarray) -> np.ndarray:
    """Index of the last token of each turn."""
    return np.flatnonzero(np.append(np.diff(turn_N), 1)) if len(turn_N) else np.zeros(0, np.int64)
