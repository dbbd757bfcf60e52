"""What a learner needs to go on, as plain named tensors: `LearnerState`, and AdamW's part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of one parameter


@dataclass(frozen=True, slots=True, eq=False)
class LearnerState:
    """Everything a learner needs to go on.

    tensors: `adapter/...`, `reference/...`, `optimiser/...`, `rng`, and `critic/...` and
    `critic_optimiser/...` where there is a critic. probes: logprobs on the probe of the last
    published versions.
    """

    tensors: dict[str, Tensor]
    step: int
    probes: dict[int, tuple[float, ...]]


def moments(
    prefix: str, parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Copies on the CPU, named `prefix/parameter/moment`; none before the first step."""
    return {
        f"{prefix}/{name}/{moment}": value.detach().cpu().clone()
        for name, parameter in parameters.items()
        for moment, value in optimiser.state[parameter].items()
    }


def load_moments(
    prefix: str,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
) -> None:
    """Go on from `moments`. Copies, not views of a file: kernels may choose their way by how memory
    is aligned."""
    for name, parameter in parameters.items():
        stored = {m: tensors.get(f"{prefix}/{name}/{m}") for m in MOMENTS}
        optimiser.state[parameter] = {
            m: t.clone() if m == "step" else t.to(parameter.device, copy=True)
            for m, t in stored.items()
            if t is not None
        }
