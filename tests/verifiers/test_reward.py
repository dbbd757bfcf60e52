"""Rewards: named parts that add up, on the turns that earned them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.records import (
    CallOutcome,
    Evidence,
    Score,
    ScoreStatus,
    StopReason,
    ToolCall,
)
from tooldojo.verifiers.reward import RewardShape, shape_reward


def evidence(turns: int, *calls: tuple[int, CallOutcome]) -> Evidence:
    made = tuple(ToolCall("x", {}, turn, outcome, False, "") for turn, outcome in calls)
    return Evidence({}, {}, made, None, StopReason.ANSWERED, turns)


def score(value: float) -> Score:
    return Score(value == 1, value, {"a": value})


def test_the_plain_reward_is_the_score() -> None:
    reward = shape_reward(score(1.0), evidence(3), RewardShape(), truncated=False)
    assert (reward.total, reward.turns, reward.parts) == (1.0, (0.0, 0.0, 1.0), {"success": 1.0})
    nothing = shape_reward(score(0.0), evidence(0), RewardShape(), truncated=True)
    assert (nothing.total, nothing.turns, nothing.parts) == (0.0, (0.0,), {})


def test_parts_go_to_the_turns_that_earned_them() -> None:
    shape = RewardShape(2.0, call_error=0.1, extra_turn=0.5, free_turns=2, truncated=0.25)
    happened = evidence(
        4,
        (0, CallOutcome.MALFORMED),
        (0, CallOutcome.OK),
        (1, CallOutcome.TOOL_ERROR),
        (2, CallOutcome.UNKNOWN_TOOL),
        (2, CallOutcome.INVALID_ARGUMENTS),
    )
    reward = shape_reward(score(1.0), happened, shape, truncated=True)
    assert reward.parts == pytest.approx(
        {"success": 2.0, "call_error": -0.3, "extra_turn": -1.0, "truncated": -0.25}
    )
    assert reward.turns == pytest.approx((-0.1, 0.0, -0.2, 0.75))
    assert reward.total == pytest.approx(0.45)


@pytest.mark.parametrize("status", [ScoreStatus.UNSCORABLE, ScoreStatus.INFRA_ERROR])
def test_no_verdict_no_reward(status: ScoreStatus) -> None:
    with pytest.raises(ValueError, match=f"no reward can be made of a {status.value} score"):
        shape_reward(Score(False, 0.0, {}, status), evidence(1), RewardShape(), truncated=False)


COEFFICIENTS = st.floats(0, 2)


@given(
    st.floats(0, 1),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(CallOutcome)), max_size=6),
    st.builds(
        RewardShape, COEFFICIENTS, COEFFICIENTS, COEFFICIENTS, st.integers(0, 3), COEFFICIENTS
    ),
    st.booleans(),
)
def test_turns_and_parts_add_up(
    value: float,
    turns: int,
    calls: list[tuple[int, CallOutcome]],
    shape: RewardShape,
    truncated: bool,
) -> None:
    reward = shape_reward(score(value), evidence(turns, *calls), shape, truncated)
    assert len(reward.turns) == max(1, turns)
    assert math.isfinite(reward.total)
    assert sum(reward.turns) == pytest.approx(reward.total)
    assert sum(reward.parts.values()) == pytest.approx(reward.total)
