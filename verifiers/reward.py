"""From a score to a reward: shaping by config, in named parts, on top of the truth."""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.verifiers.records import CallOutcome, Evidence, Reward, Score, ScoreStatus


@dataclass(frozen=True, slots=True)
class RewardShape:
    """Coefficients of the reward's parts; penalties are given as positive numbers and subtracted.

    success: weight of the score's value.
    call_error: per call that was malformed, unknown or invalid.
    extra_turn: per assistant turn beyond `free_turns`.
    truncated: once, when a limit ended the trajectory.
    """

    success: float = 1.0
    call_error: float = 0.0
    extra_turn: float = 0.0
    free_turns: int = 0
    truncated: float = 0.0


_BAD_CALLS = frozenset(
    {CallOutcome.MALFORMED, CallOutcome.UNKNOWN_TOOL, CallOutcome.INVALID_ARGUMENTS}
)


def shape_reward(score: Score, evidence: Evidence, shape: RewardShape, truncated: bool) -> Reward:
    """The trajectory's reward; the last turn gets the outcome, a call error the turn that made it.

    Raises:
        ValueError: for a score that is no verdict; such a trajectory leaves the loss instead of
        getting a reward.
    """
    if score.status is not ScoreStatus.SCORED:
        raise ValueError(
            f"no reward can be made of a {score.status.value} score; "
            "drop the trajectory from the loss"
        )
    turns = [0.0] * max(1, evidence.turns)
    errors = [call.turn for call in evidence.calls if call.outcome in _BAD_CALLS]
    for turn in errors:
        turns[min(turn, len(turns) - 1)] -= shape.call_error
    parts = {
        "success": shape.success * score.value,
        "call_error": -shape.call_error * len(errors),
        "extra_turn": -shape.extra_turn * max(0, evidence.turns - shape.free_turns),
        "truncated": -shape.truncated * truncated,
    }
    turns[-1] += parts["success"] + parts["extra_turn"] + parts["truncated"]
    return Reward(sum(parts.values()), tuple(turns), {k: v for k, v in parts.items() if v})
