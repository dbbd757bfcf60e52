"""Our GRPO loop side by side with TRL's GRPOTrainer and its environments, on the orders world.

python benchmarks/grpo_vs_trl.py [--quick] [--minutes M] [--sweep] [--fresh] [--seeds N ...]

Both sides start from one SFT adapter (made once by `tooldojo sft`), play the same stream of tasks
under the same limits and rewards, and have the same budget of training time. Adapters that they had
on the way are evaluated afterwards by our evaluator on the same tasks.

Within minutes neither side learns what carries over to fresh tasks, so the way to the target is
measured on a few tasks that come again and again (`few/choose.py`), sampled as in training. There a
side ends before its time where the mean reward of its last steps is well above the target.
`--fresh` has a fresh task each time instead, and evaluates on held-out ones, greedily. Either way
adapters are evaluated in order, from where the rewards come near the target to the first at it.
The peer's whole configuration is `trl_peer/settings.toml`; what it needs beyond TRL's public
options stands in `trl_peer/trainer.py`. `--sweep` gives every point of the peer's sweep and of ours
a whole budget on seed 0 and keeps each side's best; full runs then use these. `--quick` measures
speed only, on fresh tasks: a few steps a side, ours without dynamic sampling, so that both play the
same trajectories. Finished runs under `--out` are not repeated, unfinished ones begin anew.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

from common import apart, arguments, finish
from few.choose import GROUPS, LEARNING_RATE, few_world, warm_start
from trl_peer.report import compare_seed, compare_speed, promising, worst
from trl_peer.settings import PeerSettings, load_settings
from trl_peer.sides import CURVE, evaluate_adapters, play_ours, play_trl
from trl_peer.timeline import NAME, Budget

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe

TARGET = 0.85  # success
MARGIN = 0.05  # a side ends before its time where the mean reward in training is so much above
FRESH_GROUPS = 16  # of a step, as in the quickstart
TRIES = 144  # of the few tasks, all of them equally often
RATE = f"learner.learning_rate={LEARNING_RATE}"
OUR_SWEEP = {
    "learning rate 3e-4": (RATE,),
    "learning rate 1e-4": (),
    "learning rate 1e-3": ("learner.learning_rate=1e-3",),
    "learning rate 3e-4, 2 minibatches": (RATE, "learner.minibatches=2"),
}
CHOSEN = "sweep.json"
ALWAYS = ("eval.every=0", "run.tensorboard=false", "learner.steps=100000")


def main() -> None:
    """Parse, then the sweep, the quick or the full comparison."""
    args = arguments(__doc__ or "", _own_arguments)
    args.fresh = args.fresh or args.quick
    args.groups = args.groups or (FRESH_GROUPS if args.fresh else None)
    kind = "-quick" if args.quick else "-fresh" if args.fresh else ""
    out = args.out / f"grpo-vs-trl{kind}"
    if args.quick:
        finish(quick(args, out))
    elif args.sweep:
        finish(sweep(args, out))
    else:
        finish(full(args, out))


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="training time a side")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between adapters kept")
    parser.add_argument("--steps", type=int, default=6, help="steps a side with --quick")
    parser.add_argument("--groups", type=int, help="tasks of a step, on both sides")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of full runs")
    parser.add_argument("--sweep", action="store_true", help="choose both sides' settings")
    parser.add_argument("--fresh", action="store_true", help="fresh tasks, held-out evaluation")
    parser.add_argument("--start", type=Path, help="an SFT adapter directory; made where missing")


def quick(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """A few steps a side on seed 0."""
    start = _begin(args, out, "task.demos=100", "sft.epochs=2")
    budget = Budget(seconds=1e9, steps=args.steps, every=1e9)
    settings = _sized(load_settings()[0], args)
    recipe = _recipe(start, 0, args, RATE, "objective.dynamic_sampling=false")
    ours = train_ours(recipe, budget, out / "ours-0")
    peer = train_trl(recipe, settings, budget, out / "trl-0")
    return compare_speed(ours, peer) | {"settings": settings.to_json()}


def full(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Every seed on both sides; the worst seed's ratio of minutes to the target."""
    start = _begin(args, out)
    enough = math.inf if args.fresh else TARGET + MARGIN
    budget = Budget(60 * args.minutes, 10**5, args.every, enough)
    chosen = json.loads((out / CHOSEN).read_text()) if (out / CHOSEN).exists() else None
    settings = PeerSettings(**chosen["settings"]) if chosen else load_settings()[0]
    settings, keys = _sized(settings, args), chosen["keys"] if chosen else [RATE]
    rows = []
    for seed in args.seeds:
        recipe = _recipe(start, seed, args, *keys)
        ours = train_ours(recipe, budget, out / f"ours-{seed}")
        peer = train_trl(recipe, settings, budget, out / f"trl-{seed}")
        chains = [promising(side, TARGET) for side in (ours, peer)]
        split = "test" if args.fresh else "train"
        curve = evaluate(recipe, chains, split, TARGET, out / f"evaluation-{seed}")
        rows.append({"seed": seed, **compare_seed(ours, peer, curve, TARGET, args.minutes)})
    about = {"target": TARGET, "minutes": args.minutes, "fresh": args.fresh, "swept": bool(chosen)}
    return {**about, "seeds": rows, "settings": settings.to_json(), "keys": keys} | {
        "ratio": worst(rows)
    }


