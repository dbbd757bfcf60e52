"""TRL's SFTTrainer with the learner's faster way through a LoRA model.

Refuses to change what TRL computes: losses, masks and schedule are its own. Invariant: gradients
are those of the factors, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from trl.trainer.sft_trainer import SFTTrainer

from tooldojo.training.lora import ADAPTER, effective_weights, prefers_merged
from tooldojo.training.norms import fused_norms
from tooldojo.training.policy import Policy


class MergedSftTrainer(SFTTrainer):
    """Computes every step with merged matrices; see `training.lora`."""

    policy: Policy  # set before training

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *rest: Any) -> Tensor:
        """Forward and backward; the factors hold the gradient afterwards."""
        with self._merged() as hand_over:
            loss = super().training_step(model, inputs, *rest)
            hand_over()
        return loss

    def prediction_step(self, *arguments: Any, **named: Any) -> Any:
        """Forward only."""
        with self._merged():
            return super().prediction_step(*arguments, **named)

    @contextmanager
    def _merged(self) -> Iterator[Callable[[], None]]:
        with effective_weights(self.policy.linears) as hand_over, fused_norms(self.policy.network):
            yield hand_over


def trainer_class(policy: Policy) -> type[SFTTrainer]:
    """The faster trainer where it is exact (no dropout) and pays; else TRL's own."""
    exact = not policy.model.peft_config[ADAPTER].lora_dropout  # type: ignore[union-attr]
    return MergedSftTrainer if exact and prefers_merged(policy.linears) else SFTTrainer
