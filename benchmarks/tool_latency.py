"""What slow tools cost: how busy our engine stays, and how TRL's tool loop fares beside it.

python benchmarks/tool_latency.py [--quick] [--model DIRECTORY] [--batches N ...]

A policy plays the orders world without and with tools that take 0.2 to 2 s, drawn for every call
(wrapper `latency=0.2-2`), on one vLLM worker. `idle` is the share of wall clock in which the engine
had no request, the first and last five seconds left out. Nothing is trained, so `rollout.eta` has
no part in it.

TRL's trainer plays as many trajectories of the same tasks, with the same policy, limits and latency
and an engine of its own, as one batch: its `_generate`, with methods that sleep (`sync`) or are
coroutines (`async`). TRL runs the calls of different trajectories one after the other in both
cases; coroutines overlap within a turn. A ratio is our finished trajectories per second over TRL's
for the batch that is best for TRL; `any_batch` is our steady rate over the one that TRL would have
if its engine took no time at all, which no batch can beat.

The policy should take several turns: give an exported model that has been warmed up
(`tooldojo export RUN/adapters/sft DIRECTORY`). TRL needs about three seconds a trajectory, so its
batches are small; quick mode plays one of 32. Finished sides under `--out` are not played again.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from common import apart, arguments, finish
from trl_peer.settings import PeerSettings, load_settings
from trl_peer.tool_loop import play_tool_loop

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.envs.wrappers.settings import Latency
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.players import open_fleet
from tooldojo.training.runs.metrics import trajectory_seconds

WORLD, LATENCY = "tooldojo/Orders-v0", Latency(0.2, 2.0)
SLOW = f"{WORLD}?latency={LATENCY}"
SIZE = 8  # of a group
ENDS = 5.0  # seconds at both ends that `idle` leaves out: filling up and running dry
EVERY = 0.2  # seconds between two readings of an engine's counters


class Watch:
    """Reads an engine's counters all the time while something plays on it."""

    def __init__(self, read: Callable[[], EngineStats]) -> None:
        self.seen: list[EngineStats] = []
        self._read, self._over = read, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self.seen.append(self._read())

    def __enter__(self) -> Watch:
        self.seen.append(self._read())
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if error[0] is None:
            self.seen.append(self._read())


def middle(seen: Sequence[EngineStats], ends: float) -> EngineStats | None:
    """The counters of a watched period without its first and last `ends` seconds; what lies between
    two readings at the edge goes with the ends. None where nothing is left.
    """
    first, last = seen[0].seconds + ends, seen[-1].seconds - ends
    inside = [each for each in seen if first <= each.seconds <= last]
    return inside[-1].since(inside[0]) if len(inside) > 1 else None


