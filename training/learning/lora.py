"""The adapted linear layers of a policy, and a faster exact way through them.

LoRA computes y = W x + s B A x (Hu et al. 2021, https://arxiv.org/abs/2106.09685, eq. 3). Owns the
merge W + s B A in fp32 and `effective_weights`: forward with the merged matrix and give its
gradient G to the factors by the chain rule, dB = s G A^T and dA = s B^T G. Refuses dropout inside
that forward (the two are equal only without it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn
from torch.nn import functional as F

from tooldojo.training.learning.fast_layers import Merged, fast_layers
from tooldojo.training.learning.patching import forwards_replaced

ADAPTER = "default"  # PEFT's name of the adapter in training


@dataclass(frozen=True, slots=True, eq=False)
class LoraLinear:
    """One adapted linear layer.

    name: the weight's Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. a: [rank,
    in]; b: [out, rank].
    """

    name: str
    module: nn.Module
    base: nn.Module
    bias: Tensor | None
    a: Tensor
    b: Tensor
    scale: float

    @property
    def plain(self) -> bool:
        """Whether the frozen weight is an ordinary float matrix (not quantised)."""
        return isinstance(self.base, nn.Linear) and self.base.weight.dtype.is_floating_point

    def merged(self) -> Tensor:
        """W + s B A, [out, in], merged in fp32: a small update must not vanish in rounding."""
        with torch.no_grad():
            weight = dequantize_module_weight(self.base).float()
            return torch.addmm(weight, self.b.float(), self.a.float(), alpha=self.scale)


def lora_linears(model: PeftModel) -> tuple[LoraLinear, ...]:
    """The adapted layers in the model's order.

    Raises:
        ValueError: for adapter features that change more than W + s B A (DoRA, LoRA bias, other
        layer types).
    """
    found = []
    for path, module in model.get_base_model().named_modules():
        layer = module
        if not isinstance(layer, LoraLayer):
            continue
        plain = ADAPTER in layer.lora_A and not layer.use_dora.get(ADAPTER)
        if not plain or layer.lora_bias.get(ADAPTER):
            raise ValueError(f"{path}: only plain LoRA on linear layers can be trained, no DoRA")
        a, b = (cast(nn.Linear, x[ADAPTER]).weight for x in (layer.lora_A, layer.lora_B))
        base, scale = cast(nn.Linear, layer.get_base_layer()), layer.scaling[ADAPTER]
        found.append(LoraLinear(f"{path}.weight", module, base, base.bias, a, b, scale))
    return tuple(found)


def prefers_merged(linears: Sequence[LoraLinear]) -> bool:
    """Whether the merged forward is the faster one.

    Per token it costs in*out multiplications (the full weight gradient) where the factors cost 3 r
    (in + out), but in one large product instead of many thin ones, which on CPU cores is worth a
    factor of about four.
    """
    full = sum(x.a.shape[1] * x.b.shape[0] for x in linears)
    factored = sum(3 * x.a.shape[0] * (x.a.shape[1] + x.b.shape[0]) for x in linears)
    return all(x.plain for x in linears) and full <= 4 * factored


@contextmanager
def effective_weights(
    linears: Sequence[LoraLinear], network: nn.Module | None = None
) -> Iterator[Callable[[], None]]:
    """Inside, the layers compute with their merged matrices; the yielded function hands gradients
    to the factors.

    Call it once, after the last backward pass: it adds to `.grad` of A and B. Any number of forward
    and backward passes may come before; the factors must not change in between. network: if given,
    its decoder layers take packed rows only, and go the fast way where there is one.
    """
    leaves = [linear.merged().requires_grad_(torch.is_grad_enabled()) for linear in linears]

    def hand_over() -> None:
        for linear, leaf in zip(linears, leaves, strict=True):
            if leaf.grad is None:
                continue
            with torch.no_grad():
                _add_grad(linear.b, linear.scale * leaf.grad @ linear.a.T)
                _add_grad(linear.a, linear.scale * linear.b.T @ leaf.grad)
            leaf.grad = None

    forwards = [partial(_linear, leaf, x.bias) for x, leaf in zip(linears, leaves, strict=True)]
    merged = {x.module: Merged(leaf, x.bias) for x, leaf in zip(linears, leaves, strict=True)}
    fast = fast_layers(network, merged) if network is not None else nullcontext()
    with forwards_replaced(zip((x.module for x in linears), forwards, strict=True)), fast:
        yield hand_over


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return F.linear(x, weight.to(x.dtype), bias)


def _add_grad(parameter: Tensor, grad: Tensor) -> None:
    parameter.grad = grad if parameter.grad is None else parameter.grad + grad
