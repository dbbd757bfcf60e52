"""Packed attention: the fused forward pass, which devices other than CPUs take, against the plain
products of both passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tooldojo.training.learning.packed_attention import (
    Block,
    Layout,
    fused_attention,
    packed_attention,
)

HEADS, SIZE = 3, 8
LAYOUTS = {
    "alone": Layout((Block(0, (7,)),)),
    "a group": Layout((Block(9, (5, 7, 1)),)),
    "groups and others": Layout((Block(0, (4,)), Block(6, (3, 8)), Block(1, (2,)))),
    "empty pieces": Layout((Block(5, ()), Block(0, (0, 3)), Block(4, (0, 6)))),
}


def leaves(layout: Layout) -> list[Tensor]:
    """Queries, keys and values [heads, T, d], and the gradient of what comes out."""
    generator = torch.Generator().manual_seed(5)
    shape = (HEADS, layout.tokens, SIZE)
    return [torch.randn(shape, generator=generator).requires_grad_() for _ in range(4)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_fused_pass_equals_plain_products(layout: Layout) -> None:
    q, k, v, grad = leaves(layout)
    fused = fused_attention(q, k, v, layout)
    seen, _ = packed_attention(
        nn.Module(), q[None], k[None], v[None], None, scaling=1.0, packing=layout
    )
    plain = seen[0].transpose(0, 1)
    assert torch.allclose(fused, plain, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(each, (q, k, v), grad) for each in (fused, plain))
    for of_fused, of_plain in zip(*gradients, strict=True):
        assert of_plain.norm() > 0
        assert torch.allclose(of_fused, of_plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_sequence_sees_what_it_would_alone(layout: Layout) -> None:
    q, k, v, _ = leaves(layout)
    fused, at = fused_attention(q, k, v, layout), 0
    for block in layout.blocks:
        shared = range(at, at + block.prompt)
        for i, length in enumerate(block.lengths):
            own = range(at, at + length)
            alone = [*own] if i == 0 else [*shared, *own]
            expected = F.scaled_dot_product_attention(
                q[:, alone], k[:, alone], v[:, alone], is_causal=True, scale=1.0
            )
            assert torch.allclose(fused[:, own], expected[:, len(alone) - length :], atol=1e-5)
            at += length
