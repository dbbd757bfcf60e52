"""The records a verdict is made of: what happened (`Evidence`), what was wanted (`Goal`), `Score`.

Owns the vocabulary shared by every layer above. Refuses environments, tokens and I/O.
Invariant: every record is frozen plain data with a JSON round trip, so a stored trajectory can be
judged again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Path: TypeAlias = tuple[str, ...]  # keys and list indices, from the root of a state
USER = "user:"  # begins the names of what a world's user does and says; no tool can be called so
SAID = f"{USER}said"  # a message to the user; its result is the reply


class CallOutcome(StrEnum):
    """What became of one tool call; everything but OK is an error that the model sees."""

    OK = "ok"
    MALFORMED = "malformed"  # the text between the call markers is not a call
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"
    TOOL_ERROR = "tool_error"  # the tool itself refused (`ToolError`)


class StopReason(StrEnum):
    """Why a trajectory ended. What each ending means stands in one table: `rollouts.endings`."""

    ANSWERED = "answered"
    MAX_TURNS = "max_turns"
    MAX_TOKENS = "max_tokens"
    CONTEXT_FULL = "context_full"
    MALFORMED = "malformed"  # malformed calls more often than allowed
    ENV_CRASH = "env_crash"
    VERIFIER_CRASH = "verifier_crash"
    ENGINE_LOST = "engine_lost"
    TOOL_LOST = "tool_lost"  # what a tool runs on (a sandbox) failed or had no time
    DEADLINE = "deadline"
    JUDGE_LOST = "judge_lost"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that really ran (or was refused), in order.

    `result` is the text that the model saw; `mutated` says whether the world's state changed and
    `changed` where, None where that was not recorded (or nothing changed).
    """

    name: str
    arguments: dict[str, Json]
    turn: int
    outcome: CallOutcome
    mutated: bool
    result: str
    changed: tuple[Path, ...] | None = None

    @property
    def of_user(self) -> bool:
        """Whether it is what the world's user did or said, not what a policy only called so."""
        ran = self.outcome in (CallOutcome.OK, CallOutcome.TOOL_ERROR)
        return ran and self.name.startswith(USER)

    def to_json(self) -> dict[str, Json]:
        """Plain-data form; `from_json` is its inverse."""
        changed = self.changed
        where: dict[str, Json] = {} if changed is None else {"changed": [[*p] for p in changed]}
        return self.link() | where

    def link(self) -> dict[str, Json]:
        """What a trajectory's hash chain holds of it: all but `changed`, which states imply."""
        return {
            "name": self.name,
            "arguments": self.arguments,
            "turn": self.turn,
            "outcome": self.outcome.value,
            "mutated": self.mutated,
            "result": self.result,
        }

    @classmethod
    def from_json(cls, data: dict) -> ToolCall:
        """Inverse of `to_json`."""
        changed = data.get("changed")
        where = None if changed is None else tuple(tuple(path) for path in changed)
        return cls(**{**data, "outcome": CallOutcome(data["outcome"]), "changed": where})


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that the goal asks for: same name, equal arguments after canonicalisation."""

    name: str
    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Goal:
    """What counts as success.

    world: the expected final state, or None where the state is not judged.
    answer: the expected closing line of the final message, or None where it is not judged.
    calls: calls that must have succeeded, in any order.
    ignore: paths (`table.*.field`) left out when states are compared.
    forbidden: texts that no message and no call may contain.
    transient: paths (`*` for any key) that may change on the way although they end as they began.
    """

    world: dict[str, Json] | None = None
    answer: str | None = None
    calls: tuple[ExpectedCall, ...] = ()
    ignore: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    transient: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Plain-data form; `from_json` is its inverse.

        `forbidden` and `transient` stand there only where there are some, so that other goals keep
        their hash.
        """
        data: dict[str, Json] = {
            "world": self.world,
            "answer": self.answer,
            "calls": [{"name": c.name, "arguments": c.arguments} for c in self.calls],
            "ignore": list(self.ignore),
        }
        if self.forbidden:
            data["forbidden"] = list(self.forbidden)
        if self.transient:
            data["transient"] = [[*path] for path in self.transient]
        return data

    @classmethod
    def from_json(cls, data: dict) -> Goal:
        """Inverse of `to_json`."""
        calls = tuple(ExpectedCall(c["name"], c["arguments"]) for c in data["calls"])
        forbidden = tuple(data.get("forbidden", ()))
        transient = tuple(tuple(path) for path in data.get("transient", ()))
        ignore = tuple(data["ignore"])
        return cls(data["world"], data["answer"], calls, ignore, forbidden, transient)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verifier may look at.

    gathered: what tests and judges found before. messages: what was said beside calls. states: the
    world after each turn that ran, kept only where a component asks for it.
    """

    world_before: dict[str, Json]
    world_after: dict[str, Json]
    calls: tuple[ToolCall, ...]
    answer: str | None
    stop: StopReason
    turns: int
    gathered: dict[str, Json] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    states: tuple[dict[str, Json], ...] = ()

    @property
    def policy_calls(self) -> tuple[ToolCall, ...]:
        """The calls without what the world's user did and said."""
        return tuple(call for call in self.calls if not call.of_user)

    def to_json(self) -> dict[str, Json]:
        """Plain-data form; `from_json` is its inverse."""
        data: dict[str, Json] = {
            "world_before": self.world_before,
            "world_after": self.world_after,
            "calls": [call.to_json() for call in self.calls],
            "answer": self.answer,
            "stop": self.stop.value,
            "turns": self.turns,
            "gathered": self.gathered,
            "messages": list(self.messages),
        }
        if self.states:
            data["states"] = list(self.states)
        return data

    @classmethod
    def from_json(cls, data: dict) -> Evidence:
        """Inverse of `to_json`."""
        calls = tuple(ToolCall.from_json(call) for call in data["calls"])
        messages = tuple(data.get("messages", ()))
        states = tuple(data.get("states", ()))
        fixed = {"stop": StopReason(data["stop"]), "messages": messages, "states": states}
        return cls(**{**data, "calls": calls, **fixed})


class ScoreStatus(StrEnum):
    """SCORED is a verdict; the other two are the absence of one and never count as 0."""

    SCORED = "scored"
    UNSCORABLE = "unscorable"
    INFRA_ERROR = "infra_error"


@dataclass(frozen=True, slots=True)
class Score:
    """The truth about a trajectory; evaluation reads only this. `value` is in [0, 1]."""

    success: bool
    value: float
    components: dict[str, float]
    status: ScoreStatus = ScoreStatus.SCORED
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        """Plain-data form; `from_json` is its inverse."""
        return {
            "success": self.success,
            "value": self.value,
            "components": dict(self.components),
            "status": self.status.value,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, data: dict) -> Score:
        """Inverse of `to_json`."""
        return cls(**{**data, "status": ScoreStatus(data["status"])})


@dataclass(frozen=True, slots=True)
class Reward:
    """What the learner sees: derived from the score, logged beside it, never instead of it.

    total: the trajectory's reward, any range. turns: per-turn rewards, one per assistant turn.
    parts: the named summands of `total`.
    """

    total: float
    turns: tuple[float, ...]
    parts: dict[str, float]
