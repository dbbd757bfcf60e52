"""Exact causal attention over packed rows in which a group's prompt stands once and its members
follow it.

Owns the layout of a packed row and the attention function that transformers models call for it.
Refuses sliding windows, attention dropout and padding. Invariant: every token sees exactly the
tokens that it would see if its sequence stood alone; no n x n mask of the row is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from tooldojo.training.learning.norms import fused_norms

NAME = "tooldojo_packed"
SLAB = 1 << 22  # attention weights at hand at a time
CPU_SLAB = 1 << 19  # the same, few enough for a core's cache
KEPT = 1 << 24  # attention weights that a layer keeps for the backward pass at most


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive tokens of a row: `prompt` shared tokens, then one continuation of each length in
    `members`.

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

    query: [1, heads, T, head_dim]; key, value: [1, kv_heads, T, head_dim]. Returns [1, T, heads,
    head_dim].
    """
    if packing is None or packing.tokens != query.shape[2] or query.shape[0] != 1:
        raise ValueError(
            "packed attention needs one row and the layout that covers it; pass packing=Layout(...)"
        )
    if sliding_window is not None or dropout:
        raise ValueError(
            "packed attention has neither sliding windows nor dropout; switch them off in the model"
        )
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    repeats = query.shape[1] // key.shape[1]
    q = (query[0] * (scaling or query.shape[-1] ** -0.5)).to(dtype).contiguous()
    k, v = (x[0].to(dtype).repeat_interleave(repeats, dim=0) for x in (key, value))
    mixed = _Attend.apply(q, k, v, packing)
    return mixed.transpose(0, 1)[None], None


class _Attend(torch.autograd.Function):
    """[heads, T, d] each: queries already scaled, keys and values already repeated for grouped
    queries.

    On CPU cores plain matrix products, a slab of queries at a time, are faster than torch's fused
    attention, several times so in the backward pass, and as exact; elsewhere the forward pass is
    the fused one. Attention weights of a small row are kept for the backward pass, others computed
    again.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, packing: Layout) -> Tensor:
        if q.device.type == "cpu":
            out, kept = _plain_attention(q, k, v, packing)
        else:
            out, kept = fused_attention(q, k, v, packing), []
        ctx.packing = packing
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors
        grad = grads[0].contiguous()
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        weights = iter(kept)
        for piece in _pieces(ctx.packing, q):
            keys, values = piece.seen(k), piece.seen(v)
            dkeys, dvalues = torch.zeros_like(keys), torch.zeros_like(values)
            for slab in piece.slabs(len(q)):
                seen = slice(piece.sees(slab))
                p = next(weights) if kept else piece.weights(q, keys, slab)
                dp = torch.bmm(grad[:, slab], values[:, seen].transpose(1, 2))
                ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype)
                torch.bmm(ds, keys[:, seen], out=dq[:, slab])
                dkeys[:, seen].baddbmm_(ds.transpose(1, 2), q[:, slab])
                dvalues[:, seen].baddbmm_(p.transpose(1, 2), grad[:, slab])
            piece.add(dk, dkeys)
            piece.add(dv, dvalues)
        return dq, dk, dv, None


def fused_attention(q: Tensor, k: Tensor, v: Tensor, packing: Layout) -> Tensor:
    """The forward pass by torch's fused attention: [heads, T, d] each, queries already scaled."""
    out = torch.empty_like(q)
    for piece in _pieces(packing, q):
        ours = (piece.own(q)[None], piece.seen(k)[None], piece.seen(v)[None])
        fused = F.scaled_dot_product_attention(*ours, piece.mask, scale=1.0)
        piece.own(out).copy_(fused[0])
    return out


