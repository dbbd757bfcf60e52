"""Everything that one run has open: directory, chat, policy, learner, fleet, store, task source.

Owns opening, resuming and closing them in the right order. Invariant: engines play only versions that `publish`
has delivered and proven, and every such version is on record in provenance.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tooldojo.configs.schema import Recipe
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.card import Conventions, system_prompt_hash
from tooldojo.training.checkpoint import latest_checkpoint
from tooldojo.training.demonstrations import demonstration
from tooldojo.training.evaluate import Evaluation, evaluate
from tooldojo.training.learner import Learner
from tooldojo.training.metrics import MetricsLog
from tooldojo.training.policy import Policy, find_model, load_policy, load_tokenizer
from tooldojo.training.run_dir import RunDirectory, write_json
from tooldojo.training.runtime import tune_process
from tooldojo.training.sampling import DynamicSampler
from tooldojo.verifiers.reward import RewardShape


@dataclass(slots=True)
class Session:
    """An open run. `step` counts finished learner steps; `current` is the policy that the engines hold."""

    recipe: Recipe
    run: RunDirectory
    chat: Chat
    policy: Policy
    fleet: Fleet
    store: TrajectoryStore
    metrics: MetricsLog
    learner: Learner
    tasks: DynamicSampler
    step: int
    current: PolicyRef
    on_group: Callable[[Group], None] = lambda group: None

    def publish(self, version: int) -> None:
        """Hand the learner's policy to every engine, prove the delivery, and write the version down."""
        update = self.learner.export(version)
        self.run.record_provenance((), (update.ref,))
        self.fleet.publish(update)
        self.current = update.ref

    def validate(self) -> dict[str, float]:
        """Success on the validation tasks: for curves and choices; test tasks are never looked at here."""
        evaluation = self.evaluate(validation_tasks(self.recipe), f"val-{self.step}")
        return {"val/success": evaluation.summary().success.mean}

    def evaluate(self, tasks: list[Task], stage: str) -> Evaluation:
        """Play each task once with the current policy; rows go to eval/, trajectories to the store."""
        section, groups = self.recipe.eval, []

        def keep(group: Group) -> None:
            groups.append(group)
            self.on_group(group)

        player = self.fleet.at(temperature=section.temperature)
        seed = derive_seed(self.recipe.run.seed, "evaluation")
        evaluation = evaluate(player, tasks, stage, temperature=section.temperature, seed=seed, on_group=keep)
        self.store.append(sorted(groups, key=lambda group: group.ordinal), stage, self.step)
        self.run.record_provenance(evaluation.engines, evaluation.policies)
        write_json(self.run / "eval" / f"{stage}.json", evaluation.to_json())
        return evaluation

    def close(self) -> None:
        """Stop the engines and give the directory back."""
        self.fleet.close()
        self.metrics.close()
        self.run.close()


def validation_tasks(recipe: Recipe) -> list[Task]:
    """The fixed validation tasks of a recipe."""
    seed = derive_seed(recipe.run.seed, "validation")
    return take(recipe.task.worlds, Split.VAL, seed, recipe.task.val_tasks, recipe.task.levels)
