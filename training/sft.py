"""The SFT warm start: TRL trains, we render and mask.

TRL's SFTTrainer gets `input_ids` and `labels` only; the loss is on thoughts, calls and final
messages, never on tool results. The checkpoint with the best validation loss is kept.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tooldojo.configs.loading import RecipeError
from tooldojo.configs.schema import Recipe, SftSection
from tooldojo.envs.seeding import derive_seed, derived_random
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.training.demonstrations import (
    IGNORE,
    TokenRow,
    as_columns,
    demonstrations,
    token_counts,
)
from tooldojo.training.policy import Policy
from tooldojo.training.progress import sft_reporter
from tooldojo.training.run_dir import write_json
from tooldojo.training.session import open_policy
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig

    from tooldojo.training.base.template import Segment

Progress = Callable[[int, int, dict[str, float]], None]
TRAINER_STATE = "trainer_state.json"
CHECKPOINT_FILES = (  # of a checkpoint as transformers writes it, in this order
    "adapter_model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    TRAINER_STATE,
)


@dataclass(frozen=True, slots=True)
class SftData:
    """Rows to train on and rows to choose the checkpoint by."""

    train: list[TokenRow]
    validation: list[TokenRow]


def build_data(recipe: Recipe, chat: Chat, demos: int | None = None) -> SftData:
    """Verified demonstrations of the recipe's worlds, with the rehearsal mix added to the training
    rows.
    """
    task, seed = recipe.task, recipe.run.seed
    train = take(
        task.worlds, Split.TRAIN, derive_seed(seed, "demos"), demos or task.demos, task.levels
    )
    validation = take(
        task.worlds, Split.VAL, derive_seed(seed, "sft-val"), task.val_tasks, task.levels
    )
    rows = demonstrations(train, chat)
    rehearsal = rehearsal_rows(chat, len(rows), recipe)
    return SftData(rows + rehearsal, demonstrations(validation, chat))


def rehearsal_rows(chat: Chat, demos: int, recipe: Recipe) -> list[TokenRow]:
    """Documents of the default policy's own corpus, so that the warm start does not undo what it
    was taught.

    Raises:
        RecipeError: when another model asks for rehearsal, since its corpus is not known.
    """
    count = round(demos * recipe.sft.rehearsal)
    if not count:
        return []
    if recipe.policy.model != "default":
        raise RecipeError(
            "sft.rehearsal needs the default policy's corpus; set sft.rehearsal=0 for other models"
        )
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
    deterministic: bool = False,
) -> dict[str, Json]:
    """Train the policy's adapter in place; returns figures of the run.

    The model holds the best checkpoint's weights afterwards. Interrupted runs go on from the last
    whole checkpoint, on the rows that would have followed. deterministic: in float32.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from transformers.utils.logging import disable_progress_bar

    from tooldojo.training.sft_trainer import make_trainer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    disable_progress_bar()
    steps = math.ceil(len(data.train) * section.epochs / section.batch_size)
    order = row_order(len(data.train), section.epochs, seed)
    trainer = make_trainer(
        policy,
        args=_arguments(section, directory, steps, policy.device.type, seed, deterministic),
        train_dataset=Dataset.from_dict(as_columns(data.train)).select(order),
        eval_dataset=Dataset.from_dict(as_columns(data.validation)),
        callbacks=[_progress_callback(progress)] if progress else [],
    )
    trainer.remove_callback(PrinterCallback)  # our own progress says it once
    trainer.train(resume_from_checkpoint=resume_point(directory))
    losses = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    counts = {f"train_{name}": value for name, value in token_counts(data.train).items()}
    figures: dict[str, Json] = {
        "steps": steps,
        "best_val_loss": min(losses, default=float("nan")),
        "val_losses": list[Json](losses),
    }
    return figures | counts


