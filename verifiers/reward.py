"""From a score to a reward: shaping by config, in named parts, on top of the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tooldojo.verifiers.combine import Verifier
from tooldojo.verifiers.criteria import ILL_FORMED
from tooldojo.verifiers.process import CALL_REWARDS, RewardPart
from tooldojo.verifiers.records import Evidence, Goal, Reward, Score, ScoreStatus

SUCCESS = "success"
_OWN = (SUCCESS, "call_error", "extra_turn", "truncated")


@dataclass(frozen=True, slots=True)
class RewardShape:
    """Coefficients of the reward's parts; penalties are given as positive numbers and subtracted.

    success: weight of the score's value.
    call_error: per call that was malformed, unknown or invalid.
    extra_turn: per assistant turn beyond `free_turns`.
    truncated: once, when a limit ended the trajectory.
    weights: of named components, instead of their own: those of the verifier (0), the world's
        reward parts and the call rewards; `success` here overrides the field.
    """

    success: float = 1.0
    call_error: float = 0.0
    extra_turn: float = 0.0
    free_turns: int = 0
    truncated: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnReward:
    """A part of the reward by turn, weighted."""

    name: str
    turns: tuple[float, ...]


def component_names(verifier: object, parts: Sequence[RewardPart]) -> tuple[str, ...]:
    """What a world's components are called, `success` first.

    Raises:
        ValueError: for a name that stands for two of them.
    """
    judged = [part.name for part in verifier.parts] if isinstance(verifier, Verifier) else []
    extra = [part.name for part in (*parts, *CALL_REWARDS)]
    names = (SUCCESS, *judged, *extra)
    for name in (*judged, *extra):
        if name in _OWN or names.count(name) > 1:
            raise ValueError(f"two components are called {name!r}; rename the world's own")
    return names


def weighing(parts: Sequence[RewardPart], weights: Mapping[str, float]) -> tuple[RewardPart, ...]:
    """A world's reward parts and the call rewards that weigh something, with the weights given."""
    every = (replace(p, weight=weights.get(p.name, p.weight)) for p in (*parts, *CALL_REWARDS))
    return tuple(part for part in every if part.weight)


def process_rewards(
    parts: Sequence[RewardPart], evidence: Evidence, goal: Goal
) -> tuple[TurnReward, ...]:
    """What some parts give by turn; what a part raises passes, as a criterion's does."""
    return tuple(
        TurnReward(p.name, tuple(p.weight * share for share in p.shares(evidence, goal)))
        for p in parts
    )


def shape_reward(
    score: Score,
    evidence: Evidence,
    shape: RewardShape,
    truncated: bool,
    process: Sequence[TurnReward] = (),
) -> Reward:
    """The trajectory's reward; the last turn gets the outcome, other parts the turns that made it.

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
    errors = [call.turn for call in evidence.calls if call.outcome in ILL_FORMED]
    for turn in errors:
        turns[min(turn, len(turns) - 1)] -= shape.call_error
    outcome = {
        SUCCESS: shape.weights.get(SUCCESS, shape.success) * score.value,
        "extra_turn": -shape.extra_turn * max(0, evidence.turns - shape.free_turns),
        "truncated": -shape.truncated * truncated,
    }
    judged = ((name, v) for name, v in score.components.items() if name not in _OWN)
    outcome |= {name: shape.weights.get(name, 0.0) * value for name, value in judged}
    turns[-1] += sum(outcome.values())
    for part in process:
        turns = [turn + share for turn, share in zip(turns, part.turns, strict=True)]
    parts = {**outcome, "call_error": -shape.call_error * len(errors)}
    parts |= {part.name: sum(part.turns) for part in process}
    return Reward(sum(parts.values()), tuple(turns), {k: v for k, v in parts.items() if v})
