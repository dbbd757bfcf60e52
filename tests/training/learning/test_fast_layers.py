"""Decoder layers in few large steps compute what the modules compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tooldojo.training.learning.fast_layers import LAYERS
from tooldojo.training.learning.lora import effective_weights
from tooldojo.training.learning.packed_attention import Block, Layout, packed_states
from tooldojo.training.policy import Policy

MakePolicy = Callable[..., Policy]
ARCHITECTURES = ("qwen3", "qwen2", "llama")
LAYOUT = Layout((Block(9, (5, 7)), Block(0, (4,))))


def states(policy: Policy, fast: bool, mixed: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """Final states of a packed row, and the gradients of their weighted sum."""
    ids = torch.arange(3, 3 + LAYOUT.tokens)
    positions = torch.tensor([*range(9), *range(9, 14), *range(9, 16), *range(4)])
    for parameter in policy.parameters().values():
        parameter.grad = None
    network = policy.network if fast else None
    with effective_weights(policy.linears, network) as hand_over:
        replaced = [
            "forward" in vars(layer)
            for layer in policy.network.modules()
            if isinstance(layer, LAYERS)
        ]
        assert replaced == [fast] * 2
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            found = packed_states(policy.network, ids, positions, LAYOUT)
        (found.float() * torch.linspace(-1, 1, found.numel()).view_as(found)).sum().backward()
        hand_over()
    grads = {n: p.grad.clone() for n, p in policy.parameters().items() if p.grad is not None}
    return found.detach().float(), grads


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_equal_to_the_modules(kind: str, make_policy: MakePolicy) -> None:
    policy = make_policy(kind)
    plain, expected = states(policy, fast=False)
    fast, gradients = states(policy, fast=True)
    assert torch.allclose(fast, plain, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == expected.keys() and len(gradients) == 2 * len(policy.linears)
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).norm() <= 1e-5 * expected[name].norm(), name


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_no_further_off_than_the_modules_in_bfloat16(kind: str, make_policy: MakePolicy) -> None:
    policy = make_policy(kind)
    exact, _ = states(policy, fast=True)
    plain, _ = states(policy, fast=False, mixed=True)
    fast, _ = states(policy, fast=True, mixed=True)
    assert (fast - exact).norm() <= 1.5 * (plain - exact).norm()
    assert (fast - exact).norm() > 0


def test_layers_with_a_sliding_window_keep_their_modules(make_policy: MakePolicy) -> None:
    policy = make_policy("qwen3")
    layer = next(m for m in policy.network.modules() if isinstance(m, LAYERS))
    vars(layer.self_attn)["sliding_window"] = 4
    with effective_weights(policy.linears, policy.network):
        assert "forward" not in vars(layer)
