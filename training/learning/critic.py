"""The critic of PPO: a second set of adapter factors on the policy's base model, and a linear head.

Owns its factors, head and optimiser. Refuses nothing of its own. Invariants: the policy's factors
are as before when a call returns; the value of a token is that of the state before it; a new critic
says 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tooldojo.training.learning.moments import load_moments, moments
from tooldojo.training.policy import Policy

HEAD, BIAS = "head", "bias"


@dataclass(frozen=True, slots=True)
class CriticRecord:
    """One optimiser step of the critic. loss: its value loss; grad_norm: before clipping."""

    loss: float
    grad_norm: float


class Critic:
    """Values V(state) = w . h + b, h the last hidden state under the critic's own factors."""

    def __init__(self, policy: Policy, learning_rate: float) -> None:
        """The factors start as a copy of the policy's: what it has learnt about the task is a good
        start for judging it."""
        self._policy = policy
        hidden = policy.head_VH.shape[1]
        self.parameters = {
            name: nn.Parameter(p.detach().clone()) for name, p in policy.parameters().items()
        }
        self._factors = dict(self.parameters)
        for name, size in ((HEAD, hidden), (BIAS, 1)):
            self.parameters[name] = nn.Parameter(torch.zeros(size, device=policy.device))
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(), lr=learning_rate, weight_decay=0.0
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the policy's model computes with the critic's factors, and their gradients go to
        the critic."""
        lent = self._policy.parameters()
        own = {name: (p.data, p.grad) for name, p in lent.items()}
        try:
            for name, parameter in lent.items():
                parameter.data, parameter.grad = self._factors[name].data, self._factors[name].grad
            yield
        finally:
            for name, parameter in lent.items():
                self._factors[name].grad = parameter.grad
                parameter.data, parameter.grad = own[name]

    def values(self, states_NH: Tensor) -> Tensor:
        """[N], fp32."""
        return states_NH.float() @ self.parameters[HEAD] + self.parameters[BIAS]

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, named `critic/...`, on the CPU."""
        own = {f"critic/{n}": p.detach().cpu().clone() for n, p in self.parameters.items()}
        return own | moments("critic_optimiser", self.parameters, self.optimiser)

    @torch.no_grad()
    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a `state_dict`; other names are left alone."""
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[f"critic/{name}"])
        load_moments("critic_optimiser", self.parameters, self.optimiser, tensors)

    def step(self, loss: float, max_grad_norm: float) -> CriticRecord:
        """One optimiser step on the gradients collected so far.

        Raises:
            FloatingPointError: when they are not finite; nothing is updated.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), max_grad_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError("the critic's gradient is not finite; it was not updated")
        self.optimiser.step()
        self.optimiser.zero_grad()
        return CriticRecord(loss, float(norm))


def value_loss(value_N: Tensor, before_N: Tensor, return_N: Tensor, clip: float) -> Tensor:
    """0.5 max((V - Ret)^2, (clip(V, V_old - c, V_old + c) - Ret)^2) per token.

    The clipped value loss of PPO2, https://arxiv.org/abs/2005.12729, section 3.
    """
    near_N = before_N + (value_N - before_N).clamp(-clip, clip)
    return 0.5 * torch.maximum((value_N - return_N) ** 2, (near_N - return_N) ** 2)


def explained_variance(value_N: np.ndarray, return_N: np.ndarray) -> float:
    """1 - Var(Ret - V) / Var(Ret); NaN where all returns are equal."""
    spread = return_N.var()
    return float(1 - (return_N - value_N).var() / spread) if spread > 0 else float("nan")
