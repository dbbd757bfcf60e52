"""TRL's SFTTrainer on packed rows: a system prompt that several rows begin with is computed once.

Owns the collator and the learner's faster ways through attention, norms and LoRA. Refuses to
change what TRL computes: losses, masks and schedule are its own. Invariant: gradients are those of
the padded rows, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from trl.trainer.sft_trainer import SFTTrainer

from tooldojo.training.learning.lora import ADAPTER, effective_weights, prefers_merged
from tooldojo.training.learning.norms import fused_norms
from tooldojo.training.learning.packed_attention import Block, Layout, packing_enabled
from tooldojo.training.policy import Policy
from tooldojo.training.stages.demonstrations import IGNORE

Row = Mapping[str, list[int]]
SHARED = 32  # a shorter common beginning is not worth a block of its own


def pack(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows of `input_ids` and `labels` as one packed row: ids and positions [1, T], the layout, and
    the N labels with the places that predict them.

    The first token of a continuation stands behind another row's last, so it carries no label.
    `kept` [N + 1] are the places whose states TRL's output layer sees; as it compares each with the
    next one's label, `labels` [1, N + 1] begins with none, and the last place is there for the
    length.
    """
    ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    blocks = []
    for group in _alike(rows):
        prompt = _common(group)
        ids += group[0]["input_ids"][:prompt]
        labels += [IGNORE] * prompt
        positions += range(prompt)
        for row in group:
            ids += row["input_ids"][prompt:]
            labels += [IGNORE, *row["labels"][prompt + 1 :]]
            positions += range(prompt, len(row["input_ids"]))
        blocks.append(Block(prompt, tuple(len(row["input_ids"]) - prompt for row in group)))
    targets = [i for i, label in enumerate(labels) if label != IGNORE]
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([[IGNORE, *(labels[i] for i in targets)]]),
        "kept": torch.tensor([*(i - 1 for i in targets), len(ids) - 1]),
        "packing": Layout(tuple(blocks)),
    }


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows with the same beginning together; rows too short or labelled too early alone."""
    groups: dict[tuple[int, ...], list[Row]] = {}
    for i, row in enumerate(rows):
        shares = _unlabelled(row) > SHARED
        key = tuple(row["input_ids"][:SHARED]) if shares else (-1, i)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _unlabelled(row: Row) -> int:
    """Length of the beginning without labels."""
    return sum(1 for _ in takewhile(lambda label: label == IGNORE, row["labels"]))


def _common(rows: Sequence[Row]) -> int:
    """Length of what all rows begin with, short of the last token without label; 0 for one row."""
    if len(rows) == 1:
        return 0
    most = min(_unlabelled(row) for row in rows) - 1
    columns = zip(*(row["input_ids"][:most] for row in rows), strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _keep(
    decoder: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any
) -> Any:
    """States at the `kept` places only: on CPU cores TRL scores every state that it is given
    against the whole vocabulary, labelled or not.
    """
    output.last_hidden_state = output.last_hidden_state[:, named["kept"]]
    return output


class PackedSftTrainer(SFTTrainer):
    """Attends within packed rows, and computes with merged matrices where that pays."""

    policy: Policy  # set before training

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *rest: Any) -> Tensor:
        """Forward and backward; the factors hold the gradient afterwards."""
        with self._fast() as hand_over:
            loss = super().training_step(model, inputs, *rest)
            hand_over()
        return loss

    def prediction_step(self, *arguments: Any, **named: Any) -> Any:
        """Forward only."""
        with self._fast():
            return super().prediction_step(*arguments, **named)

    @contextmanager
    def _fast(self) -> Iterator[Callable[[], None]]:
        network, linears = self.policy.network, self.policy.linears
        merged = prefers_merged(linears)
        weights = effective_weights(linears, network) if merged else nullcontext(lambda: None)
        with (
            weights as hand_over,
            fused_norms(network),
            packing_enabled(network),
            network.get_decoder().register_forward_hook(_keep, with_kwargs=True),
        ):
            yield hand_over


def make_trainer(policy: Policy, **keys: Any) -> SFTTrainer:
    """A trainer for the policy: packed where that is exact (no dropout), else TRL's own."""
    if policy.model.peft_config[ADAPTER].lora_dropout:  # type: ignore[union-attr]
        return SFTTrainer(model=policy.model, processing_class=policy.tokenizer, **keys)
    trainer = PackedSftTrainer(
        model=policy.model, processing_class=policy.tokenizer, data_collator=pack, **keys
    )
    trainer.policy = policy
    return trainer
