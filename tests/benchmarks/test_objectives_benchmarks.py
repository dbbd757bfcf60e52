"""What the learner's benchmarks measure on, and how they sum up."""

# pyright: reportMissingImports=false
from __future__ import annotations

from pathlib import Path

from learner_vs_trl import padded
from objectives import figures, study_file
from updates import recorded

from tooldojo.configs.methods import METHODS
from tooldojo.configs.study import load_study, study_runs


def test_padding_masks_what_nobody_sampled() -> None:
    members = recorded(2, 1, 100)
    inputs = padded(members)
    assert inputs["tool_mask"].sum(1).tolist() == [m.length for m in members]
    tokens = inputs["prompt_mask"].sum(1) + inputs["completion_mask"].sum(1)
    assert tokens.tolist() == [len(m.sequences[0].ids_T) for m in members]
    assert (inputs["tool_mask"] <= inputs["completion_mask"]).all()
    assert (inputs["old_per_token_logps"][inputs["tool_mask"] == 0] == 0).all()


def test_a_method_is_summed_up_by_its_study_and_the_ends_of_its_runs() -> None:
    runs = [
        [{"entropy": float(i), "seconds": s, "grad_norm": None} for i, s in enumerate(seconds)]
        for seconds in ((3.0, 1.0, 2.0, 2.0), (5.0, 1.0, 2.0, 4.0))
    ]
    mean = {"count": 2, "mean": 0.5, "low": 0.41236, "high": 0.6}
    found = figures({"equal": mean, "rise": mean, "gain": None}, runs)
    assert found == {
        "success": [0.5, 0.412, 0.6],
        "rise": [0.5, 0.412, 0.6],
        "gain": None,
        "entropy": 3.0,
        "learner_seconds": 2.0,
    }


def test_the_study_of_all_methods_is_valid(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    keys = ["learner.minibatches=2"]
    grid.write_text(study_file(tmp_path, tmp_path / "sft", list(METHODS), [0, 1], 20, keys))
    runs = study_runs(load_study(grid))
    assert len(runs) == 2 * len(METHODS) and not any(run.held_out for run in runs)
    assert {run.recipe.objective.method for run in runs} == set(METHODS)
    assert {run.directory.name for run in runs[:2]} == {"method=dapo-seed0", "method=dapo-seed1"}
    first = runs[0].recipe
    assert (first.learner.minibatches, first.learner.steps, first.objective.groups) == (2, 20, 4)
