"""What a rollout leaves behind: `PolicyRef`, `Segment`, `Turn`, `Trajectory`, `Group`.

Shapes: _T is the number of tokens of a segment. Invariants are checked by
`rollouts.buffer.check_segment`: within a segment a turn's ids start with the ids of the turn
before, and exactly the sampled tokens carry a logprob.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tooldojo.envs.snapshot import Snapshot
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.endings import Ending
from tooldojo.verifiers.records import Evidence, Reward, Score


class SpanKind(IntEnum):
    """What a token is, as the parser saw it. THINK, CALL and ANSWER tokens were sampled by a
    policy.
    """

    PROMPT = 0
    THINK = 1
    CALL = 2
    ANSWER = 3
    OBSERVATION = 4  # with what the chat template writes between turns


SAMPLED_KINDS = frozenset({SpanKind.THINK, SpanKind.CALL, SpanKind.ANSWER})


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """Which policy played: adapter name, version, and the digest of its tensors (`base` for version
    0 without any).
    """

    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class EngineId:
    """Where tokens were sampled: a unique engine id, its kind (`vllm`, `transformers`, `scripted`,
    `simulated`, `openai`) and process.
    """

    engine: str
    kind: str
    pid: int
    node: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one turn."""

    prefill: float
    decode: float
    tool: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One assistant turn within a segment.

    sampled: [start, end) of the sampled tokens in the segment's arrays; what precedes is context.
    calls: how many calls were parsed; malformed: why parsing failed, or None.
    """

    index: int
    start: int
    end: int
    text: str
    calls: int
    malformed: str | None
    finish: str  # "stop" or "length", as the sampler said
    timings: Timings


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One append-only token sequence.

    ids_T: int32. kinds_T: uint8 of SpanKind. call_T: int16, the call's index within its turn, -1
    elsewhere. logprobs_T: float32 natural log, NaN where the token was not sampled. versions_T:
    int32 policy version, -1 likewise. turns: in order.
    """

    ids_T: np.ndarray
    kinds_T: np.ndarray
    call_T: np.ndarray
    logprobs_T: np.ndarray
    versions_T: np.ndarray
    turns: tuple[Turn, ...]

    @property
    def sampled_T(self) -> np.ndarray:
        """bool, true at tokens that a policy sampled: exactly those may train."""
        return self.versions_T >= 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trajectory has no verdict: the exception's type and text, and the turn it happened
    in.
    """

    kind: str
    message: str
    turn: int


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One attempt of one group member at one task.

    score is None exactly when the ending is not a verdict (`failure` then says why); reward is None
    likewise. hashes: the world's hash chain, initial state first. prompt_tokens: length of the
    shared prompt of its group. A branch counts its turns from where it began.
    """

    task_id: str
    env: str
    ordinal: int
    member: int
    attempt: int
    seed: int
    segments: tuple[Segment, ...]
    ending: Ending
    score: Score | None
    reward: Reward | None
    evidence: Evidence | None
    hashes: tuple[str, ...]
    engine: EngineId
    policy: PolicyRef
    prompt_tokens: int
    seconds: float
    failure: Failure | None = None

    @property
    def sampled_tokens(self) -> int:
        """How many tokens the policy sampled."""
        return int(sum(segment.sampled_T.sum() for segment in self.segments))

    @property
    def turns(self) -> int:
        """Assistant turns played."""
        return sum(len(segment.turns) for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Branch:
    """A place in the middle of a trajectory: the world before a turn, and all tokens up to there.

    To trajectories that begin here these tokens are a prompt: they do not train.
    """

    snapshot: Snapshot
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IssuedBranch(IssuedTask):
    """A task to be played from the middle."""

    branch: Branch


@dataclass(frozen=True, slots=True)
class Group:
    """G trajectories of one task from the same snapshot, a task's first one or that of a `Branch`,
    in order of member.
    """

    ordinal: int
    task: Task
    trajectories: tuple[Trajectory, ...]

    @property
    def scored(self) -> tuple[Trajectory, ...]:
        """The members with a verdict: the only ones that baselines and statistics may count."""
        return tuple(t for t in self.trajectories if t.score is not None)

    @property
    def rewards(self) -> tuple[float, ...]:
        """Rewards of the scored members."""
        return tuple(t.reward.total for t in self.scored if t.reward is not None)

    @property
    def dead(self) -> bool:
        """Whether all rewards are equal, so that group-relative advantages vanish."""
        return len(set(self.rewards)) < 2
