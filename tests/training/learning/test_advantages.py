"""Advantages against closed forms: baselines, credit per turn, call and token, GAE, whitening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.training.learning.advantages import (
    ADVANTAGES,
    GROUP_RELATIVE,
    discounted,
    gae,
    overlong,
    with_advantages,
)
from tooldojo.training.learning.batch import Column, Member, PackedSequence
from tooldojo.verifiers.records import Reward

FEW = settings(deadline=None, max_examples=25)
VALUES = st.floats(-2, 2, allow_nan=False).map(lambda x: round(x, 3))


def section(**keys: object) -> ObjectiveSection:
    return ObjectiveSection.model_validate(keys)


def member(
    rewards: Sequence[float],
    lengths: Sequence[int] | None = None,
    group: int = 0,
    gap: int = 2,
    error: float = 0.0,
    columns: dict[Column, Sequence[float]] | None = None,
) -> Member:
    """Turns of these lengths and rewards, `gap` observed tokens after each; the first is a call."""
    lengths = lengths or [1] * len(rewards)
    targets, turns, at = [], [], 3
    for turn, length in enumerate(lengths):
        targets += range(at, at + length)
        turns += [turn] * length
        at += length + gap
    count = len(targets)
    sequence = PackedSequence(
        ids_T=np.arange(targets[-1] + 1),
        targets_N=np.array(targets),
        old_N=np.full(count, -1.0, np.float32),
        turn_N=np.array(turns),
        call_N=np.array(turns) == 0,
        shared=3,
    )
    total = sum(rewards) + error
    reward = Reward(total, tuple(rewards), {"success": sum(rewards), "call_error": error})
    arrays = {c: np.array(v, np.float32) for c, v in (columns or {}).items()}
    return Member(group, (sequence,), reward, columns=arrays)


def found(members: Sequence[Member], **keys: object) -> list[list[float]]:
    done = with_advantages(members, section(**keys))
    return [m.columns[Column.ADVANTAGE].tolist() for m in done]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", [1.5, -0.5, -0.5, -0.5]),
        ("rloo", [1, -1 / 3, -1 / 3, -1 / 3]),
        ("dr_grpo", [0.75, -0.25, -0.25, -0.25]),
        ("reinforce_pp_baseline", [0.75, -0.25, -0.25, -0.25]),
        ("reinforce_pp", [1, 0, 0, 0]),
        ("reinforce", [1, -1, -1, -1]),
    ],
)
def test_of_one_success_in_four(name: str, expected: list[float]) -> None:
    rewards = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    scale = 0.5 / (0.5 + 1e-4) if name == "grpo" else 1.0  # the epsilon beside the std of 0.5
    advantage = ADVANTAGES[name](rewards, torch.arange(4)).tolist()
    assert advantage == pytest.approx([scale * x for x in expected])


@pytest.mark.parametrize("name", sorted(GROUP_RELATIVE))
@pytest.mark.parametrize("rewards", [[0.3, 0.3, 0.3], [1.0], [0.0, 0.0]])
def test_equal_rewards_and_lone_members_have_no_advantage(name: str, rewards: list[float]) -> None:
    advantage = ADVANTAGES[name](
        torch.tensor(rewards, dtype=torch.float64), torch.arange(len(rewards))
    )
    assert advantage.abs().max() < 1e-12


@FEW
@given(st.lists(st.tuples(VALUES, st.integers(1, 4)), min_size=1, max_size=5))
@pytest.mark.parametrize("name", sorted(GROUP_RELATIVE))
def test_a_trajectory_counts_once_however_many_turns_it_has(
    name: str, drawn: list[tuple[float, int]]
) -> None:
    """Undiscounted outcome rewards: every turn has the trajectory's own advantage."""
    members = [member([0.0] * (turns - 1) + [reward]) for reward, turns in drawn]
    by_turn = found(members, advantage=name, credit="turn")
    for mine, theirs in zip(by_turn, found(members, advantage=name), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)


def test_discounted_returns_of_turns() -> None:
    assert discounted(np.array([1.0, 0, 2.0]), 0.5).tolist() == [1.5, 1.0, 2.0]
    members = [member([0.0, 1.0]), member([0.0])]
    # returns (0.5, 1) and (0); the baseline counts each trajectory once: (0.75 + 0) / 2
    advantages = found(members, advantage="dr_grpo", credit="turn", discount=0.5)
    assert advantages == [pytest.approx([0.125, 0.625]), pytest.approx([-0.375])]


def test_rewards_of_a_turn_reach_its_past_alone() -> None:
    same = [member([0.0, 0.0, 0.0]), member([0.0, 0.0, 0.0])]
    late = [member([0.0, -1.0, 0.0], [2, 3, 1]), same[1]]
    (first, other), plain = found(late, advantage="dr_grpo", credit="turn"), 1 / 3
    # returns (-1, -1, 0) against a baseline of (-2/3 + 0) / 2
    assert first == pytest.approx([plain - 1] * 5 + [plain])
    assert other == pytest.approx([plain] * 3)


