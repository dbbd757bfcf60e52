"""Studies: the runs of a grid, what is still to do, and cells compared at equal samples."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tooldojo.training.study as study_module
from tooldojo.configs.loading import RecipeError
from tooldojo.configs.schema import Recipe
from tooldojo.configs.study import StudyRun, load_study, study_runs
from tooldojo.training.evaluation.stats import student_mean
from tooldojo.training.runs.run_dir import RunDirectoryError, write_recipe
from tooldojo.training.study import (
    Outcome,
    budget_of,
    compare_cells,
    draw_study,
    pending,
    read_outcome,
    run_study,
    stage_of,
)

GRID = """
recipe = "quickstart"
dir = "{dir}"
seeds = [0, 1]
samples = 640
[set]
"eval.every" = 2
[grid]
"objective.advantage" = ["grpo", "rloo"]
"objective.group_size" = [4, 8]
"""


def runs(tmp_path: Path, text: str = GRID) -> list[StudyRun]:
    path = tmp_path / "grid.toml"
    path.write_text(text.format(dir=tmp_path / "study"))
    return study_runs(load_study(path))


def test_a_grid_is_all_combinations_under_all_seeds_with_equal_samples(tmp_path: Path) -> None:
    found = runs(tmp_path)
    assert len(found) == 8 and len({run.directory for run in found}) == 8
    assert [run.cell for run in found[::2]] == [
        "advantage=grpo, group_size=4",
        "advantage=grpo, group_size=8",
        "advantage=rloo, group_size=4",
        "advantage=rloo, group_size=8",
    ]
    for run in found:
        objective = run.recipe.objective
        assert run.recipe.learner.steps * objective.groups * objective.group_size == 640
        assert run.recipe.eval.every == 2 and run.recipe.run.seed == run.seed
        assert run.recipe.run.dir == str(run.directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"objective.advantage"', '"objective.advantag"'), "did you mean 'objective.advantage'"),
        (("samples = 640", "samples = 3"), "samples = 3 is less than one step"),
        (("seeds = [0, 1]", "seeds = []"), "seeds: tuple should have at least 1"),
        (
            ("seeds =", "seed ="),
            "seed: extra inputs are not permitted; keys are recipe, dir, seeds",
        ),
    ],
)
def test_a_bad_study_is_refused_before_anything_runs(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        runs(tmp_path, GRID.replace(*change))


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    return recipe.model_copy(update={"learner": recipe.learner.model_copy(update={"steps": steps})})


def test_what_is_done_is_not_done_again(tmp_path: Path, finished_run: Path) -> None:
    run, *_ = runs(tmp_path)
    run = replace(run, recipe=with_steps(run.recipe, 1000))
    (train, evaluate) = pending(run)
    assert train[0] == "train" and evaluate[0] == "eval" and "--resume" not in train + evaluate
    assert f'run.dir="{run.directory}"' in train
    shutil.copytree(finished_run, run.directory)
    write_recipe(run.directory / "config.toml", run.recipe)
    assert [command[-1] == "--resume" for command in pending(run)] == [True, False]
    (run.directory / "adapters" / f"v{run.recipe.learner.steps + 1}").mkdir(parents=True)
    assert [command[0] for command in pending(run)] == ["eval"]
    results = run.directory / "eval"
    shutil.copy(results / "rl.json", results / f"{stage_of(run)}.json")
    assert pending(run) == []
    shorter = replace(run, recipe=with_steps(run.recipe, run.recipe.learner.steps - 1))
    assert [command[0] for command in pending(shorter)] == ["train", "eval"]
    other = run.recipe.model_copy(
        update={"objective": run.recipe.objective.model_copy(update={"kl_coef": 0.5})}
    )
    with pytest.raises(RunDirectoryError, match="kl_coef"):
        pending(replace(run, recipe=other))
    outcome = read_outcome(run)
    assert outcome.tasks == 24 and outcome.samples_S == (1840.0, 3680.0)  # validated twice
    assert outcome.at(2000) == outcome.curve_S[0] and outcome.at(1e9) == outcome.curve_S[1]


def test_a_training_curve_pools_steps_and_leaves_out_those_without_a_verdict(
    tmp_path: Path,
) -> None:
    run = replace(runs(tmp_path)[0], held_out=False)
    run.directory.mkdir(parents=True)
    rates = [0.0, 0.5, None, 1.0, 1.0]  # nothing was judged in the third step
    rows = [
        {"step": step, "rollout/trajectories": 10} | ({} if rate is None else {"success": rate})
        for step, rate in enumerate(rates, 1)
    ]
    (run.directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = read_outcome(replace(run, recipe=with_steps(run.recipe, 5)))
    assert outcome.samples_S == (40.0, 50.0)
    assert outcome.curve_S == (pytest.approx(0.5), pytest.approx(2.5 / 3))
    assert (outcome.success, outcome.tasks) == (outcome.curve_S[-1], 0)


def outcomes() -> list[Outcome]:
    return [
        Outcome("a", seed, 0.5 + 0.1 * seed, 100, (10.0, 20.0, 30.0), (0.1, 0.2, 0.9))
        for seed in (0, 1)
    ] + [
        Outcome("b", seed, 0.7 + 0.1 * seed, 100, (12.0, 24.0), (0.3, 0.4 + 0.1 * seed))
        for seed in (0, 1)
    ]


def test_cells_are_compared_at_the_samples_that_all_have() -> None:
    assert budget_of(outcomes()) == 24
    a, b = compare_cells(outcomes())
    assert (a.equal.mean, b.equal.mean) == (pytest.approx(0.2), pytest.approx(0.45))
    assert (a.rise.mean, b.rise.mean) == (pytest.approx(0.1), pytest.approx(0.15))
    assert a.success.mean == pytest.approx(0.55) and a.gain is None
    assert b.gain is not None and b.gain.mean == pytest.approx(0.2)
    assert b.gain.high - b.gain.low == pytest.approx(0, abs=1e-9)  # alike in both seeds


def test_students_interval() -> None:
    found = student_mean([0.0, 1.0, 2.0])  # t(0.975, 2) = 4.3027, error 1 / sqrt(3)
    assert (found.mean, found.high) == (1.0, pytest.approx(1 + 4.30265 / 3**0.5, abs=1e-4))
    assert student_mean([0.3]).low == 0.3
    with pytest.raises(ValueError, match="finite"):
        student_mean([])


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    paths = draw_study(outcomes(), compare_cells(outcomes()), tmp_path)
    assert [path.name for path in paths] == ["curves.svg", "success.svg"]
    assert all("<svg" in path.read_text() for path in paths)


def test_ctrl_c_waits_for_the_clean_end_of_the_command_that_runs(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    child = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    print('up', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        f"    time.sleep(1.0); pathlib.Path({str(cleaned)!r}).touch(); raise SystemExit(130)\n"
    )
    study = (
        "import signal, sys; from tooldojo.training.study import run_command\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job ignores it
        f"run_command([sys.executable, '-c', {child!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", study], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert cleaned.exists()


def test_a_command_that_was_stopped_stops_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "run_command", lambda command: 130)
    with pytest.raises(KeyboardInterrupt):
        run_study(runs(tmp_path), "quickstart", lambda line: None)
