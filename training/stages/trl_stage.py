"""What every stage that TRL trains shares: arguments, order of rows, checkpoints, progress.

Owns how a recipe's stage becomes TRL's arguments and how it goes on after a kill. Invariant: the
rows that follow a checkpoint are those that would have followed without the interruption.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tooldojo.envs.seeding import derived_random
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.precision import autocasts

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

Progress = Callable[[int, int, dict[str, float]], None]
TRAINER_STATE = "trainer_state.json"
CHECKPOINT_FILES = (  # of a checkpoint as transformers writes it, in this order
    "adapter_model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    TRAINER_STATE,
)


class Schedule(Protocol):
    """What the section of any such stage says."""

    @property
    def epochs(self) -> float: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def eval_every(self) -> int: ...
    @property
    def autocast(self) -> str: ...


def optimiser_steps(rows: int, section: Schedule) -> int:
    """Steps of the whole stage."""
    return math.ceil(rows * section.epochs / section.batch_size)


def trainer_arguments(
    section: Schedule, directory: Path, steps: int, device: str, seed: int
) -> dict[str, Any]:
    """The stage in the terms of `transformers.TrainingArguments`."""
    every = max(1, min(section.eval_every, steps))
    return {
        "output_dir": str(directory),
        "per_device_train_batch_size": section.batch_size,
        "per_device_eval_batch_size": section.batch_size,
        "max_steps": steps,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": min(10, steps // 5),
        "weight_decay": 0.0,
        "bf16": autocasts(section.autocast, device),
        "use_cpu": device == "cpu",
        "max_length": None,
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "train_sampling_strategy": "sequential",  # `row_order` has laid the rows out
        "gradient_checkpointing": False,
        "seed": seed,
        "report_to": [],
        "logging_steps": 5,
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": False,
    }


def quiet() -> None:
    """Our own progress says it once."""
    from datasets.utils.logging import disable_progress_bar

    logging.getLogger("transformers").setLevel(logging.ERROR)
    disable_progress_bar()


def train_to_end(trainer: Trainer, directory: Path, progress: Progress | None) -> list[float]:
    """Train from the last whole checkpoint under `directory`; returns the validation losses. The
    model is left without dropout, as it was found.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    if progress is not None:
        trainer.add_callback(progress_callback(progress))
    trainer.train(resume_from_checkpoint=resume_point(directory))
    assert trainer.model is not None
    trainer.model.eval()
    return [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]


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
    """A checkpoint's trainer state, if that and everything else of it is there and whole."""
    if not all((checkpoint / name).exists() for name in CHECKPOINT_FILES):
        return None
    torn = [name for name in CHECKPOINT_FILES if _torn(checkpoint / name)]
    if torn:
        logging.getLogger(__name__).warning(
            "%s is damaged; this stage goes on from before it", checkpoint / torn[0]
        )
        return None
    try:
        return json.loads((checkpoint / TRAINER_STATE).read_text())
    except json.JSONDecodeError:
        return None


def _torn(file: Path) -> bool:
    """Whether a file of tensors ends before its end; both kinds say where that is."""
    from safetensors import SafetensorError, safe_open

    if file.suffix in (".pt", ".pth"):
        return not zipfile.is_zipfile(file)
    if file.suffix != ".safetensors":
        return False
    try:
        with safe_open(file, "pt"):
            return False
    except SafetensorError:
        return True


def progress_callback(progress: Progress) -> TrainerCallback:
    """Hands every log to `progress`: step, steps, and what of it is a number."""
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
