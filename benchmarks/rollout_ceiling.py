"""How near multi-turn playing comes to the raw engine: a played run against its own replay.

python benchmarks/rollout_ceiling.py [--quick] [--engines N] [--model DIRECTORY]

`ours` is a `Fleet` of N rollout workers under Ray that plays tasks to their end with everything on:
coroutines, parsing, worlds, verifiers, rewards, the Parquet store. The replays give each engine the
very requests that it had in that run (the recorded prefix of each turn, as many tokens sampled,
end-of-turn ids ignored): the same vLLM settings in a process like the worker's, nothing around it,
all engines at once. Like the run, each begins with a prefix cache that has seen a few other tasks.
Playing and replaying take turns, round by round, for a machine's speed changes within minutes.

- `ordered`: a trajectory's next turn is asked when its last one is done, as many trajectories at
  once as ours plays. This is the ceiling, and `ratio` is its seconds over ours, the median of the
  rounds.
- `barrier`: all trajectories' first turns, then all second ones, as a loop over turns does.
- `unordered`: all requests at once, as no run of several turns can: the engine's best.
- `scattered`, with several engines: a trajectory's turns go to the engines in turn, each asked
  without waiting for another engine's answer, so this flatters a router without affinity.

`steps` are those of all engines, `between_steps` is the share of our engines' time outside a step.
The policy should take several turns: give an exported model that has been warmed up
(`tooldojo export RUN/adapters/sft DIRECTORY`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import arguments, finish

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.cluster import start_ray, threads_per_worker
from tooldojo.rollouts.engine import VllmSampler, choose_transport, engine_spec
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.player import PlayKey
from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.policy import find_model

if TYPE_CHECKING:
    from vllm import LLMEngine

SIZE = 8
WORLD = "tooldojo/Orders-v0"
PLAN = {"quick": (3, 12, 64), "full": (9, 32, 128)}  # rounds, groups of each, trajectories at once
_AGREED = 5.5  # seconds until all engines start together; the warm-up comes before it


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn of the recorded run."""

    ids: tuple[int, ...]
    tokens: int
    seed: int


Chain = list[Asked]  # the turns of one trajectory
Waves = list[list[Chain]]


