"""Learner and sampler disagree: weights that correct for it, and figures that show it.

The sampler's numbers differ from the learner's because of other kernels, other precision, or an
older policy. Owns how importance weights are bounded (`objective.correction`) and the figures of
log pi_learner - log pi_sampler: size, quantiles, histogram.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tooldojo.configs.schema import ObjectiveSection

SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)
EDGES = (0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0)  # of the histogram of ratios


def bounded(ratio_N: Tensor, section: ObjectiveSection) -> Tensor:
    """min(rho, C), or rho inside [1/C, C] and 0 outside.

    Truncated: https://fengyao.notion.site/off-policy-rl; masked: IcePop,
    https://arxiv.org/abs/2510.18855.
    """
    most = section.correction_max
    if section.correction.endswith("truncate"):
        return ratio_N.clamp(max=most)
    inside = (ratio_N >= 1 / most) & (ratio_N <= most)
    return torch.where(inside, ratio_N, 0.0)


def mismatch_figures(log_N: Tensor) -> dict[str, float]:
    """Figures of log pi_learner - log pi_sampler over tokens: size, spread of the ratio, and what
    it costs.

    mismatch_chi2: E[rho^2] - 1. mismatch_ess: effective share of the tokens,
    (sum rho)^2 / (n sum rho^2). mismatch_below_X: share of ratios at most X, a histogram.
    """
    ratio_N = log_N.double().exp()
    figures = {
        "mismatch_mean": float(log_N.abs().mean()),
        "mismatch_max": float(log_N.abs().max()),
        "mismatch_chi2": float((ratio_N**2).mean() - 1),
        "mismatch_ess": float(ratio_N.sum() ** 2 / (len(ratio_N) * (ratio_N**2).sum())),
    }
    for share in SHARES:
        figures[f"mismatch_p{round(100 * share):02}"] = quantile(ratio_N, share)
    for edge in EDGES:
        figures[f"mismatch_below_{edge}"] = float((ratio_N <= edge).double().mean())
    return figures


def correction_figures(importance_N: Tensor, correction_N: Tensor) -> dict[str, float]:
    """What a correction did: its mean weight, and the shares of tokens that it bounded and that it
    masked."""
    return {
        "correction_mean": float(correction_N.mean()),
        "correction_bounded": float((correction_N != importance_N).float().mean()),
        "correction_masked": float((correction_N == 0).float().mean()),
    }


def quantile(values_N: Tensor, share: float) -> float:
    """The value below which `share` of the values lie (nearest rank; `torch.quantile` refuses large
    tensors)."""
    rank = min(len(values_N), max(1, round(share * len(values_N))))
    return float(values_N.kthvalue(rank).values)
