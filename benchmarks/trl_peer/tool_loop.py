"""TRL's tool loop on tools that take time: generation and calls, without rewards and updates.

Invariant: what is timed is `GRPOTrainer._generate` alone, on the engine that TRL starts itself,
with nothing of ours in it but the world behind the tools.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tooldojo.configs.schema import Recipe
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.envs.wrappers.settings import Latency
from tooldojo.rollouts.whole_files import write_json
from trl_peer.environment import PlayRules
from trl_peer.settings import PeerSettings
from trl_peer.sides import load_peer

if TYPE_CHECKING:
    from trl import GRPOTrainer


class Stopwatch:
    """Adds up the seconds spent inside one method of an object, from now on."""

    def __init__(self, owner: object, name: str) -> None:
        self.seconds, method = 0.0, getattr(owner, name)
        setattr(owner, name, self._timed(method))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            result = method(*args, **kwargs)
            self.seconds += time.perf_counter() - began
            return result

        return timed


class TimedLoop:
    """A trainer whose tool loop is timed."""

    def __init__(self, trainer: GRPOTrainer) -> None:
        self.trainer = trainer
        self._whole = Stopwatch(trainer, "_generate")
        self._engine = Stopwatch(trainer, "_generate_single_turn")

    def warm_up(self, rows: Sequence[dict[str, Any]]) -> None:
        """The first turn of a batch: the engine gets its weights, and its first steps are slow."""
        self.trainer._batch_environments = [None] * len(rows)
        prompts, images, fields = self.trainer._tokenize_prompts([row["prompt"] for row in rows])
        self.trainer._generate_single_turn(prompts, images, fields, 1)

    def play(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Figures of one batch; `idle` is the share of its seconds in which nothing was sampled."""
        trainer = self.trainer
        self._whole.seconds = self._engine.seconds = 0.0
        batch = trainer._generate_and_score_completions(list(rows))
        sampled = batch["tool_mask"].bool() & batch["completion_mask"].bool()
        rewards = list(trainer._logs["rewards"]["world_rewards"])[-len(rows) :]
        calls = sum(len(environment.play.world.calls) for environment in trainer.environments)
        seconds, idle = self._whole.seconds, self._whole.seconds - self._engine.seconds
        return {
            "trajectories": len(rows),
            "seconds": round(seconds, 2),
            "trajectories_per_second": round(len(rows) / seconds, 4),
            "tokens_per_second": round(int(sampled.sum()) / seconds, 1),
            "idle": round(idle / seconds, 4),
            "idle_seconds": round(idle, 2),
            "calls": round(calls / len(rows), 2),
            "reward": round(fmean(each for each in rewards if not math.isnan(each)), 3),
        }


def play_tool_loop(
    recipe: Recipe,
    settings: PeerSettings,
    latency: Latency,
    async_tools: bool,
    batches: Sequence[int],
    path: Path,
) -> None:
    """One batch of each size on one trainer, each from the first task on; figures go to `path`."""
    loaded = load_peer(recipe, settings)
    from trl_peer.trainer import make_rules, make_trainer

    rules = replace(make_rules(recipe, loaded.chat), latency=latency, async_tools=async_tools)
    trainer = make_trainer(
        recipe, settings, loaded.policy, loaded.chat, path.parent, 1, rules=rules
    )
    loop, rows = TimedLoop(trainer), batch_rows(recipe, settings, rules, max(batches))
    loop.warm_up(rows)
    write_json(path, {str(size): loop.play(rows[:size]) for size in batches})


def batch_rows(
    recipe: Recipe, settings: PeerSettings, rules: PlayRules, size: int
) -> list[dict[str, Any]]:
    """The first tasks of the recipe's world, each as often as a group has members."""
    members = settings.group_size
    tasks = take(recipe.task.worlds, Split.TRAIN, 0, size // members)
    return [row for task in tasks for row in [rules.row(task)] * members]
