"""How far behind the learner its data is: `check_staleness` and its figures.

A token's staleness is the version of the policy that is updated on it, less the version that
sampled it. Invariant: no update sees a token beyond the recipe's bound, or of a later version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tooldojo.rollouts.records import Group


class StalenessError(RuntimeError):
    """A batch holds tokens that may not train at this version; that is a bug in the pipeline."""


def staleness_of(groups: Iterable[Group], version: int) -> np.ndarray:
    """int, one per sampled token of the scored trajectories."""
    sampled = [
        version - segment.versions_T[segment.sampled_T]
        for group in groups
        for trajectory in group.scored
        for segment in trajectory.segments
    ]
    return np.concatenate([np.empty(0, np.int32), *sampled])


def check_staleness(groups: Sequence[Group], version: int, eta: int) -> None:
    """Raises:
    StalenessError: naming the first group with a token more than `eta` versions behind
        `version`, or ahead of it.
    """
    for group in groups:
        found_N = staleness_of([group], version)
        wrong_N = found_N[(found_N < 0) | (found_N > eta)]
        if wrong_N.size:
            raise StalenessError(
                f"group {group.ordinal} holds {wrong_N.size} tokens that were sampled by version "
                f"{version - int(wrong_N[0])}, but version {version} may only be updated on "
                f"versions {max(0, version - eta)} to {version} (rollout.eta={eta})"
            )


def staleness_figures(groups: Sequence[Group], version: int) -> dict[str, float]:
    """Mean and largest staleness of the tokens of these groups, in versions."""
    found_N = staleness_of(groups, version)
    if not found_N.size:
        return {"staleness/mean": 0.0, "staleness/max": 0.0}
    return {"staleness/mean": float(found_N.mean()), "staleness/max": float(found_N.max())}
