"""Log-probabilities and entropies of chosen tokens without ever keeping the logits.

For logits z = W h and p = softmax(z): d log p_y / dh = W_y - sum_v p_v W_v. That direction is
computed while the logits of a chunk are at hand, so the backward pass is one multiplication per
token and nothing is recomputed. Refuses gradients to W (the output matrix is frozen) and through
the entropy (it is reported, not optimised).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK_NUMBERS = 1 << 22  # logits at hand at a time


@dataclass(frozen=True, slots=True)
class TokenScores:
    """logprob_N carries gradients to the states; entropy_N does not. Both fp32, natural log."""

    logprob_N: Tensor
    entropy_N: Tensor


def score_tokens(
    states_NH: Tensor,
    weight_VH: Tensor,
    target_N: Tensor,
    temperature: float = 1.0,
    compute: torch.dtype | None = None,
) -> TokenScores:
    """Score `target_N` under softmax(W h / temperature). compute: dtype of the matrix products, the
    states' if None."""
    dtype = compute or states_NH.dtype
    weight = weight_VH.detach().to(dtype)
    logprob, entropy = _Score.apply(states_NH, weight, target_N, temperature)
    return TokenScores(logprob, entropy)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, target: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        wanted = ctx.needs_input_grad[0]
        logprob = torch.empty(len(states), dtype=torch.float32, device=states.device)
        entropy = torch.empty_like(logprob)
        direction = torch.empty(
            states.shape if wanted else (0,), dtype=states.dtype, device=states.device
        )
        rows = max(1, CHUNK_NUMBERS // weight.shape[0])
        with torch.autocast(states.device.type, enabled=False):
            for at in range(0, len(states), rows):
                part = slice(at, at + rows)
                z = (states[part].to(weight.dtype) @ weight.T).float().div_(temperature)
                z -= z.amax(-1, keepdim=True)
                chosen = z.gather(1, target[part, None])[:, 0]
                p = z.exp()
                total = p.sum(-1)
                logprob[part] = chosen - total.log()
                p /= total[:, None]
                entropy[part] = total.log() - torch.linalg.vecdot(p, z)
                if wanted:
                    mean = p.to(weight.dtype) @ weight
                    direction[part] = (
                        (weight[target[part]].float() - mean.float())
                        .div_(temperature)
                        .to(states.dtype)
                    )
        ctx.save_for_backward(direction)
        ctx.mark_non_differentiable(entropy)
        return logprob, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (direction,) = ctx.saved_tensors
        return (grads[0][:, None] * direction).to(direction.dtype), None, None, None
