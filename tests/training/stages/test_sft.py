"""The warm start: packed rows make TRL's updates, and the loss is on labels only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from tooldojo.configs.schema import SftSection
from tooldojo.training.policy import Policy
from tooldojo.training.stages import sft_trainer
from tooldojo.training.stages.demonstrations import IGNORE, TokenRow, as_columns
from tooldojo.training.stages.sft import SftData, train_sft
from tooldojo.training.stages.sft_trainer import make_trainer, pack

SECTION = SftSection(epochs=1, batch_size=4, learning_rate=1e-3, eval_every=3, rehearsal=0)


def rows(count: int, change: Callable[[int], int] = lambda token: token) -> list[TokenRow]:
    """Random rows, two thirds of them behind one prompt; `change` alters the labels of every third
    token, the others carry none.
    """
    rng, made = np.random.default_rng(0), []
    prompt = rng.integers(3, 90, 50).tolist()
    for row in range(count):
        own = rng.integers(3, 90, int(rng.integers(12, 30))).tolist()
        ids = [*prompt, *own] if row % 3 else own
        labels = [change(t) if i % 3 == 1 else IGNORE for i, t in enumerate(own)]
        made.append(TokenRow(ids, [IGNORE] * (len(ids) - len(own)) + labels))
    return made


def update(policy: Policy, data: SftData, directory: Path) -> torch.Tensor:
    """How the factors changed, as one vector."""
    before = [p.detach().clone() for p in policy.parameters().values()]
    figures = train_sft(policy, data, SECTION, directory, seed=0)
    best = figures["best_val_loss"]
    assert figures["steps"] == 3 and isinstance(best, float) and np.isfinite(best)
    after = policy.parameters().values()
    return torch.cat([(a.detach() - b).flatten() for a, b in zip(after, before, strict=True)])


def test_packed_steps_are_trls_steps(
    make_policy: Callable[..., Policy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SftData(rows(12), rows(4))
    fast = update(make_policy(), data, tmp_path / "fast")
    monkeypatch.setattr(sft_trainer, "make_trainer", plain_trainer)
    slow = update(make_policy(), data, tmp_path / "slow")
    # Adam's first steps are signs, so the few gradients near zero may differ under bf16
    assert torch.nn.functional.cosine_similarity(fast, slow, dim=0) > 0.98


def plain_trainer(policy: Policy, **keys: Any) -> SFTTrainer:
    return SFTTrainer(model=policy.model, processing_class=policy.tokenizer, **keys)


def test_dropout_takes_trls_own_way(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    policy = make_policy(lora_dropout=0.1)
    data = Dataset.from_dict(as_columns(rows(2)))
    config = SFTConfig(str(tmp_path), report_to=[], bf16=False, use_cpu=True)
    assert type(make_trainer(policy, args=config, train_dataset=data)) is SFTTrainer


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


def test_a_common_beginning_stands_once() -> None:
    made = [{"input_ids": r.input_ids, "labels": r.labels} for r in rows(6)]
    packed = pack(made)
    layout = packed["packing"]
    assert sorted(block.prompt for block in layout.blocks) == [0, 0, 50]
    assert layout.tokens == sum(len(r["input_ids"]) for r in made) - 3 * 50
    assert packed["input_ids"].shape == (1, layout.tokens)
    wanted = sorted(t for r in made for t in r["labels"] if t != IGNORE)
    assert sorted(t for t in packed["labels"][0].tolist() if t != IGNORE) == wanted
    kept, labels = packed["kept"].tolist(), packed["labels"][0].tolist()
    after = packed["input_ids"][0, torch.tensor(kept[:-1]) + 1].tolist()
    assert len(kept) == len(labels) and after == labels[1:]
    for row in made:
        length = len(row["input_ids"])
        assert length - 1 in packed["position_ids"][0].tolist()