def _plain_attention(
    q: Tensor, k: Tensor, v: Tensor, packing: Layout
) -> tuple[Tensor, list[Tensor]]:
    """The same by matrix products, and the attention weights, if small, for the backward pass."""
    out, kept, pieces = torch.empty_like(q), list[Tensor](), list(_pieces(packing, q))
    keep = sum(piece.weight_count(len(q)) for piece in pieces) <= KEPT
    for piece in pieces:
        keys, values = piece.seen(k), piece.seen(v)
        for slab in piece.slabs(len(q)):
            p = piece.weights(q, keys, slab)
            torch.bmm(p, values[:, : piece.sees(slab)], out=out[:, slab])
            kept += [p] * keep
    return out, kept


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Queries [at, end) of the row, which see the shared tokens [prompt, prompt + shared) and,
    causally, themselves."""

    at: int
    end: int
    prompt: int
    shared: int
    mask: Tensor  # [end - at, shared + end - at], 0 or -inf

    def own(self, x: Tensor) -> Tensor:
        """A view of the piece's part of [heads, T, d]."""
        return x[:, self.at : self.end]

    def seen(self, x: Tensor) -> Tensor:
        """The part of [heads, T, d] that its queries see."""
        shared = x[:, self.prompt : self.prompt + self.shared]
        return torch.cat([shared, self.own(x)], 1) if self.shared else self.own(x)

    def slabs(self, heads: int) -> Iterator[slice]:
        """Its queries, so many at a time that their weights fit a slab; at least one."""
        limit = CPU_SLAB if self.mask.device.type == "cpu" else SLAB
        rows = max(1, limit // (heads * self.mask.shape[1]))
        for at in range(self.at, self.end, rows):
            yield slice(at, min(at + rows, self.end))

    def sees(self, slab: slice) -> int:
        """How many of the keys the last query of a slab sees; no other sees more."""
        return self.shared + slab.stop - self.at

    def weight_count(self, heads: int) -> int:
        """Attention weights of all its slabs."""
        slabs = self.slabs(heads)
        return sum(heads * (slab.stop - slab.start) * self.sees(slab) for slab in slabs)

    def weights(self, q: Tensor, keys: Tensor, slab: slice) -> Tensor:
        """Attention weights [heads, queries of the slab, keys]."""
        seen = self.sees(slab)
        mask = self.mask[slab.start - self.at : slab.stop - self.at, :seen].expand(len(q), -1, -1)
        return torch.baddbmm(mask, q[:, slab], keys[:, :seen].transpose(1, 2)).softmax(-1)

    def add(self, total: Tensor, part: Tensor) -> None:
        """Add gradients of what was seen to the row's."""
        if self.shared:
            total[:, self.prompt : self.prompt + self.shared] += part[:, : self.shared]
        self.own(total).add_(part[:, self.shared :])


def _pieces(packing: Layout, like: Tensor) -> Iterator[_Piece]:
    """Prompts and continuations in order; empty ones are left out."""
    longest = max((n for block in packing.blocks for n in block.lengths), default=0)
    own = like.new_full((longest, longest), float("-inf")).triu(1)
    at = 0
    for block in packing.blocks:
        start = at
        seen = torch.cat([own.new_zeros(longest, block.prompt), own], 1)
        for i, length in enumerate(block.lengths):
            shared = block.prompt if i else 0
            skip = block.prompt - shared
            if length:
                mask = seen[:length, skip : skip + shared + length]
                yield _Piece(at, at + length, start, shared, mask)
            at += length


@contextmanager
def packing_enabled(network: PreTrainedModel) -> Iterator[None]:
    """Inside, the model attends through `packed_attention`; afterwards as before."""
    before = network.config._attn_implementation
    network.config._attn_implementation = NAME
    try:
        yield
    finally:
        network.config._attn_implementation = before


def packed_states(
    network: PreTrainedModel, ids_T: Tensor, positions_T: Tensor, packing: Layout
) -> Tensor:
    """Final hidden states [T, hidden] of one packed row, before the output matrix."""
    with packing_enabled(network), fused_norms(network):
        out = network.get_decoder()(
            input_ids=ids_T[None], position_ids=positions_T[None], use_cache=False, packing=packing
        )
    return out.last_hidden_state[0]


AttentionInterface.register(NAME, packed_attention)
