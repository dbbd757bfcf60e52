"""What the learner's benchmarks measure on, and how they sum up."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json

import numpy as np
from learner_vs_trl import LENGTHS, padded, recorded
from objectives import best, summary


def test_recorded_trajectories_have_the_recorded_lengths() -> None:
    groups = json.loads(LENGTHS.read_text())
    members = recorded(2, 3, 100)
    assert len(members) == len(groups[0]["members"]) + len(groups[1]["members"]) == 16
    first, spans = members[0], groups[0]["members"][0]["spans"]
    assert first.sequences[0].shared == 3 * groups[0]["prompt"]
    assert first.length == 3 * sum(spans[::2])
    assert len(np.unique(first.turn_N)) == len(spans[::2]) == len(first.reward.turns)
    gaps = np.diff(first.sequences[0].targets_N)
    assert sorted(gaps[gaps > 1] - 1) == sorted(3 * n for n in spans[1:-1:2])


def test_padding_masks_what_nobody_sampled() -> None:
    members = recorded(2, 1, 100)
    inputs = padded(members)
    assert inputs["tool_mask"].sum(1).tolist() == [m.length for m in members]
    tokens = inputs["prompt_mask"].sum(1) + inputs["completion_mask"].sum(1)
    assert tokens.tolist() == [len(m.sequences[0].ids_T) for m in members]
    assert (inputs["tool_mask"] <= inputs["completion_mask"]).all()
    assert (inputs["old_per_token_logps"][inputs["tool_mask"] == 0] == 0).all()


def test_a_run_is_summed_up_by_its_ends() -> None:
    rows = [{"step": i, "reward": i / 10, "seconds": s} for i, s in enumerate((3.0, 1.0, 2.0))]
    rows[-1] |= {"val/success": 0.5, "entropy": None}
    figures = summary(rows)
    assert figures == {
        "val/success": 0.5,
        "reward": 0.2,
        "reward_first": 0.0,
        "learner_seconds": 2.0,
    }
    assert best({"dapo": {"val/success": 0.4}, "ppo": figures, "psr": {}}) == "ppo"
    assert best({"psr": {}}) is None