def chain_of(trajectory: Trajectory) -> Chain:
    """What the engine was asked for it."""
    key = PlayKey(trajectory.seed, trajectory.ordinal, trajectory.member)
    return [
        Asked(tuple(segment.ids_T[: turn.start].tolist()), turn.end - turn.start,
              key.turn_seed(turn.index))
        for segment in trajectory.segments
        for turn in segment.turns
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replayed:
    """Wall clock, and the steps that the engines took, in all."""

    seconds: float
    steps: int


class RawEngine:
    """A vLLM engine with nothing around it; an actor."""

    def __init__(self, spec: Any) -> None:
        self._sampler = VllmSampler(spec)

    def ready(self) -> None:
        """Answers when the engine can play."""

    def replay(self, warm: list[Chain], waves: Waves, inflight: int, at: float) -> Replayed:
        """The recorded turns on the engine's own thread, from the time `at` on: one wave of chains
        after the other, `inflight` chains at once.
        """

        def work(engine: LLMEngine) -> Replayed:
            engine.reset_prefix_cache()
            _play_wave(engine, warm, "warm", inflight)
            time.sleep(max(0.0, at - time.time()))
            began, steps = time.perf_counter(), 0
            for number, wave in enumerate(waves):
                steps += _play_wave(engine, wave, f"raw-{number}", inflight)
            return Replayed(time.perf_counter() - began, steps)

        return self._sampler.loop.call(work, drain=True).result()


def _play_wave(engine: LLMEngine, chains: list[Chain], name: str, inflight: int) -> int:
    """The engine's steps."""
    left = {f"{name}-{index}": iter(chain) for index, chain in enumerate(chains)}
    queue = list(left)
    running = {key for key in queue[:inflight] if _add_next(engine, key, left[key], 0)}
    queue, turns = queue[inflight:], dict.fromkeys(left, 1)
    steps = 0
    while running:
        steps += 1
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
    return steps


def _add_next(engine: LLMEngine, key: str, chain: Iterable[Asked], turn: int) -> bool:
    from vllm import SamplingParams, TokensPrompt
    from vllm.sampling_params import RequestOutputKind

    asked = next(iter(chain), None)
    if asked is None:
        return False
    params = SamplingParams(
        temperature=1.0,
        seed=asked.seed,
        min_tokens=asked.tokens,
        max_tokens=asked.tokens,
        ignore_eos=True,
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    prompt = TokensPrompt(prompt_token_ids=list(asked.ids))
    engine.add_request(f"{key}.{turn}", prompt, params)
    return True


def waves_of(chains: list[Chain], inflight: int) -> dict[str, Waves]:
    """One engine's variants as waves of chains."""
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


def scattered(chains: Sequence[Chain], engines: int) -> list[Waves]:
    """Each engine's part where a trajectory's turns go to the engines in turn."""
    parts = [
        [chain[(engine - index) % engines :: engines] for index, chain in enumerate(chains)]
        for engine in range(engines)
    ]
    return [[[chain for chain in part if chain]] for part in parts]


def figures(row: Replayed, tokens: int) -> dict[str, float]:
    """A variant's row of the result."""
    per_second = round(tokens / row.seconds, 1)
    return {"seconds": round(row.seconds, 2), "steps": row.steps, "tokens_per_second": per_second}


@dataclass(frozen=True, slots=True)
class Played:
    """A round of the run: its groups, the warm-up's, seconds, and what the engines counted."""

    groups: list[Group]
    warm: list[Group]
    seconds: float
    stats: EngineStats

    def chains(self, warm: bool = False) -> list[list[Chain]]:
        """Each engine's trajectories, in the order in which they were issued."""
        members = [t for group in (self.warm if warm else self.groups) for t in group.trajectories]
        members.sort(key=lambda t: (t.ordinal, t.member))
        engines = sorted({t.engine.engine for group in self.groups for t in group.trajectories})
        return [[chain_of(t) for t in members if t.engine.engine == name] for name in engines]


def play(
    fleet: Fleet, store: TrajectoryStore, warm: list[Group], issued: list[IssuedTask]
) -> Played:
    """Play and store the tasks."""
    before, began = sum(fleet.stats(), EngineStats()), time.perf_counter()
    played = list(fleet.play(issued, SIZE))
    store.append(played, "ceiling", issued[0].ordinal)
    seconds = time.perf_counter() - began
    return Played(played, warm, seconds, sum(fleet.stats(), EngineStats()).since(before))


def start_raw(section: RolloutSection, model: Path) -> list[Any]:
    """As many raw engines as the fleet has workers, with the same settings."""
    import ray

    spec = engine_spec(section, model, choose_transport(section), 32, True)
    variables = spec.environment() | {"OMP_NUM_THREADS": str(threads_per_worker(section.workers))}
    actor: Any = ray.remote(RawEngine)
    raw = [
        actor.options(num_cpus=0, runtime_env={"env_vars": variables}).remote(spec)
        for _ in range(section.workers)
    ]
    ray.get([each.ready.remote() for each in raw])
    return raw


def variants(section: RolloutSection, played: Played) -> dict[str, list[Waves]]:
    """Each engine's part of every way to replay a round."""
    chains, share = played.chains(), section.max_inflight // section.workers
    found: dict[str, list[Waves]] = {
        name: [waves_of(own, share)[name] for own in chains]
        for name in ("ordered", "barrier", "unordered")
    }
    if section.workers > 1:
        found["scattered"] = scattered([chain for own in chains for chain in own], section.workers)
    return found


def replay(
    raw: list[Any], section: RolloutSection, played: Played, name: str, parts: list[Waves]
) -> Replayed:
    """Seconds of the slowest engine and steps of all."""
    import ray

    requests = sum(len(chain) for own in played.chains() for chain in own)
    paced = name in ("ordered", "scattered")
    at_once = section.max_inflight // section.workers if paced else requests
    at = time.time() + _AGREED
    asked = [
        each.replay.remote(own, waves, at_once, at)
        for each, own, waves in zip(raw, played.chains(warm=True), parts, strict=True)
    ]
    done: list[Replayed] = ray.get(asked)
    return Replayed(max(each.seconds for each in done), sum(each.steps for each in done))


def options(parser: argparse.ArgumentParser) -> None:
    """This script's own."""
    parser.add_argument("--model", default="default")
    parser.add_argument("--engines", type=int, default=1)


def main() -> None:
    """Rounds of playing and replaying; the last one is replayed in each way."""
    args = arguments(__doc__ or "", options)
    rounds, groups, inflight = PLAN["quick" if args.quick else "full"]
    section = RolloutSection(
        workers=args.engines, max_inflight=inflight, max_turn_tokens=96, deadline=900
    )
    model = find_model(args.model)
    start_ray(model)
    count = rounds * groups
    tasks = take([WORLD], Split.TRAIN, 0, count + 2 * section.workers)
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
    runs, replays = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        Fleet(section, str(model), "hermes", [WORLD], 0) as fleet,
    ):
        raw, store = start_raw(section, model), TrajectoryStore(Path(folder))
        warm = list(fleet.play(issued[count:], SIZE))
        store.append(warm, "warmup", 0)  # the first time loads Arrow and what it loads
        for at in range(0, count, groups):
            runs.append(play(fleet, store, warm, issued[at : at + groups]))
            ways = variants(section, runs[-1])
            names = ["ordered"] if at + groups < count else list(ways)
            replays.append({n: replay(raw, section, runs[-1], n, ways[n]) for n in names})
    finish(summary(section, runs, replays))


def summary(
    section: RolloutSection, runs: list[Played], replays: list[dict[str, Replayed]]
) -> dict[str, Any]:
    """The figures of all rounds; the ratios are medians over rounds, that of the barrier the last
    round's.
    """
    members = [t for run in runs for group in run.groups for t in group.trajectories]
    lengths = [[a.tokens for own in run.chains() for c in own for a in c] for run in runs]
    stats = sum((run.stats for run in runs), EngineStats())
    turns, every = [t.turns for t in members], [n for each in lengths for n in each]
    last, tokens = replays[-1], [sum(each) for each in lengths]
    ours = [Replayed(run.seconds, run.stats.steps) for run in runs]
    ratios = [
        done["ordered"].seconds / own.seconds for done, own in zip(replays, ours, strict=True)
    ]
    return {
        "engines": section.workers,
        "max_inflight": section.max_inflight,
        "trajectories": len(members),
        "turns": {"mean": statistics.mean(turns), "median": statistics.median(turns)},
        "requests": len(every),
        "tokens": sum(every),
        "tokens_per_turn_median": statistics.median(every),
        "prefix_hits": round(stats.prefix_hit_share, 3),
        "between_steps": round(stats.idle_share, 3),
        "ours": [figures(row, n) for row, n in zip(ours, tokens, strict=True)],
        "ordered": [figures(row["ordered"], n) for row, n in zip(replays, tokens, strict=True)],
        **{name: figures(row, tokens[-1]) for name, row in last.items() if name != "ordered"},
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "ratio_barrier": round(last["barrier"].seconds / ours[-1].seconds, 3),
    }


if __name__ == "__main__":
    main()