def test_turns_need_rewards_of_their_own() -> None:
    bare = replace(member([0.0, 1.0]), reward=Reward(1.0, (), {}))
    for keys in ({"credit": "turn"}, {"method": "ppo"}):
        columns = {Column.VALUE: np.zeros(2, np.float32)}
        with pytest.raises(ValueError, match="2 turns has 0 turn rewards"):
            found([replace(bare, columns=columns)], **keys)


def in_states(rewards: list[float], *states: str) -> Member:
    return replace(member(rewards), states=states)


def test_turns_are_compared_with_turns_in_the_same_state() -> None:
    members = [
        in_states([0.0, 0.0, 1.0], "start", "a", "b"),
        in_states([0.0, 0.0], "start", "a"),
        in_states([0.0], "start"),
    ]
    trajectory = found(members, advantage="dr_grpo")
    advantages = found(members, advantage="dr_grpo", credit="state", discount=0.5)
    step = [[0.25 - 0.25 / 3, 0.5 - 0.25, 0.0], [-0.25 / 3, -0.25], [-0.25 / 3]]
    for mine, whole, expected in zip(advantages, trajectory, step, strict=True):
        assert mine == pytest.approx([w + e for w, e in zip(whole, expected, strict=True)])


@FEW
@given(st.lists(st.tuples(VALUES, st.integers(1, 3)), min_size=1, max_size=4))
def test_where_no_state_is_shared_credit_is_the_trajectory_s(
    drawn: list[tuple[float, int]],
) -> None:
    members = [
        in_states([0.0] * (turns - 1) + [r], *(f"{i}.{k}" for k in range(turns)))
        for i, (r, turns) in enumerate(drawn)
    ]
    assert found(members, method="gigpo") == found(members, method="grpo")


@FEW
@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=5), VALUES)
def test_the_reward_for_calls_reaches_calls_alone(
    drawn: list[tuple[float, float]], other: float
) -> None:
    def group(first: float) -> list[Member]:
        errors = [first, *(error for _, error in drawn[1:])]
        return [
            member([0.0, success], [2, 3], error=error)
            for (success, _), error in zip(drawn, errors, strict=True)
        ]

    before, after = (found(group(e), method="toolpo") for e in (drawn[0][1], other))
    assert [a[2:] for a in before] == [a[2:] for a in after]
    mean = sum(success for success, _ in drawn) / len(drawn)
    errors = sum(error for _, error in drawn) / len(drawn)
    for (success, error), advantage in zip(drawn, before, strict=True):
        assert advantage[4] == pytest.approx(success - mean, abs=1e-6)
        assert advantage[0] == pytest.approx(success - mean + error - errors, abs=1e-6)


def test_bad_calls_teach_where_all_fail() -> None:
    advantages = found([member([0.0, 0.0], error=e) for e in (0.0, -0.1)], method="toolpo")
    assert advantages == [pytest.approx([0.05, 0.0]), pytest.approx([-0.05, 0.0])]


@pytest.mark.parametrize(
    ("lam", "expected"),
    [
        (1.0, [1 - 0.5, 1 - 0.25, 1 + 1.0]),  # return - value
        (0.0, [0.25 - 0.5, -1.0 - 0.25, 1 + 1.0]),  # one-step errors
    ],
)
def test_gae_at_its_ends(lam: float, expected: list[float]) -> None:
    values = np.array([0.5, 0.25, -1.0])
    assert gae(np.array([0, 0, 1.0]), values, 1.0, lam).tolist() == pytest.approx(expected)


@FEW
@given(
    st.lists(st.tuples(VALUES, VALUES, st.integers(1, 3)), min_size=1, max_size=4),
    st.sampled_from(["ppo", "turn_ppo"]),
    st.integers(0, 5),
)
def test_gae_reaches_over_observations(
    drawn: list[tuple[float, float, int]], method: str, gap: int
) -> None:
    rewards, lengths = [r for r, _, _ in drawn], [n for _, _, n in drawn]
    values = [value for _, value, n in drawn for _ in range(n)]
    columns: dict[Column, Sequence[float]] = {Column.VALUE: values}
    keys = {"method": method, "gae_lambda": 0.7, "discount": 0.9}
    near, far = (member(rewards, lengths, gap=g, columns=columns) for g in (0, gap))
    assert found([near], **keys) == found([far], **keys)


