"""How near multi-turn playing comes to the raw engine: a played run against its own replay.

python benchmarks/rollout_ceiling.py [--quick] [--model DIRECTORY]

`ours` plays tasks to their end with everything on: coroutines, parsing, worlds, verifiers, rewards,
the Parquet store. The replays give the very requests of that run (the recorded prompt of each turn,
as many tokens sampled, end-of-turn ids ignored) to the same vLLM engine with nothing around it,
each from an empty prefix cache:

- `ordered`: a trajectory's next turn is asked when its last one is done, as many trajectories at
  once as ours plays. This is the ceiling, and `ratio` is its seconds over ours.
- `barrier`: all trajectories' first turns, then all second ones, as a loop over turns does.
- `unordered`: all requests at once, as no run of several turns can.

The policy should take several turns: give an exported model that has been warmed up
(`tooldojo export RUN/adapters/sft DIRECTORY`).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from common import arguments, finish

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.engine import EngineSpec, VllmSampler
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.policy import find_model
from tooldojo.verifiers.reward import RewardShape

if TYPE_CHECKING:
    from vllm import LLMEngine

SIZE = 8


@dataclass(frozen=True)
class Asked:
    """One turn of the recorded run."""

    request: SampleRequest
    tokens: int


@dataclass
class Recorder:
    """Passes turns on to an engine and keeps what was asked and how long the answers were."""

    inner: VllmSampler
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = self.inner.engine

    async def sample(self, request: SampleRequest) -> Sampled:
        """One turn."""
        sampled = await self.inner.sample(request)
        self.asked.append(Asked(request, len(sampled.ids)))
        return sampled

    def trajectories(self) -> list[list[Asked]]:
        """The turns of each trajectory, in the order in which trajectories began."""
        found: dict[tuple[int, ...], list[Asked]] = {}
        for asked in sorted(self.asked, key=lambda each: each.request.turn):
            found.setdefault(asked.request.place, []).append(asked)
        return [found[place] for place in sorted(found)]


def replay_seconds(
    sampler: VllmSampler, waves: Iterable[list[list[Asked]]], inflight: int
) -> float:
    """Wall clock of the recorded turns on the engine's own thread: one wave of chains after the
    other, `inflight` chains at once; within a chain the next request goes in when the one before
    has come back."""

    def replay(engine: LLMEngine) -> float:
        engine.reset_prefix_cache()
        began = time.perf_counter()
        for number, wave in enumerate(waves):
            _play_wave(engine, wave, f"raw-{number}", inflight)
        return time.perf_counter() - began

    return sampler.loop.call(replay, drain=True).result()


def _play_wave(engine: LLMEngine, chains: list[list[Asked]], name: str, inflight: int) -> None:
    left = {f"{name}-{index}": iter(chain) for index, chain in enumerate(chains)}
    queue = list(left)
    running = {key for key in queue[:inflight] if _add_next(engine, key, left[key], 0)}
    queue, turns = queue[inflight:], dict.fromkeys(left, 1)
    while running:
        for output in engine.step():
            key = output.request_id.rpartition(".")[0]
            if not output.finished:
                continue
            if _add_next(engine, key, left[key], turns[key]):
                turns[key] += 1
                continue
            running.remove(key)
            if queue and _add_next(engine, queue[0], left[queue[0]], 0):
                running.add(queue.pop(0))


def _add_next(engine: LLMEngine, key: str, chain: Iterable[Asked], turn: int) -> bool:
    from vllm import SamplingParams, TokensPrompt
    from vllm.sampling_params import RequestOutputKind

    asked = next(iter(chain), None)
    if asked is None:
        return False
    params = SamplingParams(
        temperature=asked.request.sampling.temperature,
        seed=asked.request.seed,
        min_tokens=asked.tokens,
        max_tokens=asked.tokens,
        ignore_eos=True,
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    prompt = TokensPrompt(prompt_token_ids=list(asked.request.ids))
    engine.add_request(f"{key}.{turn}", prompt, params)
    return True


def waves_of(chains: list[list[Asked]], inflight: int) -> dict[str, list[list[list[Asked]]]]:
    """The variants as waves of chains."""
    blocks = [chains[i : i + inflight] for i in range(0, len(chains), inflight)]
    turns = max(len(chain) for chain in chains)
    barrier = [
        [[chain[turn]] for chain in block if len(chain) > turn]
        for block in blocks
        for turn in range(turns)
    ]
    return {
        "ordered": [chains],
        "barrier": [wave for wave in barrier if wave],
        "unordered": [[[asked] for chain in chains for asked in chain]],
    }


def main() -> None:
    """Play, then replay in each way, on one engine in this process."""
    args = arguments(
        __doc__ or "", lambda parser: parser.add_argument("--model", default="default")
    )
    groups, inflight = (24, 64) if args.quick else (96, 128)
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    model = find_model(args.model)
    sampler = VllmSampler(EngineSpec(str(model), max_context=1408, max_inflight=inflight))
    chat, recorder = Chat.load(str(model), "hermes"), Recorder(sampler)
    limits = Limits(max_context=1408, max_turn_tokens=96, deadline=900)
    fleet = LocalFleet(
        recorder, chat, PlaySettings(limits, RewardShape(), 0), max_inflight=inflight
    )
    tasks = take(["tooldojo/Orders-v0"], Split.TRAIN, 0, groups + 2)
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
    list(fleet.play(issued[groups:], SIZE))  # the engine's first steps are slower
    recorder.asked.clear()
    sampler.loop.call(lambda engine: engine.reset_prefix_cache(), drain=True).result()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        played = list(fleet.play(issued[:groups], SIZE))
        TrajectoryStore(Path(folder)).append(played, "ceiling", 0)
        ours = time.perf_counter() - began
    chains, seconds = recorder.trajectories(), {"ours": ours}
    for name, waves in waves_of(chains, inflight).items():
        at_once = inflight if name == "ordered" else len(recorder.asked)
        seconds[name] = replay_seconds(sampler, waves, at_once)
    sampler.close()
    lengths = [asked.tokens for asked in recorder.asked]
    turns = [t.turns for group in played for t in group.trajectories]
    finish(
        {
            "trajectories": len(chains),
            "turns": {"mean": statistics.mean(turns), "median": statistics.median(turns)},
            "requests": len(lengths),
            "tokens": sum(lengths),
            "tokens_per_turn_median": statistics.median(lengths),
            **{
                name: {"seconds": round(s, 2), "tokens_per_second": round(sum(lengths) / s, 1)}
                for name, s in seconds.items()
            },
            "ratio": round(seconds["ordered"] / ours, 3),
            "ratio_barrier": round(seconds["barrier"] / ours, 3),
        }
    )


if __name__ == "__main__":
    main()
