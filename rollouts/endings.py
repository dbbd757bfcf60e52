"""One table that decides what every ending means; nothing else in the project classifies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tooldojo.verifiers.records import ScoreStatus, StopReason


class FailureClass(StrEnum):
    """Who is to blame when it is not the policy. Only POLICY endings become rewards."""

    POLICY = "policy"
    ENV = "env"
    INFRA = "infra"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trajectory ended and what follows from it.

    truncated: a limit ended it. trains: whether it enters the loss and its group's statistics.
    retries: how often it is played again (same seed) before it is dropped and counted.
    """

    stop: StopReason
    blame: FailureClass
    status: ScoreStatus
    truncated: bool
    trains: bool
    retries: int


def _policy(stop: StopReason, truncated: bool) -> Ending:
    return Ending(stop, FailureClass.POLICY, ScoreStatus.SCORED, truncated, True, 0)


def _env(stop: StopReason) -> Ending:
    return Ending(stop, FailureClass.ENV, ScoreStatus.UNSCORABLE, False, False, 1)


def _infra(stop: StopReason) -> Ending:
    return Ending(stop, FailureClass.INFRA, ScoreStatus.INFRA_ERROR, False, False, 2)


ENDINGS: dict[StopReason, Ending] = {
    StopReason.ANSWERED: _policy(StopReason.ANSWERED, truncated=False),
    StopReason.MAX_TURNS: _policy(StopReason.MAX_TURNS, truncated=True),
    StopReason.MAX_TOKENS: _policy(StopReason.MAX_TOKENS, truncated=True),
    StopReason.CONTEXT_FULL: _policy(StopReason.CONTEXT_FULL, truncated=True),
    StopReason.MALFORMED: _policy(StopReason.MALFORMED, truncated=True),
    StopReason.ENV_CRASH: _env(StopReason.ENV_CRASH),
    StopReason.VERIFIER_CRASH: _env(StopReason.VERIFIER_CRASH),
    StopReason.ENGINE_LOST: _infra(StopReason.ENGINE_LOST),
    StopReason.TOOL_LOST: _infra(StopReason.TOOL_LOST),
    StopReason.DEADLINE: _infra(StopReason.DEADLINE),
    StopReason.JUDGE_LOST: _infra(StopReason.JUDGE_LOST),
}
