"""A reward model: the base model with an adapter and a scalar head, trained on comparisons.

Owns loading, saving and scoring. Refuses adapters of policies, and token rows of another template.
Invariant: the score of a trajectory is the head's value at its last token, whatever it is batched
with; higher is better, and only differences mean something (Bradley and Terry 1952).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.reward_trainer import suppress_seqcls_warning

from tooldojo.configs.schema import PolicySection
from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.training.card import AdapterCard, Conventions, PolicyError, base_digest
from tooldojo.training.policy import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    DTYPES,
    find_model,
    load_tokenizer,
)
from tooldojo.training.runs.atomic import atomic_directory
from tooldojo.training.stages.demonstrations import TokenRow
from tooldojo.training.stages.preference_trainers import pad_id_of, pad_rows
from tooldojo.training.stages.preferences import trajectory_row
from tooldojo.verifiers.records import Reward

ROLE = "reward"


@dataclass(frozen=True, slots=True, eq=False)
class RewardModel:
    """A model that gives a token sequence one number."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    card: AdapterCard

    def score_rows(self, rows: Sequence[TokenRow], size: int = 16) -> list[float]:
        """One score per row; `size` rows at a time."""
        found: list[float] = []
        device = next(self.model.parameters()).device
        self.model.eval()
        for start in range(0, len(rows), size):
            batch = pad_rows(rows[start : start + size], pad_id_of(self.tokenizer))
            inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
            with torch.no_grad():
                found += self.model(**inputs, use_cache=False).logits[:, 0].float().tolist()
        return found

    def score(self, trajectories: Sequence[Trajectory], size: int = 16) -> list[float | None]:
        """One score per trajectory, in order; None where its context was folded."""
        rows = [trajectory_row(trajectory) for trajectory in trajectories]
        scores = iter(self.score_rows([row for row in rows if row is not None], size))
        return [None if row is None else next(scores) for row in rows]

    def save(self, folder: Path) -> None:
        """Write plain PEFT files and the card; the directory appears complete or not at all."""
        state = get_peft_model_state_dict(self.model, save_embedding_layers=False)
        tensors = {n: t.detach().float().cpu().contiguous().clone() for n, t in state.items()}
        with atomic_directory(folder) as draft:
            save_file(tensors, draft / ADAPTER_WEIGHTS, metadata={"format": "pt"})
            self.model.peft_config["default"].save_pretrained(str(draft))
            self.card.write(draft)


def new_reward_model(
    section: PolicySection, conventions: Conventions, start: Path | None, seed: int
) -> RewardModel:
    """A fresh head on the recipe's base model; the adapter starts from the policy's in `start`,
    which has read such trajectories before, or fresh.

    Raises:
        PolicyError: for an adapter that does not fit, or quantised weights.
    """
    if section.quantization != "none":
        raise PolicyError(
            f'policy.quantization = "{section.quantization}" is not for reward models; '
            'set policy.quantization="none"'
        )
    name = section.model if start is None else AdapterCard.read(start).base
    card = AdapterCard(conventions, name, base_digest(find_model(name)), ROLE)
    rank, alpha = section.lora_rank, section.lora_alpha
    if start is not None:
        AdapterCard.read(start).require(conventions, card.base_digest, start)
        config = json.loads((start / ADAPTER_CONFIG).read_text())
        rank, alpha = config["r"], config["lora_alpha"]
    lora = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="SEQ_CLS",
        modules_to_save=["score"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(_trunk(section, card), lora)
    if start is not None:
        own = get_peft_model_state_dict(model, save_embedding_layers=False)
        set_peft_model_state_dict(model, own | load_file(start / ADAPTER_WEIGHTS))
    return RewardModel(model, load_tokenizer(name), card)


def load_reward_model(adapter: Path, conventions: Conventions | None = None) -> RewardModel:
    """The reward model of a directory that `save` wrote. conventions: of the policy whose
    trajectories it will score, if they are to be checked.

    Raises:
        PolicyError: for another role, other conventions or another base model.
    """
    card = AdapterCard.read(adapter)
    digest = base_digest(find_model(card.base))
    card.require(conventions or card.conventions, digest, adapter, ROLE)
    trunk = _trunk(PolicySection(model=card.base), card)
    model = PeftModel.from_pretrained(trunk, str(adapter))
    return RewardModel(model, load_tokenizer(card.base), card)


def _trunk(section: PolicySection, card: AdapterCard) -> torch.nn.Module:
    with suppress_seqcls_warning():
        model = AutoModelForSequenceClassification.from_pretrained(
            find_model(card.base), num_labels=1, dtype=DTYPES[section.dtype]
        )
    model.config.get_text_config().pad_token_id = pad_id_of(load_tokenizer(card.base))
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def with_learned_reward(
    groups: Sequence[Group], model: RewardModel, weight: float = 1.0
) -> tuple[Group, ...]:
    """The same groups with `weight` x the learned score, for the last turn, + (1 - weight) x the
    own reward, part by part and turn by turn. Scores, and trajectories that cannot be scored, stay
    as they are.
    """
    members = [t for group in groups for t in group.scored]
    learned = dict(zip(map(id, members), model.score(members), strict=True))
    return tuple(
        replace(
            group,
            trajectories=tuple(
                _rewarded(t, learned.get(id(t)), weight) for t in group.trajectories
            ),
        )
        for group in groups
    )


def _rewarded(trajectory: Trajectory, learned: float | None, weight: float) -> Trajectory:
    own = trajectory.reward
    if learned is None or own is None:
        return trajectory
    parts = {name: (1 - weight) * part for name, part in own.parts.items()}
    parts["learned"] = weight * learned
    turns = [(1 - weight) * turn for turn in own.turns]
    turns[-1:] = [turn + weight * learned for turn in turns[-1:]]
    total = (1 - weight) * own.total + weight * learned
    return replace(trajectory, reward=Reward(total, tuple(turns), parts))
