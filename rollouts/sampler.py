"""The sampler interface: token ids in, token ids with logprobs out. vLLM, transformers and scripts
stand behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tooldojo.envs.task import Task
from tooldojo.rollouts.records import EngineId, PolicyRef


class EngineLost(RuntimeError):
    """The engine died, hung past its deadline, or its actor is gone: an INFRA failure, never a
    reward.
    """


class ContextFull(RuntimeError):
    """The engine says that the sequence leaves no room to sample: the policy's own ending."""


@dataclass(frozen=True, slots=True)
class SamplingSpec:
    """How to sample. Training uses temperature 1 and no truncation of the distribution (top_p = 1,
    top_k off).
    """

    temperature: float = 1.0
    max_tokens: int = 96  # per turn
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PastTurn:
    """An earlier turn of a trajectory: its text, and the results that came back."""

    text: str
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One turn to sample.

    ids: the whole sequence so far. seed: derived from (run seed, ordinal, member, turn). task and
    history (the earlier turns) are for policies that take no token ids; engines ignore them.
    """

    key: str  # unique: trajectory and turn
    ids: Sequence[int]
    sampling: SamplingSpec
    seed: int
    policy: PolicyRef
    task: Task
    turn: int
    results: tuple[str, ...]  # results of the last turn's calls
    history: tuple[PastTurn, ...] = ()
    place: tuple[int, ...] = ()  # ordinal and member: where it stands in a batch that must repeat


@dataclass(frozen=True, slots=True)
class Sampled:
    """What came back: ids (the stop id included), one logprob each (under the sampling
    distribution, natural log; all NaN where the sampler knows none, and then nothing can train).
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: str  # "stop" or "length"
    policy: PolicyRef
    prefill: float  # seconds
    decode: float  # seconds


class Sampler(Protocol):
    """Anything that can play a turn."""

    @property
    def engine(self) -> EngineId:
        """Where the tokens come from."""
        ...

    async def sample(self, request: SampleRequest) -> Sampled:
        """Sample one turn.

        Raises:
            EngineLost: when no answer can come any more.
            ContextFull: when the sequence leaves no room to sample.
        """
        ...
