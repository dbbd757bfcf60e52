"""The warm start goes on from any kill, wherever its directory lies, to the very same weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tooldojo.configs.schema import SftSection
from tooldojo.training.policy import Policy
from tooldojo.training.stages.demonstrations import TokenRow
from tooldojo.training.stages.sft import SftData, train_sft
from tooldojo.training.stages.trl_stage import resume_point, row_order

SECTION = SftSection(epochs=3, batch_size=4, eval_every=2, learning_rate=1e-2, autocast="off")


@pytest.fixture
def data() -> SftData:
    rng = np.random.default_rng(0)
    rows = [rng.integers(3, 97, int(rng.integers(8, 40))).tolist() for _ in range(14)]
    made = [TokenRow(row, [-100] * 4 + row[4:]) for row in rows]
    return SftData(made[:10], made[10:])


def interrupt_at(step: int) -> Callable[[int, int, dict[str, float]], None]:
    def progress(now: int, steps: int, figures: dict[str, float]) -> None:
        if now >= step:
            raise KeyboardInterrupt

    return progress


def weights(policy: Policy) -> dict[str, torch.Tensor]:
    return policy.adapter_tensors()


def test_a_resumed_training_ends_bit_for_bit_like_an_undisturbed_one(
    data: SftData, make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    straight = make_policy()
    figures = train_sft(straight, data, SECTION, tmp_path / "a", 3)
    assert figures["steps"] == 8
    with pytest.raises(KeyboardInterrupt):
        train_sft(make_policy(), data, SECTION, tmp_path / "b", 3, interrupt_at(5))
    assert {p.name for p in (tmp_path / "b").iterdir()} >= {"checkpoint-4"}
    half = tmp_path / "b" / "checkpoint-6"  # as a kill while it was being written leaves it
    shutil.copytree(tmp_path / "b" / "checkpoint-4", half)
    (half / "trainer_state.json").write_text('{"best_met')
    (tmp_path / "b").rename(tmp_path / "moved")
    again = make_policy()
    train_sft(again, data, SECTION, tmp_path / "moved", 3)
    assert not half.exists()
    a, b = weights(straight), weights(again)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    fresh = weights(make_policy())
    assert not all(torch.equal(a[name], fresh[name]) for name in a)


def test_nothing_whole_means_a_start_from_the_beginning(tmp_path: Path) -> None:
    assert resume_point(tmp_path / "missing") is None
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
    assert resume_point(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_order_covers_each_epoch_and_then_a_part() -> None:
    order = row_order(400, 2.5, 0)
    assert len(order) == 1000
    for epoch in (order[:400], order[400:800]):
        assert sorted(epoch) == list(range(400))
    assert order[:400] != order[400:800]
    assert len(set(order[800:])) == 200
    assert order != row_order(400, 2.5, 1)