def sweep(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Every point of both sweeps on seed 0; the best of each side is kept."""
    start = _begin(args, out)
    budget = Budget(seconds=60 * args.minutes, steps=10**5, every=1e9)
    points = [_sized(point, args) for point in load_settings()[1]]
    recipe, runs = _recipe(start, 0, args), []
    for number, keys in enumerate(OUR_SWEEP.values()):
        runs.append(train_ours(_recipe(start, 0, args, *keys), budget, out / f"own-{number}"))
    for number, point in enumerate(points):
        runs.append(train_trl(recipe, point, budget, out / f"sweep-{number}"))
    last, split = [promising(run, math.inf) for run in runs], "val" if args.fresh else "train"
    curve = evaluate(recipe, last, split, 1.0, out / "evaluation-sweep")
    success = [curve[chain[0]]["success"] for chain in last]
    own, others = success[: len(OUR_SWEEP)], success[len(OUR_SWEEP) :]
    rows = [{"name": n, "success": s} for n, s in zip(OUR_SWEEP, own, strict=True)]
    rows += [{"name": f"TRL, {p.name}", "success": s} for p, s in zip(points, others, strict=True)]
    best, keys = points[others.index(max(others))], list(OUR_SWEEP.values())[own.index(max(own))]
    kept = {"settings": best.to_json(), "keys": list(keys), "rows": rows}
    (out / CHOSEN).write_text(json.dumps(kept, indent=1))
    return kept | {"ratio": max(others) / max(1e-9, others[0])}


def train_ours(recipe: Recipe, budget: Budget, folder: Path) -> dict[str, Any]:
    """Our side's timeline."""
    if not (folder / NAME).exists():
        shutil.rmtree(folder, ignore_errors=True)
        apart(play_ours, _in(recipe, folder / "run"), budget, folder)
    return json.loads((folder / NAME).read_text())


def train_trl(
    recipe: Recipe, settings: PeerSettings, budget: Budget, folder: Path
) -> dict[str, Any]:
    """The peer's timeline."""
    if not (folder / NAME).exists():
        shutil.rmtree(folder, ignore_errors=True)
        apart(play_trl, _in(recipe, folder / "run"), settings, budget, folder)
    return json.loads((folder / NAME).read_text())


def evaluate(
    recipe: Recipe, chains: list[list[str]], split: str, target: float, folder: Path
) -> dict[str, Any]:
    """Success by adapter; see `evaluate_adapters`."""
    if not (folder / CURVE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        tasks = recipe.eval.tasks
        apart(evaluate_adapters, _in(recipe, folder), chains, tasks, split, target)
    return json.loads((folder / CURVE).read_text())


def _begin(args: argparse.Namespace, out: Path, *keys: str) -> Path:
    """The adapter to start from; the world of few tasks goes into `args`."""
    start = args.start or warm_start(out, list(keys))
    args.world = None if args.fresh else few_world(start, out)
    return start


def _recipe(start: Path, seed: int, args: argparse.Namespace, *keys: str) -> Recipe:
    sized = [f"objective.groups={args.groups}"] if args.groups else []
    model = f"policy.model={start.resolve()}"
    few = [f'task.worlds=["{args.world}"]', f"objective.groups={GROUPS}"]
    world = [*few, "eval.temperature=1.0", f"eval.tasks={TRIES}"] if args.world else []
    return load_recipe("quickstart", [model, f"run.seed={seed}", *ALWAYS, *world, *sized, *keys])


def _sized(settings: PeerSettings, args: argparse.Namespace) -> PeerSettings:
    return settings.varied(groups=args.groups) if args.groups else settings


def _in(recipe: Recipe, folder: Path) -> Recipe:
    return recipe.model_copy(update={"run": recipe.run.model_copy(update={"dir": str(folder)})})


if __name__ == "__main__":
    main()
