"""Chooses the few tasks, by how often a warm-started policy solves them.

Fresh tasks take more training than a benchmark has, so benchmarks of training have a few that come
again. One that is solved always or never teaches nothing, and a single one that is never solved
keeps success from its target; so the tasks are those whose success is nearest to one half, and so
many that the target can be reached without one of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from common import apart, tooldojo

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.whole_files import write_json

if TYPE_CHECKING:
    from tooldojo.envs.task import Task

FEW = 8  # tasks
GROUPS = 4  # of a step on them
LEARNING_RATE = 3e-4  # which suits them; the quickstart's 1e-4 is for fresh ones
SEEDS = range(12)  # of the drafts that are looked at, for each level
TRIES = 16  # of each of their tasks
Draft = tuple[int, int]  # level and seed


def warm_start(out: Path, keys: list[str]) -> Path:
    """The quickstart's SFT adapter, made where it is missing; keys: of its recipe."""
    adapter = out / "sft" / "adapters" / "sft"
    if not adapter.exists():
        resume = ["--resume"] if (out / "sft" / "config.toml").exists() else []
        tooldojo("sft", "quickstart", *resume, f"run.dir={out / 'sft'}", *keys)
    return adapter


def few_world(start: Path, out: Path) -> str:
    """The world of the few tasks for an adapter, chosen where `out` has none yet."""
    world = out.resolve() / "few" / "orders.py"
    choice, reference = world.with_suffix(".json"), f"{world}:FewOrders"
    if not choice.exists():
        shutil.rmtree(world.parent, ignore_errors=True)
        world.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("orders.py"), world)
        run = [f"run.dir={world.parent / 'run'}", "run.tensorboard=false"]
        keys = [f'task.worlds=["{reference}"]', f"policy.model={start.resolve()}", *run]
        apart(choose, load_recipe("quickstart", keys), choice)
    return reference


def choose(recipe: Recipe, path: Path) -> None:
    """Play every candidate with the recipe's policy; the choice and all rates go to `path`."""
    from tooldojo.envs.task import IssuedTask
    from tooldojo.training.session import open_session

    tasks = candidates(recipe.task.worlds[0])
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks.values())]
    with open_session(recipe, resume=False) as session:
        session.start_learning().close()  # the engines have the adapter
        drafts, rates = list(tasks), {}
        for group in session.fleet.at(1.0, recipe.run.seed).play(issued, TRIES):
            solved = [bool(t.score and t.score.success) for t in group.scored]
            if solved:
                rates[drafts[group.ordinal]] = sum(solved) / len(solved)
    rows = [{"draft": draft, "success": round(rate, 3)} for draft, rate in rates.items()]
    write_json(path, {"drafts": nearest_to_half(rates, FEW), "candidates": rows})


def candidates(world: str) -> dict[Draft, Task]:
    """Distinct training tasks that a world of few could have, by draft."""
    from tooldojo.envs.orders.world import Orders
    from tooldojo.envs.registry import world_class
    from tooldojo.envs.task import Split

    few, found = world_class(world), {}
    for level, seed in product(Orders.levels, SEEDS):
        draft = Orders.draft(Random(seed), level)
        task = few.task_from(draft, Split.TRAIN, 1, f"few={level},{seed}")
        if task:
            found.setdefault(task.id, ((level, seed), task))
    return dict(found.values())


def nearest_to_half(rates: Mapping[Draft, float], count: int) -> list[Draft]:
    """The drafts whose success is nearest to one half, earlier ones first where two are alike."""
    return sorted(rates, key=lambda draft: abs(rates[draft] - 0.5))[:count]
