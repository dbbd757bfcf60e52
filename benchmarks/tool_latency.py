"""What slow tools cost an engine: the share of wall time in which it had nothing to do.

python benchmarks/tool_latency.py [--quick]

The default policy plays the orders world on one vLLM worker, without and with tools that take 0 to
2.2 s, drawn for every call (wrapper `latency=1.1`). `idle` is the share of wall clock in which the
engine took no step, between the first group in and the last one out; `ratio` the sampled tokens a
second with slow tools over those without.
"""

from __future__ import annotations

import time

from common import arguments, finish

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split
from tooldojo.rollouts.fleet import Fleet
from tooldojo.training.policy import find_model
from tooldojo.training.runs.metrics import trajectory_seconds

WORLDS = {"instant": "tooldojo/Orders-v0", "slow": "tooldojo/Orders-v0?latency=1.1"}
SIZE = 8


def cell(world: str, fleet: Fleet, groups: int) -> dict:
    """Figures of one world."""
    source = GeneratedTasks([world], Split.TRAIN, 0)
    tasks = [source.next() for _ in range(groups)]
    list(fleet.play([source.next(), source.next()], SIZE))  # the first steps are slower
    before, began = fleet.stats()[0], time.monotonic()
    played = list(fleet.play(tasks, SIZE))
    seconds, spent = time.monotonic() - began, fleet.stats()[0].since(before)
    inside = trajectory_seconds(t for group in played for t in group.trajectories)
    return {
        "trajectories": groups * SIZE,
        "seconds": round(seconds, 2),
        "idle": round(spent.idle_share, 4),
        "tokens_per_second": round(spent.sampled_tokens / seconds, 1),
        "prefix_hits": round(spent.prefix_hit_share, 3),
        "tool_share": round(inside.tool / inside.total, 3),
    }


def main() -> None:
    """Both cells on one fleet."""
    args = arguments(__doc__ or "")
    groups, inflight = (8, 64) if args.quick else (64, 256)
    section = RolloutSection(max_inflight=inflight, deadline=600)
    with Fleet(section, find_model("default"), "hermes", list(WORLDS.values()), 0) as fleet:
        cells = {name: cell(world, fleet, groups) for name, world in WORLDS.items()}
    rates = [cells[name]["tokens_per_second"] for name in ("slow", "instant")]
    finish({"max_inflight": inflight, "cells": cells, "ratio": round(rates[0] / rates[1], 3)})


if __name__ == "__main__":
    main()