def _arguments(
    section: SftSection, directory: Path, steps: int, device: str, seed: int, exact: bool
) -> SFTConfig:
    """The recipe in TRL's terms; `exact` computes in float32."""
    from trl.trainer.sft_config import SFTConfig

    return SFTConfig(
        output_dir=str(directory),
        per_device_train_batch_size=section.batch_size,
        per_device_eval_batch_size=section.batch_size,
        max_steps=steps,
        learning_rate=section.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(10, steps // 5),
        weight_decay=0.0,
        bf16=not exact,
        use_cpu=device == "cpu",
        max_length=None,
        eval_strategy="steps",
        eval_steps=section.eval_every,
        save_strategy="steps",
        save_steps=section.eval_every,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        train_sampling_strategy="sequential",  # `row_order` has laid the rows out
        gradient_checkpointing=False,
        seed=derive_seed(seed, "sft") % 2**31,
        report_to=[],
        logging_steps=5,
        disable_tqdm=True,
        log_level="error",
        dataloader_pin_memory=False,
    )


def row_order(rows: int, epochs: float, seed: int) -> list[int]:
    """Which row stands at each place of the whole training, every epoch shuffled anew.

    One list for all epochs: a resumed training needs no generator's state to find its place.
    """
    order: list[int] = []
    for epoch in range(math.ceil(epochs)):
        order += derived_random(seed, "sft-order", epoch).sample(range(rows), rows)
    return order[: math.ceil(rows * epochs)]


def resume_point(directory: Path) -> str | None:
    """The newest whole checkpoint under an SFT directory, made fit to be resumed where it lies now;
    None for a start from the beginning.

    What a kill left half-written or half-deleted is removed.
    """
    found = sorted(directory.glob("checkpoint-*"), key=lambda each: int(each.name[11:]))
    while found:
        newest = found.pop()
        state = _whole(newest)
        if state is None:
            shutil.rmtree(newest)
            continue
        best = state["best_model_checkpoint"]
        if best is not None:  # TRL writes it as an absolute path, and the run may have moved
            state["best_model_checkpoint"] = str(directory / Path(best).name)
        write_json(newest / TRAINER_STATE, state)
        return str(newest)
    return None


def _whole(checkpoint: Path) -> dict | None:
    """A checkpoint's trainer state, if that and everything else of it is there."""
    if not all((checkpoint / name).exists() for name in CHECKPOINT_FILES):
        return None
    try:
        return json.loads((checkpoint / TRAINER_STATE).read_text())
    except json.JSONDecodeError:
        return None


def _progress_callback(progress: Progress) -> TrainerCallback:
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_log(
            self,
            args: object,
            state: object,
            control: object,
            logs: dict | None = None,
            **_: object,
        ) -> None:
            numbers = {
                k: float(v)
                for k, v in (logs or {}).items()
                if isinstance(v, int | float | str) and _is_number(v)
            }
            progress(state.global_step, state.max_steps, numbers)  # type: ignore[attr-defined]

    return Report()


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def run_sft(recipe: Recipe, resume: bool, console: Console) -> dict[str, Json]:
    """`tooldojo sft`: the warm start alone; the adapter lands in adapters/sft of the run
    directory.
    """
    with open_policy(recipe, resume) as opened:
        figures = warm_start(recipe, opened.policy, opened.chat, opened.run.path, console)
    return {**figures, "adapter": str(Path(recipe.run.dir) / "adapters" / "sft")}


def warm_start(
    recipe: Recipe, policy: Policy, chat: Chat, run: Path, console: Console
) -> dict[str, Json]:
    """Train the policy in place; its figures go to sft.json and its adapter to adapters/sft of the
    run directory.
    """
    data, exact = build_data(recipe, chat), recipe.run.deterministic
    with sft_reporter(console) as report:
        figures = train_sft(policy, data, recipe.sft, run / "sft", recipe.run.seed, report, exact)
    write_json(run / "sft.json", figures)
    policy.save_adapter(run / "adapters" / "sft")
    return figures
