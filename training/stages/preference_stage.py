"""DPO and KTO as stages: from comparisons to an adapter that the next stage and the engine load.

Owns the figures of a stage. Invariant: accuracy is measured on tasks whose comparisons never
trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from rich.console import Console

from tooldojo.configs.schema import PreferenceSection, Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.whole_files import write_json
from tooldojo.training.evaluation.stats import bootstrap_mean
from tooldojo.training.learning.scoring import score_tokens
from tooldojo.training.players import recipe_chat
from tooldojo.training.policy import Policy
from tooldojo.training.runs.progress import stage_reporter
from tooldojo.training.session import open_policy
from tooldojo.training.stages.demonstrations import TokenRow
from tooldojo.training.stages.preference_trainers import (
    judged_columns,
    make_dpo,
    make_kto,
    pad_id_of,
    pad_rows,
    pair_columns,
)
from tooldojo.training.stages.preferences import (
    JudgedData,
    Pair,
    PairData,
    Preferences,
    require_same_data,
    split_judged,
    split_pairs,
)
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

if TYPE_CHECKING:
    from transformers import Trainer

Reader = Callable[[Chat], Preferences]


def run_preference(
    method: str, recipe: Recipe, read: Reader, resume: bool, console: Console
) -> dict[str, Json]:
    """`tooldojo dpo` and `tooldojo kto`: the adapter lands in adapters/<method> of the run
    directory, the figures in <method>.json.

    Raises:
        PreferenceError: when there is nothing to compare.
    """
    section, seed = recipe.preference, recipe.run.seed
    found = read(recipe_chat(recipe))  # before the run directory: bad data leaves none behind
    pairs = split_pairs(found, section, seed)
    with open_policy(recipe, resume) as opened, stage_reporter(console) as report:
        policy, run = opened.policy, opened.run
        require_same_data(run.path, found)
        if method == "dpo":
            figures = train_dpo(policy, pairs, section, run / "dpo", seed, report)
        else:
            data = split_judged(found, section, seed)
            figures = train_kto(policy, data, pairs, section, run / "kto", seed, report)
        figures["left_out"] = dict[str, Json](found.skipped)
        write_json(run / f"{method}.json", figures)
        policy.save_adapter(run / "adapters" / method)
    return {**figures, "adapter": str(Path(recipe.run.dir) / "adapters" / method)}


def train_dpo(
    policy: Policy,
    data: PairData,
    section: PreferenceSection,
    directory: Path,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Json]:
    """Train the policy's adapter in place on pairs; returns figures of the run.

    The model holds the best checkpoint's weights afterwards. Interrupted runs go on from the last
    whole checkpoint.
    """

    def make(order: list[int], arguments: dict[str, Any]) -> Trainer:
        train = Dataset.from_dict(pair_columns(data.train)).select(order)
        held_out = Dataset.from_dict(pair_columns(data.held_out))
        return make_dpo(policy, train, held_out, arguments, section.beta)

    rows, schedule = len(data.train), (section, directory, seed, progress)
    return _train(policy, data.held_out, rows, make, *schedule) | {"train_pairs": rows}


def train_kto(
    policy: Policy,
    data: JudgedData,
    pairs: PairData,
    section: PreferenceSection,
    directory: Path,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Json]:
    """Train the policy's adapter in place on single verdicts; like `train_dpo`, measured on the
    held-out pairs as well.
    """

    def make(order: list[int], arguments: dict[str, Any]) -> Trainer:
        train = Dataset.from_dict(judged_columns(data.train)).select(order)
        held_out = Dataset.from_dict(judged_columns(data.held_out))
        return make_kto(policy, train, held_out, arguments, section.beta)

    rows, schedule = len(data.train), (section, directory, seed, progress)
    figures = _train(policy, pairs.held_out, rows, make, *schedule)
    good = sum(each.good for each in data.train)
    return figures | {"train_good": good, "train_bad": rows - good}


def _train(
    policy: Policy,
    held_out: Sequence[Pair],
    rows: int,
    make: Callable[[list[int], dict[str, Any]], Trainer],
    section: PreferenceSection,
    directory: Path,
    seed: int,
    progress: Progress | None,
) -> dict[str, Json]:
    quiet()
    steps = optimiser_steps(rows, section)
    stage_seed = derive_seed(seed, "preference") % 2**31
    device = policy.device.type
    arguments = trainer_arguments(section, directory, steps, device, stage_seed)
    before = pair_logps(policy, held_out, section.batch_size)
    trainer = make(row_order(rows, section.epochs, seed), arguments)
    losses = train_to_end(trainer, directory, progress)
    after = pair_logps(policy, held_out, section.batch_size)
    margins = [
        (new[0] - old[0]) - (new[1] - old[1]) for new, old in zip(after, before, strict=True)
    ]
    return {
        "steps": steps,
        "held_out_pairs": len(held_out),
        "held_out_accuracy": asdict(wilson(sum(m > 0 for m in margins), len(margins))),
        "held_out_margin": asdict(bootstrap_mean(margins)),
        "best_val_loss": min(losses, default=float("nan")),
        "val_losses": list[Json](losses),
    }


def pair_logps(policy: Policy, pairs: Sequence[Pair], size: int) -> list[tuple[float, float]]:
    """log pi of the chosen and of the rejected response of each pair, in nats."""
    chosen = response_logps(policy, [pair.chosen for pair in pairs], size)
    rejected = response_logps(policy, [pair.rejected for pair in pairs], size)
    return list(zip(chosen, rejected, strict=True))


def response_logps(policy: Policy, rows: Sequence[TokenRow], size: int) -> list[float]:
    """Sum of the log-probabilities of each row's labelled tokens; `size` rows at a time."""
    found: list[float] = []
    for start in range(0, len(rows), size):
        batch = pad_rows(rows[start : start + size], pad_id_of(policy.tokenizer))
        inputs = {name: batch[name].to(policy.device) for name in ("input_ids", "attention_mask")}
        counted_BT = batch["completion_mask"].to(policy.device)[:, 1:].bool()
        with torch.no_grad():
            states_BTH = policy.network.base_model(**inputs).last_hidden_state[:, :-1]
            target_N = inputs["input_ids"][:, 1:][counted_BT]
            scores = score_tokens(states_BTH[counted_BT], policy.head_VH, target_N)
        sums_B = torch.zeros(len(counted_BT), device=policy.device)
        sums_B.index_add_(0, counted_BT.nonzero()[:, 0], scores.logprob_N)
        found += sums_B.tolist()
    return found
