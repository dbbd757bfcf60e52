"""The SFT warm start: TRL trains, we render and mask.

TRL's SFTTrainer gets `input_ids` and `labels` only; the loss is on thoughts, calls and final
messages, never on tool results. The checkpoint with the best validation loss is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tooldojo.configs.loading import RecipeError
from tooldojo.configs.schema import Recipe, SftSection
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.policy import Policy
from tooldojo.training.runs.progress import stage_reporter
from tooldojo.training.session import open_policy
from tooldojo.training.stages.demonstrations import (
    IGNORE,
    TokenRow,
    as_columns,
    demonstrations,
    token_counts,
)
from tooldojo.training.stages.trl_stage import (
    Progress,
    optimiser_steps,
    quiet,
    row_order,
    train_to_end,
    trainer_arguments,
)
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from tooldojo.training.base.template import Segment


@dataclass(frozen=True, slots=True)
class SftData:
    """Rows to train on and rows to choose the checkpoint by."""

    train: list[TokenRow]
    validation: list[TokenRow]


def build_data(recipe: Recipe, chat: Chat) -> SftData:
    """Verified demonstrations of the recipe's worlds, with the rehearsal mix added to the training
    rows.
    """
    task, seed = recipe.task, recipe.run.seed
    train = take(task.worlds, Split.TRAIN, derive_seed(seed, "demos"), task.demos, task.levels)
    validation = take(
        task.worlds, Split.VAL, derive_seed(seed, "sft-val"), task.val_tasks, task.levels
    )
    rows = demonstrations(train, chat)
    rehearsal = rehearsal_rows(chat, len(rows), recipe)
    return SftData(rows + rehearsal, demonstrations(validation, chat))


def check_rehearsal(recipe: Recipe) -> None:
    """Refuse rehearsal of a corpus that is not known.

    Raises:
        RecipeError: when another model than the default one asks for it.
    """
    if round(recipe.task.demos * recipe.sft.rehearsal) and recipe.policy.model != "default":
        raise RecipeError(
            "sft.rehearsal needs the default policy's corpus; set sft.rehearsal=0 for other models"
        )


def rehearsal_rows(chat: Chat, demos: int, recipe: Recipe) -> list[TokenRow]:
    """Documents of the default policy's own corpus, so that the warm start does not undo what it
    was taught; for what it raises see `check_rehearsal`.
    """
    check_rehearsal(recipe)
    count = round(demos * recipe.sft.rehearsal)
    if not count:
        return []
    from tooldojo.training.base.corpus import corpus_documents
    from tooldojo.training.base.template import segments

    documents = corpus_documents(derive_seed(recipe.run.seed, "rehearsal") % 2**31, count)
    return [_written(segments(each.messages, each.tools), chat) for each in documents]


def _written(pieces: Sequence[Segment], chat: Chat) -> TokenRow:
    """A corpus document as a row: loss on what its assistant writes."""
    row = TokenRow([], [])
    for piece in pieces:
        ids = chat.tokenizer.encode(piece.text, add_special_tokens=False)
        row.input_ids.extend(ids)
        row.labels.extend(ids if piece.sampled else [IGNORE] * len(ids))
    return row


def train_sft(
    policy: Policy,
    data: SftData,
    section: SftSection,
    directory: Path,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Json]:
    """Train the policy's adapter in place; returns figures of the run.

    The model holds the best checkpoint's weights afterwards. Interrupted runs go on from the last
    whole checkpoint, on the rows that would have followed.
    """
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig

    from tooldojo.training.stages.sft_trainer import make_trainer

    quiet()
    steps = optimiser_steps(len(data.train), section)
    order = row_order(len(data.train), section.epochs, seed)
    stage_seed, device = derive_seed(seed, "sft") % 2**31, policy.device.type
    arguments = trainer_arguments(section, directory, steps, device, stage_seed)
    trainer = make_trainer(
        policy,
        args=SFTConfig(**arguments),
        train_dataset=Dataset.from_dict(as_columns(data.train)).select(order),
        eval_dataset=Dataset.from_dict(as_columns(data.validation)),
    )
    losses = train_to_end(trainer, directory, progress)
    counts = {f"train_{name}": value for name, value in token_counts(data.train).items()}
    figures: dict[str, Json] = {
        "steps": steps,
        "best_val_loss": min(losses, default=float("nan")),
        "val_losses": list[Json](losses),
    }
    return figures | counts


def run_sft(recipe: Recipe, resume: bool, console: Console) -> dict[str, Json]:
    """`tooldojo sft`: the warm start alone; the adapter lands in adapters/sft of the run
    directory.
    """
    check_rehearsal(recipe)
    with open_policy(recipe, resume) as opened:
        data = build_data(recipe, opened.chat)
        figures = warm_start(recipe, data, opened.policy, opened.run.path, console)
    return {**figures, "adapter": str(Path(recipe.run.dir) / "adapters" / "sft")}


def warm_start(
    recipe: Recipe, data: SftData, policy: Policy, run: Path, console: Console
) -> dict[str, Json]:
    """Train the policy in place; its figures go to sft.json and its adapter to adapters/sft of the
    run directory.
    """
    seed = recipe.run.seed
    with stage_reporter(console) as report:
        figures = train_sft(policy, data, recipe.sft, run / "sft", seed, report)
    write_json(run / "sft.json", figures)
    policy.save_adapter(run / "adapters" / "sft")
    return figures
