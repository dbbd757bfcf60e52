"""Decoder layers of Llama, Qwen2 and Qwen3 in few large steps, for learners on CPU cores.

Their modules compute the same in many small steps: three products where one does, rotations and
norms in fp32 whatever the precision of the matrices. Owns the way through one layer, given its
merged matrices. Refuses other architectures, partly adapted layers and sliding windows: those keep
their modules. Invariant: equal to the modules' results, up to the rounding of the precision asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from tooldojo.training.base.model import rotate
from tooldojo.training.learning.norms import rms_norm
from tooldojo.training.learning.packed_attention import Layout, packed_attention
from tooldojo.training.learning.patching import forwards_replaced

LAYERS = (LlamaDecoderLayer, Qwen2DecoderLayer, Qwen3DecoderLayer)
INPUTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
GATES = ("mlp.gate_proj", "mlp.up_proj")
OTHERS = ("self_attn.o_proj", "mlp.down_proj")


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """A layer's matrix with its adapter merged in, which carries the gradient, and its bias."""

    weight: Tensor
    bias: Tensor | None


def fast_layers(
    network: nn.Module, merged: Mapping[nn.Module, Merged]
) -> AbstractContextManager[None]:
    """Inside, every layer that can computes with these matrices; merged: by adapted module."""
    return forwards_replaced(_replacements(network, merged))


def _replacements(
    network: nn.Module, merged: Mapping[nn.Module, Merged]
) -> Iterator[tuple[nn.Module, partial[Tensor]]]:
    for layer in network.modules():
        if not isinstance(layer, LAYERS) or getattr(layer.self_attn, "sliding_window", None):
            continue
        modules = {name: layer.get_submodule(name) for name in (*INPUTS, *GATES, *OTHERS)}
        if all(module in merged for module in modules.values()):
            yield layer, partial(_layer, layer, {n: merged[m] for n, m in modules.items()})


def _layer(
    layer: Any,
    matrices: Mapping[str, Merged],
    x: Tensor,
    *,
    position_embeddings: tuple[Tensor, Tensor],
    packing: Layout,
    **_: object,
) -> Tensor:
    """One layer on a packed row, [1, T, hidden] to [1, T, hidden]; the residual stream keeps its
    dtype.
    """
    device = x.device.type
    mixed = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if mixed else x.dtype
    with torch.autocast(device, enabled=False):
        attention = layer.self_attn
        y = _norm(layer.input_layernorm, x, dtype)
        qkv = _product(y, [matrices[name] for name in INPUTS], dtype)
        heads = qkv.view(*qkv.shape[:-1], -1, attention.head_dim)
        kv = matrices[INPUTS[1]].weight.shape[0] // attention.head_dim
        q, k, v = heads.split([heads.shape[-2] - 2 * kv, kv, kv], dim=-2)
        if hasattr(attention, "q_norm"):
            q, k = _norm(attention.q_norm, q, dtype), _norm(attention.k_norm, k, dtype)
        half = attention.head_dim // 2  # both halves of the tables agree
        cos, sin = (each.to(dtype)[:, :, None, :half] for each in position_embeddings)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        seen, _w = packed_attention(
            attention, q, k, v, None, scaling=attention.scaling, packing=packing
        )
        seen = seen.reshape(*x.shape[:-1], -1)
        x = x + _product(seen, [matrices[OTHERS[0]]], dtype)
        y = _norm(layer.post_attention_layernorm, x, dtype)
        gate, up = _product(y, [matrices[name] for name in GATES], dtype).chunk(2, -1)
        return x + _product(layer.mlp.act_fn(gate) * up, [matrices[OTHERS[1]]], dtype)


def _product(x: Tensor, matrices: list[Merged], dtype: torch.dtype) -> Tensor:
    """x times several matrices side by side, in one product."""
    weight = torch.cat([each.weight for each in matrices]) if matrices[1:] else matrices[0].weight
    biases = [each.bias for each in matrices if each.bias is not None]
    bias = torch.cat(biases).to(dtype) if biases else None
    return F.linear(x, weight.to(dtype), bias)


def _norm(module: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
    return rms_norm(module.weight, module.variance_epsilon, x, dtype)
