"""Every method of `objective.method` for some steps from the same SFT start.

python benchmarks/objectives.py [--quick] [--methods a,b] [--start ADAPTER] [KEY=VALUE ...]

Each method trains on the same stream of tasks as the quickstart's RL stage and is validated on the
same held-out tasks before the end. Runs under `--out` that are finished are not repeated. Recipe
keys after the options go to every run.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from common import arguments, finish, tooldojo

from tooldojo.configs.methods import METHODS
from tooldojo.training.runs.metrics import NAME, read_metrics

SHOWN = ("val/success", "reward", "entropy", "grad_norm", "explained_variance", "mismatch_mean")


def main() -> None:
    """The warm start where there is none, then one run per method."""
    args = arguments(__doc__ or "", _own_arguments)
    out = args.out / ("objectives-quick" if args.quick else "objectives")
    steps = 4 if args.quick else 40
    small = ["task.demos=200", "task.val_tasks=32", "objective.groups=4"] if args.quick else []
    keys = [*small, *args.keys]
    start = args.start or warm_start(out / "sft", keys)
    rows = {
        method: summary(train(out / method, method, start, steps, keys))
        for method in args.methods.split(",")
    }
    base = rows.get("dapo", {}).get("val/success")
    finish({"steps": steps, "rows": rows, "dapo": base, "best": best(rows)})


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default=",".join(METHODS), help="some of them, with commas")
    parser.add_argument("--start", type=Path, help="an SFT adapter directory; made where missing")
    parser.add_argument("keys", nargs="*", help="section.key=value for every run")


def warm_start(folder: Path, keys: list[str]) -> Path:
    """The adapter that all methods start from."""
    adapter = folder / "adapters" / "sft"
    if not adapter.exists():
        shutil.rmtree(folder, ignore_errors=True)
        tooldojo("sft", "quickstart", f"run.dir={folder}", *keys)
    return adapter


def train(
    folder: Path, method: str, start: Path, steps: int, keys: list[str]
) -> list[dict[str, Any]]:
    """The metrics of a method's run, step by step."""
    if len(read_metrics(folder / NAME)) < steps:
        shutil.rmtree(folder, ignore_errors=True)
        given = [f"policy.model={start.resolve()}", f"objective.method={method}"]
        when = [f"learner.steps={steps}", f"eval.every={steps}", "run.tensorboard=false"]
        tooldojo("train", "quickstart", f"run.dir={folder}", *given, *when, *keys)
    return read_metrics(folder / NAME)


def summary(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """First and last figures of a run, and the learner's seconds per step (median)."""
    first, last = metrics[0], metrics[-1]
    seconds = sorted(row["seconds"] for row in metrics if row.get("seconds") is not None)
    figures = {name: last[name] for name in SHOWN if last.get(name) is not None}
    return {
        **figures,
        "reward_first": first["reward"],
        "learner_seconds": seconds[len(seconds) // 2] if seconds else None,
    }


def best(rows: dict[str, dict[str, Any]]) -> str | None:
    """The method with the highest validation success."""
    scored = {name: row["val/success"] for name, row in rows.items() if "val/success" in row}
    return max(scored, key=scored.__getitem__) if scored else None


if __name__ == "__main__":
    main()
