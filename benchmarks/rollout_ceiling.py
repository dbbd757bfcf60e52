"""How near multi-turn playing comes to the raw engine: a played run against its own replay.

python benchmarks/rollout_ceiling.py [--quick]

`ours` plays tasks to their end: coroutines, parsing, worlds, verifiers, one turn after the other.
`raw` gives the very requests of that run (the same prompts, as many tokens sampled) to the same
vLLM engine, all at once and with nothing around it: no turn waits for another. Both start from an
empty prefix cache. `ratio` is the tokens a second of ours over those of the raw replay.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common import arguments, finish

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.engine import EngineSpec, VllmSampler
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.training.policy import find_model
from tooldojo.verifiers.reward import RewardShape

if TYPE_CHECKING:
    from vllm import LLMEngine

SIZE = 8


@dataclass
class Recorder:
    """Passes turns on to an engine and keeps what was asked and how long the answers were."""

    inner: VllmSampler
    asked: list[tuple[SampleRequest, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = self.inner.engine

    async def sample(self, request: SampleRequest) -> Sampled:
        """One turn."""
        sampled = await self.inner.sample(request)
        self.asked.append((request, len(sampled.ids)))
        return sampled


def raw_seconds(sampler: VllmSampler, asked: list[tuple[SampleRequest, int]]) -> float:
    """Wall clock of all requests at once, on the engine's own thread."""

    def replay(engine: LLMEngine) -> float:
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        engine.reset_prefix_cache()
        began = time.perf_counter()
        for number, (request, tokens) in enumerate(asked):
            params = SamplingParams(
                temperature=request.sampling.temperature,
                seed=request.seed,
                max_tokens=tokens,
                ignore_eos=True,
                logprobs=0,
                flat_logprobs=True,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            prompt = TokensPrompt(prompt_token_ids=list(request.ids))
            engine.add_request(f"raw-{number}", prompt, params)
        while engine.has_unfinished_requests():
            engine.step()
        return time.perf_counter() - began

    return sampler.loop.call(replay, drain=True).result()


def main() -> None:
    """Play, then replay, on one engine in this process."""
    args = arguments(__doc__ or "")
    groups, inflight = (6, 48) if args.quick else (64, 128)
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    model = find_model("default")
    sampler = VllmSampler(EngineSpec(str(model), max_context=1408, max_inflight=inflight))
    chat, recorder = Chat.load(str(model), "hermes"), Recorder(sampler)
    settings = PlaySettings(Limits(max_context=1408, deadline=900), RewardShape(), 0)
    fleet = LocalFleet(recorder, chat, settings, max_inflight=inflight)
    tasks = take(["tooldojo/Orders-v0"], Split.TRAIN, 0, groups + 1)
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
    list(fleet.play(issued[groups:], SIZE))  # the engine's first steps are slower
    recorder.asked.clear()
    sampler.loop.call(lambda engine: engine.reset_prefix_cache(), drain=True).result()
    began = time.perf_counter()
    played = list(fleet.play(issued[:groups], SIZE))
    ours = time.perf_counter() - began
    raw = raw_seconds(sampler, recorder.asked)
    sampler.close()
    tokens = sum(count for _, count in recorder.asked)
    finish(
        {
            "trajectories": len(played) * SIZE,
            "requests": len(recorder.asked),
            "tokens": tokens,
            "ours": {"seconds": round(ours, 2), "tokens_per_second": round(tokens / ours, 1)},
            "raw": {"seconds": round(raw, 2), "tokens_per_second": round(tokens / raw, 1)},
            "ratio": round(raw / ours, 3),
        }
    )


if __name__ == "__main__":
    main()
