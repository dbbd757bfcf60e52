"""AdamW's state as plain named tensors, so that it can lie beside an adapter in one file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of one parameter


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