def play_ours(recipe: Recipe, groups: int, batches: Sequence[int], path: Path) -> None:
    """Our cells, to `path`: many trajectories without and with latency, and as many as each of
    TRL's batches.
    """
    from tooldojo.training.policy import find_model

    with open_fleet(recipe, find_model(recipe.policy.model), [WORLD, SLOW]) as fleet:
        play(fleet, WORLD, 2)  # the first steps are slower
        cells: dict[str, Any] = {"instant": play(fleet, WORLD, groups)}
        cells["slow"] = play(fleet, SLOW, groups)
        cells["slow_by_batch"] = {str(n): play(fleet, SLOW, n // SIZE) for n in batches}
    write_json(path, cells)


def play(fleet: Fleet, world: str, groups: int) -> dict[str, Any]:
    """Figures of playing the first tasks of a world; of `middle_seconds` without its ends,
    `idle` is the share without any request, and `no_step` that without an engine step.
    """
    issued = [IssuedTask(i, task) for i, task in enumerate(take([world], Split.TRAIN, 0, groups))]
    with Watch(lambda: fleet.stats()[0]) as watch:
        played = [t for group in fleet.play(issued, SIZE) for t in group.trajectories]
    spent, inside = watch.seen[-1].since(watch.seen[0]), middle(watch.seen, ENDS)
    spread = trajectory_seconds(played)
    return {
        "trajectories": len(played),
        "seconds": round(spent.seconds, 2),
        "trajectories_per_second": round(len(played) / spent.seconds, 4),
        "tokens_per_second": round(spent.sampled_tokens / spent.seconds, 1),
        "calls": round(fmean(len(t.evidence.calls) for t in played if t.evidence), 2),
        "reward": round(fmean(t.reward.total for t in played if t.reward), 3),
        "prefix_hits": round(spent.prefix_hit_share, 3),
        "tool_share": round(spread.tool / spread.total, 3),
        "idle": inside and round(inside.empty_share, 4),
        "no_step": inside and round(inside.idle_share, 4),
        "middle_seconds": inside and round(inside.seconds, 2),
    }


def kept(path: Path, about: dict[str, Any], work: Callable[..., None], *args: object) -> Any:
    """The cells that `work` writes, from a process of its own; those of a finished run about the
    same are not made again.
    """
    if path.exists():
        found = json.loads(path.read_text())
        if found.get("about") == about:
            return found["cells"]
    apart(work, *args, path)
    cells = json.loads(path.read_text())
    write_json(path, {"about": about, "cells": cells})
    return cells


def compare(own: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    """Ratios of finished trajectories per second, above 1 where we are faster."""
    ratios = {name: ratio_to_best(own["slow_by_batch"], peer[name]) for name in peer}
    free = [
        cell["trajectories"] / cell["idle_seconds"] for by in peer.values() for cell in by.values()
    ]
    any_batch = own["slow"]["trajectories_per_second"] / max(free)
    return {
        "idle": own["slow"]["idle"],
        **{f"ratio_{name}": round(ratio, 3) for name, ratio in ratios.items()},
        "any_batch": round(any_batch, 3),
        "ratio": round(min(ratios.values()), 3),
    }


def ratio_to_best(own: dict[str, Any], peer: dict[str, Any]) -> float:
    """Ours over TRL's at the batch that is best for TRL."""
    best = max(peer, key=lambda batch: peer[batch]["trajectories_per_second"])
    rate = "trajectories_per_second"
    return own[best][rate] / peer[best][rate]


def main() -> None:
    """Ours, then TRL, never two at once."""
    args = arguments(__doc__ or "", _own_arguments)
    groups, inflight = (16, 64) if args.quick else (96, 256)
    batches = sorted(args.batches or ([32] if args.quick else [32, 96]))
    keys = [f"policy.model={args.model}", f"rollout.max_inflight={inflight}"]
    recipe = load_recipe("quickstart", [*keys, "rollout.deadline=600"])
    settings = peer_settings(max(batches))
    out = args.out / ("tool-latency-quick" if args.quick else "tool-latency")
    about = {"model": args.model, "max_inflight": inflight, "latency": str(LATENCY)}
    about |= {"groups": groups, "batches": batches}
    own = kept(out / "ours.json", about, play_ours, recipe, groups, batches)
    peer = {
        name: kept(
            out / f"trl-{name}.json", about,
            play_tool_loop, recipe, settings, LATENCY, name == "async", batches,
        )
        for name in ("sync", "async")
    }  # fmt: skip
    finish({**about, "ours": own, "trl": peer, **compare(own, peer)})


def peer_settings(largest: int) -> PeerSettings:
    """TRL's for batches of up to `largest` trajectories."""
    correction = {"vllm_importance_sampling_correction": False}  # not timed, but it takes long
    return load_settings()[0].varied(groups=largest // SIZE, group_size=SIZE, grpo=correction)


def batch(text: str) -> int:
    """The trajectories of a batch."""
    if int(text) % SIZE:
        raise argparse.ArgumentTypeError(f"{text}: a batch is whole groups of {SIZE}")
    return int(text)


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="default")
    parser.add_argument("--batches", type=batch, nargs="+", help="trajectories of TRL's batches")


if __name__ == "__main__":
    main()
