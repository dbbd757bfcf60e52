"""Log-probabilities and entropies of chosen tokens without ever keeping the logits.

For logits z = W h and p = softmax(z): d log p_y / dh = W_y - sum_v p_v W_v. That direction is
computed while the logits of a chunk are at hand, so the backward pass is one multiplication per
token and nothing is recomputed. Where the entropy is optimised too, its direction dH / dh = -sum_v
p_v (log p_v + H) W_v is kept likewise. Refuses gradients to W (the output matrix is frozen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK_NUMBERS = 1 << 22  # logits at hand at a time


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Of each target; fp32, natural log. logprob_N carries gradients to the states, entropy_N if
    asked to."""

    logprob_N: Tensor
    entropy_N: Tensor


def score_tokens(
    states_NH: Tensor,
    weight_VH: Tensor,
    target_N: Tensor,
    temperature: float = 1.0,
    compute: torch.dtype | None = None,
    through_entropy: bool = False,
) -> TokenScores:
    """Score `target_N` under softmax(W h / temperature). compute: dtype of the matrix products, the
    states' if None. through_entropy: whether the entropy carries gradients."""
    dtype = compute or states_NH.dtype
    weight = weight_VH.detach().to(dtype)
    logprob, entropy = _Score.apply(states_NH, weight, target_N, temperature, through_entropy)
    return TokenScores(logprob, entropy)


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        target: Tensor,
        temperature: float,
        through_entropy: bool,
    ) -> tuple[Tensor, Tensor]:
        wanted = ctx.needs_input_grad[0]
        both = wanted and through_entropy
        logprob = torch.empty(len(states), dtype=torch.float32, device=states.device)
        entropy = torch.empty_like(logprob)
        direction = torch.empty(
            states.shape if wanted else (0,), dtype=states.dtype, device=states.device
        )
        spread = torch.empty_like(direction if both else direction[:0])
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
                if both:
                    p *= (z - total.log()[:, None]).add_(entropy[part, None])
                    spread[part] = (p.to(weight.dtype) @ weight).div_(-temperature)
        ctx.save_for_backward(direction, spread)
        if not both:
            ctx.mark_non_differentiable(entropy)
        return logprob, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        direction, spread = ctx.saved_tensors
        found = grads[0][:, None] * direction
        if len(spread):
            found = found + grads[1][:, None] * spread
        return found.to(direction.dtype), None, None, None, None
