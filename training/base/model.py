"""The Qwen3 forward pass written for fast training on CPU cores with bf16 matrix units.

Owns: the parameters (fused where Qwen3 keeps separate matrices), the forward pass, the loss at
chosen positions and
the translation into the tensor names of `transformers.Qwen3ForCausalLM`.
Refuses: generation, key-value caches and attention across documents (a row is one document,
padded on the right).
The norms before matrices have no weights of their own (the matrices absorb them); they are
exported as ones.
Invariant: `to_transformers` gives the same function as `forward`, up to rounding.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """Size of the network; the names follow Qwen3's configuration."""

    vocab: int = 5632
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    head_dim: int = 64
    ffn: int = 768
    rope_theta: float = 1_000_000.0
    max_position: int = 4096

    def transformers_config(self) -> dict[str, Any]:
        """Keyword arguments for `transformers.Qwen3Config`."""
        return {
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.max_position,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": True,
            "attention_bias": False,
        }


class Layer(nn.Module):
    """One transformer block: grouped-query attention with normed queries and keys, then SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, h = shape.hidden, shape.head_dim
        self.shape = shape
        self.qkv = nn.Parameter(torch.empty((shape.heads + 2 * shape.kv_heads) * h, d))
        self.out = nn.Parameter(torch.empty(d, shape.heads * h))
        self.gate_up = nn.Parameter(torch.empty(2 * shape.ffn, d))
        self.down = nn.Parameter(torch.empty(d, shape.ffn))
        self.norm_q = nn.Parameter(torch.ones(h))
        self.norm_k = nn.Parameter(torch.ones(h))
        deep = (2 * shape.layers) ** -0.5
        for weight, gain in (
            (self.qkv, 1.0),
            (self.gate_up, 1.0),
            (self.out, deep),
            (self.down, deep),
        ):
            nn.init.normal_(weight, std=gain * weight.shape[1] ** -0.5)

    def forward(
        self, x_BTD: Tensor, cos_T1D: Tensor, sin_T1D: Tensor, only_N: Tensor | None = None
    ) -> Tensor:
        """States after the block, [B, T, hidden], or [N, hidden] at the flat positions `only_N`."""
        s, (b, t, _), dtype = self.shape, x_BTD.shape, x_BTD.dtype
        qkv = F.linear(unit_norm(x_BTD), self.qkv.to(dtype)).view(b, t, -1, s.head_dim)
        q, k, v = qkv.split([s.heads, s.kv_heads, s.kv_heads], dim=2)
        q = rotate(unit_norm(q) * self.norm_q.to(dtype), cos_T1D, sin_T1D).transpose(1, 2)
        k = rotate(unit_norm(k) * self.norm_k.to(dtype), cos_T1D, sin_T1D).transpose(1, 2)
        v = v.transpose(1, 2)
        if s.kv_heads < s.heads:
            k, v = (x.repeat_interleave(s.heads // s.kv_heads, dim=1) for x in (k, v))
        x = x_BTD
        mixed = attend(q, k, v).transpose(1, 2).reshape(b, t, s.heads * s.head_dim)
        if only_N is not None:
            x, mixed = x.flatten(0, 1)[only_N], mixed.flatten(0, 1)[only_N]
        x = x + F.linear(mixed, self.out.to(dtype))
        gate, up = F.linear(unit_norm(x), self.gate_up.to(dtype)).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down.to(dtype))


def unit_norm(x: Tensor, eps: float = 1e-6) -> Tensor:
    """`x` scaled to root mean square 1 over the last axis; statistics in fp32."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def rotate(x_BTHD: Tensor, cos_T1D: Tensor, sin_T1D: Tensor) -> Tensor:
    """Rotary position embedding, half-split layout; the tables have half the head width."""
    left, right = x_BTHD.chunk(2, -1)
    return torch.cat([left * cos_T1D - right * sin_T1D, right * cos_T1D + left * sin_T1D], -1)


QUERY_BLOCKS = 4


def attend(q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor) -> Tensor:
    """Causal attention by plain products: on CPU the flash kernel's backward is 2-5 times slower
    on short rows.

    Blocks of queries leave the keys behind them out, which saves three eighths of the work.
    """
    t, d = q_BHTD.shape[-2:]
    if t % QUERY_BLOCKS:
        return _attend_from(q_BHTD, k_BHTD, v_BHTD, 0, d**-0.5)
    size = t // QUERY_BLOCKS
    parts = [
        _attend_from(
            q_BHTD[:, :, at : at + size],
            k_BHTD[:, :, : at + size],
            v_BHTD[:, :, : at + size],
            at,
            d**-0.5,
        )
        for at in (block * size for block in range(QUERY_BLOCKS))
    ]
    return torch.cat(parts, dim=2)


