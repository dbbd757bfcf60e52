"""`tooldojo reward`: a reward model from comparisons, with its accuracy on held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Dataset
from rich.console import Console
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from tooldojo.configs.schema import PreferenceSection, Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.card import conventions_of
from tooldojo.training.players import base_and_adapter, recipe_chat
from tooldojo.training.runs.progress import stage_reporter
from tooldojo.training.runs.run_dir import RunDirectory
from tooldojo.training.runs.runtime import tune_process
from tooldojo.training.stages.demonstrations import TokenRow
from tooldojo.training.stages.preferences import (
    Pair,
    PairData,
    Preferences,
    require_same_data,
    split_pairs,
)
from tooldojo.training.stages.reward_model import RewardModel, new_reward_model
from tooldojo.training.stages.trl_stage import (
    Progress,
    optimiser_steps,
    quiet,
    row_order,
    train_to_end,
    trainer_arguments,
)
from tooldojo.verifiers.intervals import wilson
from tooldojo.verifiers.records import Json

CENTRED = 0.01  # weight that keeps scores around 0 (Eisenstein et al. 2023, arXiv 2312.09244)


@dataclass(frozen=True, slots=True)
class OpenReward:
    """A locked run directory, and a reward model to train in it."""

    run: RunDirectory
    model: RewardModel


def run_reward(
    recipe: Recipe, read: Callable[[Chat], Preferences], resume: bool, console: Console
) -> dict[str, Json]:
    """Train; the model lands in adapters/reward of the run directory, the figures in reward.json.

    Raises:
        PreferenceError: when there is nothing to compare.
    """
    section, seed = recipe.preference, recipe.run.seed
    chat = recipe_chat(recipe)
    found = read(chat)  # before the run directory: bad data leaves none behind
    data = split_pairs(found, section, seed)
    with open_reward(recipe, chat, resume) as opened, stage_reporter(console) as report:
        run, model = opened.run, opened.model
        require_same_data(run.path, found)
        figures = train_reward(model, data, section, run / "reward", seed, report)
        figures["left_out"] = dict[str, Json](found.skipped)
        write_json(run / "reward.json", figures)
        model.save(run / "adapters" / "reward")
    return {**figures, "adapter": str(Path(recipe.run.dir) / "adapters" / "reward")}


@contextmanager
def open_reward(recipe: Recipe, chat: Chat, resume: bool) -> Iterator[OpenReward]:
    """Lock the run directory and make the model; it starts from the recipe's policy."""
    _, adapter = base_and_adapter(recipe, None)
    conventions = conventions_of(chat, recipe.task.worlds)
    with RunDirectory(Path(recipe.run.dir), recipe, resume) as run:
        tune_process(recipe.learner.threads, recipe.run.deterministic)
        quiet()
        seed = derive_seed(recipe.run.seed, "reward-head") % 2**31
        yield OpenReward(run, new_reward_model(recipe.policy, conventions, adapter, seed))


def train_reward(
    reward: RewardModel,
    data: PairData,
    section: PreferenceSection,
    directory: Path,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Json]:
    """Train the model in place; returns figures of the run.

    It holds the best checkpoint's weights afterwards. Interrupted runs go on from the last whole
    checkpoint.
    """
    quiet()
    rows, device = len(data.train), next(reward.model.parameters()).device.type
    steps = optimiser_steps(rows, section)
    stage_seed = derive_seed(seed, "preference") % 2**31
    arguments = trainer_arguments(section, directory, steps, device, stage_seed)
    train = Dataset.from_dict(_columns(data.train))
    trainer = RewardTrainer(
        model=reward.model,
        args=RewardConfig(**arguments, center_rewards_coefficient=CENTRED),
        train_dataset=train.select(row_order(rows, section.epochs, seed)),
        eval_dataset=Dataset.from_dict(_columns(data.held_out)),
        processing_class=reward.tokenizer,
    )
    losses = train_to_end(trainer, directory, progress)
    return {
        "steps": steps,
        "train_pairs": rows,
        **accuracy(reward, data.held_out, section.batch_size),
        "best_val_loss": min(losses, default=float("nan")),
        "val_losses": list[Json](losses),
    }


def accuracy(reward: RewardModel, pairs: Sequence[Pair], size: int) -> dict[str, Json]:
    """How often the chosen response scores higher, with an interval (pairs of one task count as
    independent), beside a scorer that always prefers the shorter response.
    """
    chosen, rejected = [pair.chosen for pair in pairs], [pair.rejected for pair in pairs]
    scores = zip(reward.score_rows(chosen, size), reward.score_rows(rejected, size), strict=True)
    right = sum(good > bad for good, bad in scores)
    shorter = sum(_length(c) < _length(r) for c, r in zip(chosen, rejected, strict=True))
    return {
        "held_out_pairs": len(pairs),
        "held_out_accuracy": asdict(wilson(right, len(pairs))),
        "shorter_is_better": asdict(wilson(shorter, len(pairs))),
    }


def _length(row: TokenRow) -> int:
    return len(row.input_ids)


def _columns(pairs: Sequence[Pair]) -> dict[str, list[list[int]]]:
    return {
        "chosen_ids": [pair.chosen.input_ids for pair in pairs],
        "rejected_ids": [pair.rejected.input_ids for pair in pairs],
    }
