"""Exact causal attention over packed rows in which a group's prompt stands once and its members follow it.

Owns the layout of a packed row and the attention function that transformers models call for it. Refuses sliding
windows, attention dropout and padding. Invariant: every token sees exactly the tokens that it would see if its
sequence stood alone; no n x n mask of the row is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface

NAME = "tooldojo_packed"


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive tokens of a row: `prompt` shared tokens, then one continuation of each length in `members`.

    A sequence that shares nothing is a block with prompt 0 and one member.
    """

    prompt: int
    members: tuple[int, ...]

    @property
    def lengths(self) -> list[int]:
        """Lengths of the pieces, prompt first."""
        return [self.prompt, *self.members]


@dataclass(frozen=True, slots=True)
class Layout:
    """The blocks of one packed row, in order; together they cover it."""

    blocks: tuple[Block, ...]

    @property
    def tokens(self) -> int:
        """Length of the row."""
        return sum(sum(block.lengths) for block in self.blocks)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    packing: Layout | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention of one packed row, as transformers' `AttentionInterface` calls it.

    query: [1, heads, T, head_dim]; key, value: [1, kv_heads, T, head_dim]. Returns [1, T, heads, head_dim].
    """
    if packing is None or packing.tokens != query.shape[2] or query.shape[0] != 1:
        raise ValueError(
            "packed attention needs one row and the layout that covers it; pass packing=Layout(...)"
        )
    if sliding_window is not None or dropout:
        raise ValueError(
            "packed attention has neither sliding windows nor dropout; switch them off in the model"
        )
    scale = scaling or query.shape[-1] ** -0.5
    mixed = _attend(query[0], key[0], value[0], packing, scale)
    return mixed.transpose(0, 1)[None], None


def _attend(q: Tensor, k: Tensor, v: Tensor, packing: Layout, scale: float) -> Tensor:
    """[heads, T, d] each. Splitting and joining once per row keeps the backward pass free of row-sized zeros."""
    lengths = [n for block in packing.blocks for n in block.lengths]
    pieces = zip(*(x.split(lengths, dim=1) for x in (q, k, v)), strict=True)
    longest = max((max(b.members, default=0) for b in packing.blocks), default=0)
    own = torch.ones(longest, longest, dtype=torch.bool, device=q.device).tril()
    mixed = []
    for block in packing.blocks:
        prompt_q, prompt_k, prompt_v = next(pieces)
        seen = torch.cat([own.new_ones(longest, block.prompt), own], dim=1)
        mixed.append(_sdpa(prompt_q, prompt_k, prompt_v, None, scale))
        for length in block.members:
            q_i, k_i, v_i = next(pieces)
            keys, values = torch.cat([prompt_k, k_i], dim=1), torch.cat([prompt_v, v_i], dim=1)
            mask = seen[:length, : block.prompt + length] if block.prompt else None
            mixed.append(_sdpa(q_i, keys, values, mask, scale))
    return torch.cat(mixed, dim=1)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Attention of one piece; without a mask it is causal."""
    if not q.shape[1]:
        return q
    repeats = q.shape[0] != k.shape[0]
    out = F.scaled_dot_product_attention(
        q[None], k[None], v[None], mask, is_causal=mask is None, scale=scale, enable_gqa=repeats
    )
    return out[0]


@contextmanager
def packing_enabled(network: nn.Module) -> Iterator[None]:
    """Inside, the model attends through `packed_attention`; afterwards as before."""
    before = network.config._attn_implementation
    network.config._attn_implementation = NAME
    try:
        yield
    finally:
        network.config._attn_implementation = before


def packed_states(
    network: nn.Module, ids_T: Tensor, positions_T: Tensor, packing: Layout
) -> Tensor:
    """Final hidden states [T, hidden] of one packed row, before the output matrix."""
    with packing_enabled(network):
        out = network.get_decoder()(
            input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False, packing=packing
        )
    return out.last_hidden_state[0]


AttentionInterface.register(NAME, packed_attention)