def _attend_from(
    q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, first: int, scale: float
) -> Tensor:
    """Attention of the queries at positions `first`, `first` + 1, ... to keys from position 0."""
    at = torch.arange(q_BHTD.shape[-2]) + first
    seen = torch.where(at[:, None] >= torch.arange(k_BHTD.shape[-2])[None], 0.0, float("-inf"))
    scores = torch.matmul(q_BHTD, k_BHTD.transpose(-1, -2)).float() * scale + seen
    return torch.matmul(scores.softmax(-1).to(v_BHTD.dtype), v_BHTD)


class Network(nn.Module):
    """Decoder with tied embeddings; parameters in fp32, arithmetic in `dtype`."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.shape, self.dtype, self.head = shape, dtype, head_loss
        self.embed = nn.Parameter(torch.empty(shape.vocab, shape.hidden).normal_(std=0.06))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.full((shape.hidden,), 1.5))
        angle = torch.arange(shape.max_position)[:, None] * (
            shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)
        )
        self.register_buffer("cos", angle.cos()[:, None], persistent=False)
        self.register_buffer("sin", angle.sin()[:, None], persistent=False)

    @property
    def blocks(self) -> list[Layer]:
        """The layers in order."""
        return [cast(Layer, layer) for layer in self.layers]

    def before(self, ids_BT: Tensor, where_N: Tensor) -> Tensor:
        """Final normed states from which the tokens at the flat positions `where_N` of [B, T] are
        predicted, [N, hidden]; the last layer computes no others.
        """
        t = ids_BT.shape[1]
        cos, sin = self.cos[:t].to(self.dtype), self.sin[:t].to(self.dtype)
        x = F.embedding(ids_BT, self.embed).to(self.dtype)
        *lower, last = self.blocks
        for layer in lower:
            x = layer(x, cos, sin)
        return unit_norm(last(x, cos, sin, where_N - 1)) * self.norm.to(self.dtype)

    def forward(self, ids_BT: Tensor, where_N: Tensor) -> Tensor:
        """Logits that predict the tokens at the flat positions `where_N` of [B, T], [N, vocab]."""
        return F.linear(self.before(ids_BT, where_N), self.embed.to(self.dtype))

    def loss(self, ids_BT: Tensor, where_N: Tensor) -> Tensor:
        """Mean cross-entropy at `where_N`."""
        return self.head(self.before(ids_BT, where_N), self.embed, ids_BT.flatten()[where_N])

    def compile(self) -> None:
        """Fuse element-wise work; all layers share one compiled function. Needs a C++ compiler."""
        # rows of one, gradients on and off, last layer or not: each is a variant of its own, and
        # beyond the default limit of 8 torch runs uncompiled
        torch._dynamo.config.recompile_limit = 64
        for layer in self.blocks:
            layer.forward = torch.compile(layer.forward, dynamic=True)
        self.head = torch.compile(self.head, dynamic=True)


def has_compiler() -> bool:
    """Whether torch can compile for this CPU; without it training is about a third slower."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def head_loss(states_ND: Tensor, embed_VD: Tensor, target_N: Tensor) -> Tensor:
    """Cross-entropy under the tied output matrix."""
    return F.cross_entropy(F.linear(states_ND, embed_VD.to(states_ND.dtype)).float(), target_N)


def to_transformers(network: Network) -> dict[str, Tensor]:
    """Tensors under the names of `Qwen3ForCausalLM`, in fp32, without the tied output matrix."""
    s, ones = network.shape, torch.ones(network.shape.hidden)
    named = {"model.embed_tokens.weight": network.embed, "model.norm.weight": network.norm}
    for i, layer in enumerate(network.blocks):
        at = f"model.layers.{i}."
        heads = [s.heads * s.head_dim, s.kv_heads * s.head_dim, s.kv_heads * s.head_dim]
        q, k, v = layer.qkv.split(heads)
        gate, up = layer.gate_up.chunk(2)
        named |= {
            at + "self_attn.q_proj.weight": q,
            at + "self_attn.k_proj.weight": k,
            at + "self_attn.v_proj.weight": v,
            at + "self_attn.o_proj.weight": layer.out,
            at + "self_attn.q_norm.weight": layer.norm_q,
            at + "self_attn.k_norm.weight": layer.norm_k,
            at + "mlp.gate_proj.weight": gate,
            at + "mlp.up_proj.weight": up,
            at + "mlp.down_proj.weight": layer.down,
            at + "input_layernorm.weight": ones,
            at + "post_attention_layernorm.weight": ones,
        }
    return {name: tensor.detach().float().contiguous().clone() for name, tensor in named.items()}
