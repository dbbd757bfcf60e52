"""Training with `rollout.eta` = 0 against 1 and 2: the same steps and tasks, wall clocks side by
side.

python benchmarks/async_vs_sync.py [--quick]

The quickstart's recipe, without its warm start, on the orders world and on the orders world with
tools that take 0 to 1 s a call. The first step, in which nothing overlaps yet, is left out of the
rates. `waited` is the share of time that the learner waited for groups, `staleness` the mean over
steps in versions, and `speedup` the trajectories a second over those with eta = 0. `ratio` is the
least speedup of eta = 1.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from common import arguments, finish, tooldojo

WORLDS = {"instant": "tooldojo/Orders-v0", "slow": "tooldojo/Orders-v0?latency=0.5"}


def row(directory: Path) -> dict:
    """A run's figures."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").open()][1:]
    seconds = sum(line["seconds/step"] for line in lines)
    played = sum(line["rollout/trajectories"] for line in lines)
    return {
        "seconds_per_step": round(seconds / len(lines), 2),
        "trajectories_per_second": round(played / seconds, 3),
        "waited": round(sum(line["seconds/rollout"] for line in lines) / seconds, 3),
        "staleness": round(sum(line["staleness/mean"] for line in lines) / len(lines), 3),
        "success": round(sum(line["success"] for line in lines) / len(lines), 3),
    }


def main() -> None:
    """One run per world and eta."""
    args = arguments(__doc__ or "")
    out = args.out / "async-vs-sync"
    shutil.rmtree(out, ignore_errors=True)
    etas, steps, worlds = ((0, 1), 4, ["slow"]) if args.quick else ((0, 1, 2), 12, list(WORLDS))
    small = ["objective.groups=4", "objective.group_size=4"] if args.quick else []
    cells: dict[str, dict] = {}
    for name in worlds:
        for eta in etas:
            directory = out / f"{name}-{eta}"
            tooldojo(
                *("train", "quickstart", *small, f'task.worlds=["{WORLDS[name]}"]'),
                *(f"rollout.eta={eta}", f"learner.steps={steps}", "run.tensorboard=false"),
                *("objective.dynamic_sampling=false", "objective.call_error_penalty=0.3"),
                *("eval.transfer_worlds=[]", "rollout.deadline=600", f"run.dir={directory}"),
            )
            cells[f"{name}-{eta}"] = row(directory)
        first = cells[f"{name}-0"]["trajectories_per_second"]
        for eta in etas:
            cell = cells[f"{name}-{eta}"]
            cell["speedup"] = round(cell["trajectories_per_second"] / first, 3)
    ratio = min(cells[f"{name}-1"]["speedup"] for name in worlds)
    finish({"steps": steps, "cells": cells, "ratio": ratio})


if __name__ == "__main__":
    main()
