"""Training with `rollout.eta` = 1 against 0: wall clocks to the same success, side by side.

python benchmarks/async_vs_sync.py [--quick] [--steps N] [--groups G] [--start ADAPTER]

The quickstart's GRPO from its SFT adapter, on a few tasks that come again
(`few/choose.py`), for on fresh ones minutes teach too little to see; with instant tools
and with tools that take 0.2 to 2 s a call. Steps are small, for that is where a step waits for its
slowest trajectory; with many trajectories a step, two cores are busy either way. A run's curve is
the success of what it sampled, pooled over the last `SPAN` steps. The target is what both runs of a
world and seed reached, so each has a time to it. `waited` is the share of time that the learner
waited for groups, `staleness` the mean over steps in versions. `ratio` is the least speedup of
eta = 1 over seeds with slow tools. Finished runs under `--out` are not repeated.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from common import arguments, finish, tooldojo
from few.choose import GROUPS, LEARNING_RATE, few_world, warm_start

from tooldojo.training.runs.metrics import NAME, read_metrics
from tooldojo.verifiers.intervals import wilson

TOOLS = {"slow": "?latency=0.2-2", "instant": ""}
ETAS = (0, 1)
SPAN = 6  # steps that are pooled


@dataclass(frozen=True, slots=True)
class Curve:
    """By step, from `span` on: seconds since training began, and successes and trajectories of the
    last `span` steps.
    """

    seconds: tuple[float, ...]
    successes: tuple[int, ...]
    trials: tuple[int, ...]

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], span: int) -> Curve:
        """From the metrics of a run.

        Raises:
            ValueError: for fewer than `span` steps.
        """
        if len(rows) < span:
            raise ValueError(f"{len(rows)} steps; a curve needs {span}")
        played = [int(row["rollout/trajectories"]) for row in rows]
        solved = [round(row["success"] * n) for row, n in zip(rows, played, strict=True)]
        ends = range(span, len(rows) + 1)
        return cls(
            tuple(accumulate(row["seconds/step"] for row in rows))[span - 1 :],
            tuple(sum(solved[end - span : end]) for end in ends),
            tuple(sum(played[end - span : end]) for end in ends),
        )

    @property
    def rates(self) -> tuple[float, ...]:
        """Success, step by step."""
        return tuple(s / n for s, n in zip(self.successes, self.trials, strict=True))

    def seconds_to(self, target: float) -> float:
        """When the success was first there.

        Raises:
            ValueError: when it never was.
        """
        for seconds, rate in zip(self.seconds, self.rates, strict=True):
            if rate >= target:
                return seconds
        raise ValueError(f"never reached {target}; its best is {max(self.rates)}")


def main() -> None:
    """One run per world, seed and eta."""
    args = arguments(__doc__ or "", _own_arguments)
    out = args.out / ("async-vs-sync-quick" if args.quick else "async-vs-sync")
    start = args.start or warm_start(out, [])
    worlds, seeds = (["slow"], [0]) if args.quick else (list(TOOLS), [0, 1, 2])
    steps = args.steps or (8 if args.quick else 24)
    few, rows = few_world(start, out), []
    for name in worlds:
        keys = [f'task.worlds=["{few}{TOOLS[name]}"]', f"policy.model={start.resolve()}"]
        for seed in seeds:
            runs = []
            for eta in ETAS:
                own = [*keys, f"run.seed={seed}", f"rollout.eta={eta}"]
                runs.append(train(out / f"{name}-{seed}-{eta}", own, steps, args.groups))
            rows.append(compare(runs) | {"world": name, "seed": seed})
    slow = [row["speedup"] for row in rows if row["world"] == "slow"]
    finish({"steps": steps, "groups": args.groups, "rows": rows, "ratio": min(slow)})


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, help="of each run")
    parser.add_argument("--groups", type=int, default=GROUPS, help="tasks of a step, 8 tries each")
    parser.add_argument("--start", type=Path, help="an SFT adapter directory; made where missing")


def train(folder: Path, keys: Sequence[str], steps: int, groups: int) -> list[dict[str, Any]]:
    """The metrics of one run."""
    if len(read_metrics(folder / NAME)) < steps:
        shutil.rmtree(folder, ignore_errors=True)
        tooldojo(
            *("train", "quickstart", f"run.dir={folder}", *keys),
            *(f"learner.steps={steps}", f"objective.groups={groups}"),
            *(f"learner.learning_rate={LEARNING_RATE}", "objective.dynamic_sampling=false"),
            *("eval.tasks=1", "eval.transfer_worlds=[]"),
            *("eval.every=0", "rollout.deadline=600", "run.tensorboard=false"),
        )
    return read_metrics(folder / NAME)


def compare(runs: Sequence[Sequence[dict[str, Any]]], span: int = SPAN) -> dict[str, Any]:
    """Both etas' figures; the speedup is that in seconds to the target."""
    curves = [Curve.of(rows, span) for rows in runs]
    target = min(max(curve.rates) for curve in curves)
    first, second = (curve.seconds_to(target) for curve in curves)
    sides = [side(*each) for each in zip(runs, curves, strict=True)]
    named = {f"eta {eta}": figures for eta, figures in zip(ETAS, sides, strict=True)}
    times = {"seconds_to_target": [round(first, 1), round(second, 1)]}
    return {"target": round(target, 3), **times, **named, "speedup": round(first / second, 3)}


def side(rows: Sequence[dict[str, Any]], curve: Curve) -> dict[str, Any]:
    """A run's figures; the first step, in which nothing overlaps yet, is left out of the rates."""
    later = rows[1:]
    seconds = sum(row["seconds/step"] for row in later)
    last = wilson(curve.successes[-1], curve.trials[-1])
    return {
        "seconds_per_step": round(seconds / len(later), 2),
        "trajectories_per_second": round(
            sum(row["rollout/trajectories"] for row in later) / seconds, 3
        ),
        "waited": round(sum(row["seconds/rollout"] for row in later) / seconds, 3),
        "staleness": round(sum(row["staleness/mean"] for row in later) / len(later), 3),
        "success_first": round(curve.rates[0], 3),
        "success_last": round(last.rate, 3),
        "ci95": [round(last.low, 3), round(last.high, 3)],
    }


if __name__ == "__main__":
    main()
