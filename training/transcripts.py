"""A stored trajectory as something to read: turns of spans, each marked as sampled by the policy or
as context.

Owns the reading order and the words; refuses to colour or lay out (see `training.report` and the
command line).
Invariant: a span is `trained` exactly when its tokens carry a logprob, so marks on a page are what
the loss saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tooldojo.envs.task import Task
from tooldojo.rollouts.records import Segment, SpanKind, Trajectory, Turn
from tooldojo.verifiers.records import Evidence, ToolCall

Decode = Callable[[Sequence[int]], str]

NAMES = {
    SpanKind.PROMPT: "prompt",
    SpanKind.THINK: "thought",
    SpanKind.CALL: "call",
    SpanKind.ANSWER: "answer",
    SpanKind.OBSERVATION: "observation",
    SpanKind.FORCED: "template",
}


@dataclass(frozen=True, slots=True)
class SpanView:
    """Neighbouring tokens of one kind. confidence: geometric mean of the tokens' probabilities, if
    sampled.
    """

    kind: str
    text: str
    tokens: int
    trained: bool
    confidence: float | None


@dataclass(frozen=True, slots=True)
class ResultView:
    """What one call led to, as the model saw it."""

    name: str
    outcome: str
    text: str
    mutated: bool


@dataclass(frozen=True, slots=True)
class TurnView:
    """One assistant turn and the results that followed; observed: tokens of the results."""

    number: int
    spans: tuple[SpanView, ...]
    malformed: str | None
    cut: bool
    results: tuple[ResultView, ...]
    observed: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole trajectory. success is None where there is no verdict; why: the verifier's reason, or
    the failure.
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
    return TaskView(
        task.id, task.env, task.level, task.split.value, kind, task.prompt, task.goal.answer or ""
    )


def transcript(trajectory: Trajectory, decode: Decode) -> Transcript:
    """The readable side of a trajectory; `decode` turns token ids into text, special tokens
    included.
    """
    score, policy, engine = trajectory.score, trajectory.policy, trajectory.engine
    failure = trajectory.failure
    why = score.why if score else f"{failure.kind}: {failure.message}" if failure else ""
    turns = [
        view
        for segment in trajectory.segments
        for view in _turns(segment, trajectory.evidence, decode)
    ]
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
        tuple(turns),
    )


def _turns(segment: Segment, evidence: Evidence | None, decode: Decode) -> Iterator[TurnView]:
    for place, turn in enumerate(segment.turns):
        after = segment.turns[place + 1].start if place + 1 < len(segment.turns) else None
        context_T = segment.kinds_T[turn.end : after]
        calls = evidence.calls if evidence else ()
        yield TurnView(
            turn.index,
            tuple(_spans(segment, turn, decode)),
            turn.malformed,
            turn.finish == "length",
            tuple(_result(call) for call in calls if call.turn == turn.index),
            int((context_T == SpanKind.OBSERVATION).sum()),
        )


def _result(call: ToolCall) -> ResultView:
    return ResultView(call.name, call.outcome.value, call.result, call.mutated)


def _spans(segment: Segment, turn: Turn, decode: Decode) -> Iterator[SpanView]:
    """Cut where the kind, the call or the training mark changes."""
    marks_T = np.stack(
        [
            segment.kinds_T[turn.start : turn.end].astype(np.int64),
            segment.call_T[turn.start : turn.end].astype(np.int64),
            segment.sampled_T[turn.start : turn.end].astype(np.int64),
        ]
    )
    changes = np.flatnonzero((marks_T[:, 1:] != marks_T[:, :-1]).any(axis=0)) + 1
    edges = [0, *changes.tolist(), turn.end - turn.start]
    for left, right in pairwise(edges):
        start, end = turn.start + left, turn.start + right
        trained = bool(segment.sampled_T[start])
        logprobs_T = segment.logprobs_T[start:end]
        yield SpanView(
            NAMES[SpanKind(int(segment.kinds_T[start]))],
            decode(segment.ids_T[start:end].tolist()),
            end - start,
            trained,
            float(np.exp(logprobs_T.mean())) if trained else None,
        )
