"""Every method of `objective.method` from one SFT start, as a study over seeds.

python benchmarks/objectives.py [--quick] [--methods a,b] [--start ADAPTER] [KEY=VALUE ...]

`tooldojo study` on a few tasks that come again (`few/choose.py`), for on fresh ones a few
hundred trajectories teach too little to see. `rise` is how far the success in training rose within
equal samples, `gain` its end over the first method's, both with Student's t intervals over seeds;
`ratio` is the share of methods whose rise is above zero with its whole interval. What is finished
under `--out` is not repeated. Recipe keys after the options go to every run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import arguments, finish, tooldojo
from few.choose import GROUPS, LEARNING_RATE, few_world, warm_start

from tooldojo.configs.methods import METHODS
from tooldojo.training.runs.metrics import NAME, read_metrics

SHOWN = ("entropy", "grad_norm", "explained_variance")


def main() -> None:
    """The warm start where there is none, then the study."""
    args = arguments(__doc__ or "", _own_arguments)
    out = (args.out / ("objectives-quick" if args.quick else "objectives")).resolve()
    methods = args.methods.split(",") if args.methods else list(METHODS)
    methods, seeds, steps = (methods[:2], [0], 5) if args.quick else (methods, [0, 1, 2], 20)
    grid = out / "grid.toml"
    start = args.start or warm_start(out, [])
    keys = [f'task.worlds=["{few_world(start, out)}"]', *args.keys]
    grid.write_text(study_file(out, start.resolve(), methods, seeds, steps, keys))
    tooldojo("study", str(grid))
    study = json.loads((out / "study.json").read_text())
    rows = {
        method: figures(cell, [read_metrics(folder / NAME) for folder in runs_of(out, method)])
        for method, cell in zip(methods, study["cells"], strict=True)
    }
    rising = sum(row["rise"][1] > 0 for row in rows.values()) / len(rows)
    about = {"trajectories": study["trajectories"], "seeds": seeds, "steps": steps}
    finish({**about, "rows": rows, "ratio": round(rising, 3)})


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="", help="some of them, with commas")
    parser.add_argument("--start", type=Path, help="an SFT adapter directory; made where missing")
    parser.add_argument("keys", nargs="*", help="section.key=value for every run")


def study_file(
    out: Path,
    start: Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    keys: Sequence[str],
) -> str:
    """The grid, as TOML."""
    shared = {
        "policy.model": str(start),
        "objective.groups": GROUPS,
        "learner.steps": steps,
        "learner.learning_rate": LEARNING_RATE,
        "eval.every": 0,
        "run.tensorboard": False,
    }
    own = [f'"{key}" = {value}' for key, _, value in (each.partition("=") for each in keys)]
    lines = [f'"{key}" = {json.dumps(value)}' for key, value in shared.items()] + own
    head = ['recipe = "quickstart"', f"dir = {json.dumps(str(out))}", f"seeds = {list(seeds)}"]
    grid = ["[grid]", f'"objective.method" = {json.dumps(list(methods))}']
    return "\n".join([*head, "held_out = false", "[set]", *lines, *grid, ""])


def runs_of(out: Path, method: str) -> list[Path]:
    """The run directories of a method's seeds."""
    return sorted(out.glob(f"method={method}-seed*"))


def figures(cell: dict[str, Any], runs: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """A method's row: what the study says, and means over its runs' last quarters of steps."""
    late = [row for rows in runs for row in rows[-max(1, len(rows) // 4) :]]
    shown = {
        name: round(statistics.mean(values), 4)
        for name in SHOWN
        if (values := [row[name] for row in late if row.get(name) is not None])
    }
    seconds = [row["seconds"] for rows in runs for row in rows if row.get("seconds") is not None]
    return {
        "success": _interval(cell["equal"]),
        "rise": _interval(cell["rise"]),
        "gain": _interval(cell["gain"]) if cell["gain"] else None,
        **shown,
        "learner_seconds": round(statistics.median(seconds), 2) if seconds else None,
    }


def _interval(mean: dict[str, float]) -> list[float]:
    """Mean, low, high."""
    return [round(mean[name], 3) for name in ("mean", "low", "high")]


if __name__ == "__main__":
    main()
