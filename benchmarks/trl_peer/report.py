"""Figures of a comparison: pure functions on timelines and success curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trl_peer.timeline import SPAN, Mark, speed

NEAR = 0.2  # below the target: an adapter after such rewards may have reached it


def compare_speed(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, Any]:
    """Both sides' speed; the ratio is the smaller of those by seconds per step and by tokens per
    second, above 1 where we are faster.
    """
    sides = {"ours": side_figures(ours), "trl": side_figures(peer)}
    ratios = {
        "seconds_per_step": sides["trl"]["seconds_per_step"] / sides["ours"]["seconds_per_step"],
        "tokens_per_second": sides["ours"]["tokens_per_second"] / sides["trl"]["tokens_per_second"],
    }
    return {**sides, "ratios": _rounded(ratios), "ratio": round(min(ratios.values()), 3)}


def side_figures(timeline: Mapping[str, Any]) -> dict[str, Any]:
    """Speed and start-up of a side, and what others took of the machine meanwhile."""
    marks = [Mark(**mark) for mark in timeline["marks"]]
    own = {name: timeline[name] for name in ("startup_seconds", "stolen")}
    return own | _rounded(speed(marks))


def compare_seed(
    ours: Mapping[str, Any],
    peer: Mapping[str, Any],
    curve: Mapping[str, Mapping[str, Any]],
    target: float,
    minutes: float,
) -> dict[str, Any]:
    """One seed: speed, the way to the target on both sides, and the ratio of minutes.

    The ratio is the peer's minutes over ours. Where only one side got there, the other one's
    minutes are at least the budget, and `bound` says on which side of the truth the ratio lies;
    where none did, there is no ratio.
    """
    a, b = reached(ours, curve, target), reached(peer, curve, target)
    rows = {"ours": {**side_figures(ours), **a}, "trl": {**side_figures(peer), **b}}
    own, other = a["minutes_to_target"], b["minutes_to_target"]
    if own is None and other is None:
        return {**rows, "ratio": None, "bound": "neither side reached the target"}
    ratio = (other or minutes) / (own or minutes)
    bound = "exact" if own and other else "at least" if own else "at most"
    return {**rows, "ratio": round(ratio, 3), "bound": bound}


def reached(
    timeline: Mapping[str, Any], curve: Mapping[str, Mapping[str, Any]], target: float
) -> dict[str, Any]:
    """When the first evaluated adapter with at least `target` was there, and the last one's
    success.
    """
    kept = [Mark(**mark) for mark in timeline["marks"] if mark["adapter"] in curve]
    first = next((m for m in kept if curve[str(m.adapter)]["success"] >= target), None)
    return {
        "minutes_to_target": round(first.seconds / 60, 3) if first else None,
        "samples_to_target": first.trajectories if first else None,
        "last": dict(curve[str(kept[-1].adapter)]),
    }


def promising(timeline: Mapping[str, Any], target: float) -> list[str]:
    """Adapters that are worth an evaluation, in order of training: those before which the mean
    reward of `SPAN` steps came within `NEAR` of the target, and the last one.
    """
    marks = [Mark(**mark) for mark in timeline["marks"]]
    found = []
    for place, mark in enumerate(marks, 1):
        lately = [each.reward for each in marks[max(0, place - SPAN) : place]]
        near = len(lately) == SPAN and sum(lately) / SPAN >= target - NEAR
        if mark.adapter and (near or place == len(marks)):
            found.append(mark.adapter)
    return found


def until_good(
    chain: Sequence[str], evaluate: Callable[[str], dict[str, Any]], target: float
) -> dict[str, dict[str, Any]]:
    """Evaluations of a chain's adapters in order until one has a success of at least `target`, and
    of its last one. Success does not rise all the way, so none before may be passed over.
    """
    curve: dict[str, dict[str, Any]] = {}
    for path in chain:
        curve[path] = evaluate(path)
        if curve[path]["success"] >= target:
            break
    if chain[-1] not in curve:
        curve[chain[-1]] = evaluate(chain[-1])
    return curve


def worst(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The smallest ratio of the seeds; None while one of them has none."""
    ratios = [row["ratio"] for row in rows]
    return None if None in ratios else min(ratios)


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}
