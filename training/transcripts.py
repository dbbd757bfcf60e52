"""A stored trajectory as something to read: a task, turns of parts, the results of their calls.

Owns the reading order and the words; refuses to colour or lay out (see `training.report` and the
command line). Which tokens a part holds, and whether they train, is `rollouts.replay`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.envs.task import Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.records import SAMPLED_KINDS, SpanKind, Trajectory, Turn
from tooldojo.rollouts.replay import Part
from tooldojo.rollouts.replay import transcript as parts_of
from tooldojo.verifiers.records import ToolCall

NAMES = {SpanKind.THINK: "thought", SpanKind.CALL: "call", SpanKind.ANSWER: "answer"}


@dataclass(frozen=True, slots=True)
class SpanView:
    """Neighbouring sampled tokens of one kind."""

    kind: str
    text: str
    tokens: int
    trained: bool


@dataclass(frozen=True, slots=True)
class ResultView:
    """What one call led to, as the model saw it."""

    name: str
    outcome: str
    text: str
    mutated: bool


@dataclass(frozen=True, slots=True)
class TurnView:
    """One assistant turn and the results that followed. cut: a limit on tokens ended it."""

    spans: tuple[SpanView, ...]
    malformed: str | None
    cut: bool
    results: tuple[ResultView, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole trajectory. success is None where there is no verdict; why: the verifier's reason,
    or the failure.
    """

    success: bool | None
    value: float | None
    why: str
    ending: str
    policy: str
    engine: str
    tokens: int
    sampled_tokens: int
    seconds: float
    turns: tuple[TurnView, ...]


@dataclass(frozen=True, slots=True)
class TaskView:
    """What the policy was asked, and what would have been right."""

    task_id: str
    world: str
    level: int
    split: str
    template: str
    prompt: str
    expected: str


def task_view(task: Task) -> TaskView:
    """The readable side of a task."""
    kind = " · ".join(part for part in (task.template, task.condition) if part)
    expected = task.goal.answer or ""
    return TaskView(task.id, task.env, task.level, task.split.value, kind, task.prompt, expected)


def transcript(trajectory: Trajectory, chat: Chat) -> Transcript:
    """The readable side of a trajectory."""
    score, policy, engine = trajectory.score, trajectory.policy, trajectory.engine
    failure = trajectory.failure
    why = score.why if score else f"{failure.kind}: {failure.message}" if failure else ""
    parts = parts_of(trajectory, chat)
    turns = [turn for segment in trajectory.segments for turn in segment.turns]
    return Transcript(
        score.success if score else None,
        score.value if score else None,
        why,
        trajectory.ending.stop.value,
        f"{policy.name} v{policy.version} ({policy.digest})",
        f"{engine.kind} {engine.engine}, pid {engine.pid} on {engine.node}",
        sum(len(segment.ids_T) for segment in trajectory.segments),
        trajectory.sampled_tokens,
        trajectory.seconds,
        tuple(_turn(turn, parts, trajectory) for turn in turns),
    )


def _turn(turn: Turn, parts: list[Part], trajectory: Trajectory) -> TurnView:
    sampled = [part for part in parts if part.turn == turn.index and part.kind in SAMPLED_KINDS]
    calls = trajectory.evidence.calls if trajectory.evidence else ()
    return TurnView(
        tuple(SpanView(NAMES[p.kind], p.text, p.tokens, p.trained) for p in sampled),
        turn.malformed,
        turn.finish == "length",
        tuple(_result(call) for call in calls if call.turn == turn.index),
    )


def _result(call: ToolCall) -> ResultView:
    return ResultView(call.name, call.outcome.value, call.result, call.mutated)
