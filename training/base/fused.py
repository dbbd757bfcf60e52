"""Hand-written backward passes of the three element-wise parts of a transformer block.

Owns: root-mean-square norm, rotary embedding and SwiGLU as autograd functions that save little and make few passes.
Refuses: second derivatives.
Invariant: values and gradients equal those of the plain formulas, up to rounding of the working dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F


class _Norm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + eps) over the last axis; statistics in fp32."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, eps: float) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = (size.square_().div_(x.shape[-1]).add_(eps)).rsqrt_().to(x.dtype)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, dy: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        y, scale = ctx.saved_tensors  # type: ignore[attr-defined]
        along = (dy * y).mean(-1, keepdim=True)
        return torch.addcmul(dy, y, along, value=-1).mul_(scale), None


class _Rotate(torch.autograd.Function):
    """Rotary position embedding, half-split layout; the backward pass rotates the other way."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, sin)

    @staticmethod
    def backward(ctx: FunctionCtx, dy: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cos, sin = ctx.saved_tensors  # type: ignore[attr-defined]
        return _turn(dy, cos, -sin), None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`cos` and `sin` have half the width of `x`."""
    left, right = x.chunk(2, -1)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    first, second = out.chunk(2, -1)
    torch.mul(left, cos, out=first)
    first.addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=second)
    second.addcmul_(left, sin)
    return out


class _SwiGLU(torch.autograd.Function):
    """silu(gate) * up, where the input holds gate and up side by side."""

    @staticmethod
    def forward(ctx: FunctionCtx, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: FunctionCtx, dy: Tensor) -> Tensor:  # type: ignore[override]
        (both,) = ctx.saved_tensors  # type: ignore[attr-defined]
        gate, up = both.chunk(2, -1)
        out = torch.empty_like(both)
        d_gate, d_up = out.chunk(2, -1)
        torch.mul(dy, F.silu(gate), out=d_up)
        d_gate.copy_(torch.ops.aten.silu_backward(dy * up, gate))
        return out


def unit_norm(x: Tensor, eps: float = 1e-6) -> Tensor:
    """`x` scaled to root mean square 1 over the last axis."""
    out: Tensor = _Norm.apply(x, eps)  # type: ignore[no-untyped-call]
    return out


def rotate(x_BTHD: Tensor, cos_T1D: Tensor, sin_T1D: Tensor) -> Tensor:
    """Rotary embedding; the tables have half the head width."""
    out: Tensor = _Rotate.apply(x_BTHD, cos_T1D, sin_T1D)  # type: ignore[no-untyped-call]
    return out


def swiglu(both: Tensor) -> Tensor:
    """SwiGLU on gate and up side by side."""
    out: Tensor = _SwiGLU.apply(both)  # type: ignore[no-untyped-call]
    return out
