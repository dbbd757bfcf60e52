"""TRL's DPO and KTO trainers on our own token rows.

Owns the collators: which tokens count is decided by a row's labels alone, so prompts and tool
results stay out of the loss. Refuses to change the losses (Rafailov et al. 2023,
https://arxiv.org/abs/2305.18290; Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306), which
are TRL's. Invariant: the reference is the policy as it was when the stage began, also after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from tooldojo.training.policy import Policy
from tooldojo.training.stages.demonstrations import IGNORE, TokenRow
from tooldojo.training.stages.preferences import Judged, Pair

Example = Mapping[str, Any]
REFERENCE = "ref"  # TRL's name of the frozen copy of the adapter


def pad_rows(rows: Sequence[TokenRow], pad_id: int) -> dict[str, Tensor]:
    """Rows as TRL's trainers take them, [B, T] padded on the right: input_ids, attention_mask and
    completion_mask, which is 1 exactly at labelled tokens.
    """
    width = max(len(row.input_ids) for row in rows)

    def padded(lines: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([line + [fill] * (width - len(line)) for line in lines])

    return {
        "input_ids": padded([row.input_ids for row in rows], pad_id),
        "attention_mask": padded([[1] * len(row.input_ids) for row in rows], 0),
        "completion_mask": padded([[int(t != IGNORE) for t in row.labels] for row in rows], 0),
    }


def pair_columns(pairs: Sequence[Pair]) -> dict[str, list[list[int]]]:
    """Pairs as the columns of a dataset."""
    return {
        "chosen_input_ids": [pair.chosen.input_ids for pair in pairs],
        "chosen_labels": [pair.chosen.labels for pair in pairs],
        "rejected_input_ids": [pair.rejected.input_ids for pair in pairs],
        "rejected_labels": [pair.rejected.labels for pair in pairs],
    }


def side(example: Example, name: str) -> TokenRow:
    """One side of a pair's columns."""
    return TokenRow(example[f"{name}_input_ids"], example[f"{name}_labels"])


def judged_columns(judged: Sequence[Judged]) -> dict[str, list[Any]]:
    """Single responses as the columns of a dataset."""
    return {
        "input_ids": [each.row.input_ids for each in judged],
        "labels": [each.row.labels for each in judged],
        "label": [each.good for each in judged],
    }


def _references(examples: Sequence[Example], names: Sequence[str]) -> dict[str, Tensor]:
    known = [name for name in names if name in examples[0]]
    return {name: torch.tensor([example[name] for example in examples]) for name in known}


class PairDpoTrainer(DPOTrainer):
    """DPO on `pair_columns`; the reference's log-probabilities are computed once, before."""

    references = ("ref_chosen_logps", "ref_rejected_logps")

    def _prepare_dataset(
        self, dataset: Any, processing_class: Any, args: Any, dataset_name: str
    ) -> Any:
        return dataset  # rendered and tokenised already

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        return _with_references(self, dataset, batch_size, self.references)


class JudgedKtoTrainer(KTOTrainer):
    """KTO on `judged_columns`, likewise."""

    references = ("ref_logps", "ref_KL_logps")

    def _prepare_dataset(
        self, dataset: Any, processing_class: Any, args: Any, dataset_name: str
    ) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        return _with_references(self, dataset, batch_size, self.references)


def _with_references(
    trainer: DPOTrainer | KTOTrainer, dataset: Dataset, batch_size: int, names: Sequence[str]
) -> Dataset:
    """The dataset with two more columns, computed in the batches that training will see."""
    columns: dict[str, list[float]] = {name: [] for name in names}
    loader = DataLoader(dataset, batch_size=batch_size, collate_fn=trainer.data_collator)  # type: ignore[arg-type]
    for batch in trainer.accelerator.prepare(loader):
        found = trainer.compute_ref_log_probs(trainer.model, batch)
        for name, values in zip(names, found, strict=True):
            assert values is not None, "KTO's KL is estimated for this loss"
            columns[name] += values.float().tolist()
    for name, values in columns.items():
        dataset = dataset.add_column(name, values)  # type: ignore[call-arg]
    return dataset


def make_dpo(
    policy: Policy, train: Dataset, held_out: Dataset, arguments: dict[str, Any], beta: float
) -> PairDpoTrainer:
    """A DPO trainer whose datasets hold `pair_columns`."""
    pad_id = pad_id_of(policy.tokenizer)

    def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
        rows = [side(each, name) for name in ("chosen", "rejected") for each in examples]
        return pad_rows(rows, pad_id) | _references(examples, PairDpoTrainer.references)

    trainer = PairDpoTrainer(
        model=policy.model,
        args=DPOConfig(
            **arguments, beta=beta, precompute_ref_log_probs=True, remove_unused_columns=False
        ),
        data_collator=collate,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=policy.tokenizer,
    )
    _drop_reference(policy)
    return trainer


def make_kto(
    policy: Policy, train: Dataset, held_out: Dataset, arguments: dict[str, Any], beta: float
) -> JudgedKtoTrainer:
    """A KTO trainer whose datasets hold `judged_columns`; the rarer verdict weighs more."""
    pad_id = pad_id_of(policy.tokenizer)
    good = sum(train["label"])
    bad = len(train) - good

    def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
        rows = [TokenRow(each["input_ids"], each["labels"]) for each in examples]
        mismatched = pad_rows(_mismatched(rows), pad_id)
        return {
            **pad_rows(rows, pad_id),
            **{f"KL_{name}": tensor for name, tensor in mismatched.items()},
            **_references(examples, JudgedKtoTrainer.references),
            "label": torch.tensor([each["label"] for each in examples]),
        }

    trainer = JudgedKtoTrainer(
        model=policy.model,
        args=KTOConfig(
            **arguments,
            beta=beta,
            desirable_weight=max(1.0, bad / max(1, good)),  # eq. 8 of the paper asks for balance
            undesirable_weight=max(1.0, good / max(1, bad)),
            precompute_ref_log_probs=True,
            remove_unused_columns=False,
        ),
        data_collator=collate,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=policy.tokenizer,
    )
    _drop_reference(policy)
    return trainer


def _mismatched(rows: Sequence[TokenRow]) -> list[TokenRow]:
    """Every prompt with the response of the row before it, for KTO's estimate of the KL."""
    cuts = [sum(1 for _ in takewhile(lambda label: label == IGNORE, row.labels)) for row in rows]
    made = []
    for place, row in enumerate(rows):
        other, cut = rows[place - 1], cuts[place - 1]
        ids = row.input_ids[: cuts[place]] + other.input_ids[cut:]
        made.append(TokenRow(ids, [IGNORE] * cuts[place] + other.labels[cut:]))
    return made


def pad_id_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that padding gets; masked wherever it stands."""
    found = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    assert isinstance(found, int), "a chat tokenizer has an end-of-sequence token"
    return found


def _drop_reference(policy: Policy) -> None:
    """Its values are in the datasets; a second adapter would be all that a resume loads
    (transformers takes the adapters of subdirectories for the whole checkpoint).
    """
    if REFERENCE in policy.model.peft_config:
        policy.model.delete_adapter(REFERENCE)
