"""The warm start: the faster trainer makes TRL's updates, and the loss is on labels only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from trl.trainer.sft_trainer import SFTTrainer

from tooldojo.configs.schema import SftSection
from tooldojo.training import sft_trainer
from tooldojo.training.demonstrations import IGNORE, TokenRow
from tooldojo.training.policy import Policy
from tooldojo.training.sft import SftData, train_sft

SECTION = SftSection(epochs=1, batch_size=4, learning_rate=1e-3, eval_every=3, rehearsal=0)


def rows(count: int, change: Callable[[int], int] = lambda token: token) -> list[TokenRow]:
    """Random rows; `change` alters the labels of every third token, the others carry none."""
    rng, made = np.random.default_rng(0), []
    for _ in range(count):
        ids = rng.integers(3, 90, int(rng.integers(12, 30))).tolist()
        labels = [change(t) if i % 3 == 0 else IGNORE for i, t in enumerate(ids)]
        made.append(TokenRow(ids, labels))
    return made


def update(policy: Policy, data: SftData, directory: Path) -> torch.Tensor:
    """How the factors changed, as one vector."""
    before = [p.detach().clone() for p in policy.parameters().values()]
    figures = train_sft(policy, data, SECTION, directory, seed=0)
    assert figures["steps"] == 3 and np.isfinite(figures["best_val_loss"])
    after = policy.parameters().values()
    return torch.cat([(a.detach() - b).flatten() for a, b in zip(after, before, strict=True)])


def test_merged_steps_are_trls_steps(
    make_policy: Callable[..., Policy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SftData(rows(12), rows(4))
    policy = make_policy()
    assert sft_trainer.trainer_class(policy) is sft_trainer.MergedSftTrainer
    fast = update(policy, data, tmp_path / "fast")
    monkeypatch.setattr(sft_trainer, "trainer_class", lambda policy: SFTTrainer)
    slow = update(make_policy(), data, tmp_path / "slow")
    # Adam's first steps are signs, so the few gradients near zero may differ under bf16
    assert torch.nn.functional.cosine_similarity(fast, slow, dim=0) > 0.98


def test_dropout_takes_trls_own_way(make_policy: Callable[..., Policy]) -> None:
    assert sft_trainer.trainer_class(make_policy(lora_dropout=0.1)) is SFTTrainer


def test_tokens_without_label_do_not_train(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    plain = SftData(rows(12), rows(4))
    first = update(make_policy(), plain, tmp_path / "first")
    shifted = SftData(rows(12, lambda token: (token + 1) % 90), rows(4))
    second = update(make_policy(), shifted, tmp_path / "second")
    assert not torch.equal(first, second)
    silent = [TokenRow(r.input_ids, [IGNORE] * len(r.labels)) for r in plain.train]
    third = update(make_policy(), SftData(silent, plain.validation), tmp_path / "third")
    assert torch.count_nonzero(third) == 0