def test_gae_per_token_and_per_turn() -> None:
    columns: dict[Column, Sequence[float]] = {Column.VALUE: [0.5, 0.2, 0.1]}
    given_ = member([0.25, 1.0], [2, 1], columns=columns)
    done = with_advantages([given_], section(method="ppo", gae_lambda=1.0))[0]
    assert done.columns[Column.RETURN].tolist() == pytest.approx([1.25, 1.25, 1.0])
    raw = np.array([0.75, 1.05, 0.9])
    white = (raw - raw.mean()) / raw.std(ddof=1)
    assert done.columns[Column.ADVANTAGE].tolist() == pytest.approx(white.tolist(), abs=1e-5)
    done = with_advantages([given_], section(method="turn_ppo", gae_lambda=1.0))[0]
    returns = done.columns[Column.RETURN]
    assert returns[[0, 2]].tolist() == pytest.approx([1.25, 1.0])
    assert np.isnan(returns[1])  # a turn is valued before its first token
    raw = np.array([0.75, 0.75, 0.9])
    white = (raw - raw.mean()) / raw.std(ddof=1)
    assert done.columns[Column.ADVANTAGE].tolist() == pytest.approx(white.tolist(), abs=1e-5)


@FEW
@given(st.lists(st.tuples(VALUES, st.integers(1, 5), st.integers(0, 2)), min_size=2, max_size=6))
def test_whitening_is_over_the_tokens_of_the_batch(drawn: list[tuple[float, int, int]]) -> None:
    members = [member([r], [n], group=g) for r, n, g in sorted(drawn, key=lambda x: x[2])]
    rewards = np.concatenate([np.full(m.length, m.reward.total) for m in members])
    white = np.concatenate(found(members, method="reinforce_pp"))
    expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-8)
    assert white == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("length", "loss"), [(0, 0.0), (60, 0.0), (80, -0.5), (100, -1.0), (300, -1.0)]
)
def test_overlong(length: int, loss: float) -> None:
    assert overlong(length, section(overlong_length=100, overlong_buffer=40)) == loss
    assert overlong(length, section()) == 0.0


def test_overlong_lowers_the_reward_of_the_last_turn() -> None:
    members = [member([0.0, 1.0], [2, 6]), member([0.0, 1.0], [2, 2])]
    keys = {"advantage": "dr_grpo", "overlong_length": 8, "overlong_buffer": 4}
    assert [a[-1] for a in found(members, **keys)] == [-0.5, 0.5]
    assert [a[-1] for a in found(members, credit="turn", **keys)] == [-0.5, 0.5]


@pytest.mark.parametrize(
    ("method", "success", "failure"),
    [("psr", 1.0, 0.0), ("nsr", 0.0, -1.0), ("w_reinforce", 0.1, -1.0)],
)
def test_factors_by_sign(method: str, success: float, failure: float) -> None:
    both = found([member([1.0]), member([0.0])], method=method)
    assert both == [pytest.approx([success]), pytest.approx([failure])]


def test_truncated_trajectories_may_count_without_training() -> None:
    members = [member([1.0]), replace(member([0.0]), truncated=True)]
    assert found(members, advantage="dr_grpo") == [[0.5], [-0.5]]
    assert found(members, advantage="dr_grpo", mask_truncated=True) == [[0.5], []]


def test_kl_in_the_reward_is_what_is_to_come() -> None:
    columns: dict[Column, Sequence[float]] = {Column.REFERENCE: [-1.5, -0.5, -1.0]}
    given_ = member([0.0, 1.0], [2, 1], columns=columns)  # old logprobs are -1
    keys = {"kl": "reward", "kl_coef": 0.2}
    (advantage,) = found([given_], advantage="dr_grpo", **keys)
    assert advantage == pytest.approx([0.0, 0.1, 0.0], abs=1e-6)
    columns[Column.VALUE] = [0.0, 0.0, 0.0]
    done = with_advantages(
        [member([0.0, 1.0], [2, 1], columns=columns)], section(method="ppo", **keys)
    )
    assert done[0].columns[Column.RETURN].tolist() == pytest.approx(
        [0.95**2 - 0.1 + 0.95 * 0.1, 0.95 + 0.1, 1.0], abs=1e-6
    )


def test_score_function_of_kl_in_the_reward_is_the_gradient_of_the_kl() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, generator=generator, dtype=torch.float64, requires_grad=True)
    logq = torch.randn(9, generator=generator, dtype=torch.float64).log_softmax(-1)
    logp = logits.log_softmax(-1)
    penalty = []
    for old, reference in zip(logp.tolist(), logq.tolist(), strict=True):
        lone = member([0.0], columns={Column.REFERENCE: [reference]})
        own = replace(lone.sequences[0], old_N=np.array([old], np.float32))
        lone = replace(lone, sequences=(own,))
        penalty.append(found([lone], advantage="dr_grpo", kl="reward", kl_coef=1.0)[0][0])
    weight = logp.detach().exp() * torch.tensor(penalty, dtype=torch.float64)
    (ours,) = torch.autograd.grad(-(weight * logp).sum(), logits, retain_graph=True)
    (exact,) = torch.autograd.grad((logp.exp() * (logp - logq)).sum(), logits)
    assert torch.allclose(ours, exact, atol=1e-6)
