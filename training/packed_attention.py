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
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from transformers import AttentionInterface

NAME = "tooldojo_packed"
SLAB = 1 << 22  # attention weights at hand at a time in the backward pass


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
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    repeats = query.shape[1] // key.shape[1]
    q = query[0].to(dtype).contiguous()
    k, v = (x[0].to(dtype).repeat_interleave(repeats, dim=0) for x in (key, value))
    scale = scaling or query.shape[-1] ** -0.5
    mixed = _Attend.apply(q, k, v, packing, scale)
    return mixed.transpose(0, 1)[None], None


class _Attend(torch.autograd.Function):
    """[heads, T, d] each, keys and values already repeated for grouped queries.

    Forward is torch's fused attention, piece by piece. Backward recomputes the softmax a slab of queries at a time
    with plain matrix products: on CPU cores several times faster than the fused backward pass, and as exact.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, packing: Layout, scale: float) -> Tensor:
        ctx.packing, ctx.scale = packing, scale
        ctx.save_for_backward(q, k, v)
        out = torch.empty_like(q)
        for piece in _pieces(packing, q):
            keys, values = piece.seen_by(k), piece.seen_by(v)
            part = F.scaled_dot_product_attention(
                q[None, :, piece.at : piece.end], keys[None], values[None], piece.mask, scale=scale
            )
            out[:, piece.at : piece.end] = part[0]
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v = ctx.saved_tensors
        grad = grad.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for piece in _pieces(ctx.packing, q):
            keys, values = piece.seen_by(k), piece.seen_by(v)
            ours = slice(piece.at, piece.end)
            parts = _backward(q[:, ours], keys, values, grad[:, ours], piece.mask, ctx.scale)
            dq[:, ours] = parts[0]
            piece.add_seen(dk, parts[1])
            piece.add_seen(dv, parts[2])
        return dq, dk, dv, None, None


def _backward(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, mask: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of softmax(scale q k^T + mask) v, from first principles; [heads, tokens, d] each."""
    dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    rows = max(1, SLAB // (len(k) * k.shape[1]))
    for at in range(0, q.shape[1], rows):
        q_s, grad_s = q[:, at : at + rows], grad[:, at : at + rows]
        bias = mask[at : at + rows].expand(len(q), -1, -1)
        p = torch.baddbmm(bias, q_s, k.transpose(1, 2), alpha=scale).softmax(-1)
        ds = torch._softmax_backward_data(torch.bmm(grad_s, v.transpose(1, 2)), p, -1, p.dtype)
        dq[:, at : at + rows] = torch.bmm(ds, k).mul_(scale)
        dk += torch.bmm(ds.transpose(1, 2), q_s).mul_(scale)
        dv += torch.bmm(p.transpose(1, 2), grad_s)
    return dq, dk, dv


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Queries [at, end) of the row, which see the shared tokens [prompt, prompt + shared) and, causally, themselves."""

    at: int
    end: int
    prompt: int
    shared: int
    mask: Tensor  # [end - at, shared + end - at], 0 or -inf

    def seen_by(self, x: Tensor) -> Tensor:
        """The part of [heads, T, d] that this piece's queries see."""
        own = x[:, self.at : self.end]
        return torch.cat([x[:, self.prompt : self.prompt + self.shared], own], 1) if self.shared else own

    def add_seen(self, total: Tensor, part: Tensor) -> None:
        """The inverse: add gradients of what was seen to the row's."""
        if self.shared:
            total[:, self.prompt : self.prompt + self.shared] += part[:, : self.shared]
        total[:, self.at : self.end] += part[:, self.shared :]


def _pieces(packing: Layout, like: Tensor) -> Iterator[_Piece]:
    """Prompts and continuations in order; empty ones are left out."""
    longest = max((n for block in packing.blocks for n in block.lengths), default=0)
    own = torch.full((longest, longest), float("-inf"), dtype=like.dtype, device=like.device).triu(1)
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
