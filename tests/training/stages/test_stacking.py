"""Stacked adapters: the sum of products, exactly, as an ordinary adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tooldojo.configs.schema import PolicySection
from tooldojo.training.card import Conventions, PolicyError
from tooldojo.training.policy import Policy, load_policy
from tooldojo.training.stages.stacking import stack_adapters

CONVENTIONS = Conventions("template", ("system",), "hermes", (1,))


def two(make_policy: Callable[..., Policy], folder: Path) -> tuple[Policy, Policy]:
    """Adapters of other ranks, scales and weights on one base, saved as a and b."""
    a, b = make_policy(), make_policy(lora_rank=6, lora_alpha=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for linear in b.linears:
            linear.b.copy_(torch.randn(linear.b.shape, generator=generator))
    a.save_adapter(folder / "a")
    b.save_adapter(folder / "b")
    return a, b


def test_a_stack_is_the_sum_of_products(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    a, b = two(make_policy, tmp_path)
    assert stack_adapters([tmp_path / "a", tmp_path / "b"], tmp_path / "stack") == 10
    stack = load_policy(PolicySection(model=str(tmp_path / "stack")), CONVENTIONS)
    base = {x.name: x.base.weight.detach() for x in a.linears}  # type: ignore[union-attr]
    one, other, both = a.merged_tensors(), b.merged_tensors(), stack.merged_tensors()
    for name, weight in base.items():
        expected = one[name] + other[name] - weight
        assert torch.allclose(both[name], expected, atol=1e-5), name
        assert not torch.allclose(both[name], one[name], atol=1e-3)


def test_strangers_are_not_stacked(make_policy: Callable[..., Policy], tmp_path: Path) -> None:
    a, _ = two(make_policy, tmp_path)
    a.card = replace(a.card, conventions=replace(CONVENTIONS, call_format="llama3"))
    a.save_adapter(tmp_path / "c")
    with pytest.raises(PolicyError, match="call format"):
        stack_adapters([tmp_path / "b", tmp_path / "c"], tmp_path / "stack")
    a.card = replace(a.card, conventions=CONVENTIONS, role="reward")
    a.save_adapter(tmp_path / "d")
    with pytest.raises(PolicyError, match="is a policy model, and a reward is wanted"):
        stack_adapters([tmp_path / "b", tmp_path / "d"], tmp_path / "stack")
    with pytest.raises(PolicyError, match=r"no tooldojo.json"):
        stack_adapters([tmp_path / "b", tmp_path], tmp_path / "stack")
    assert not (tmp_path / "stack").exists()
