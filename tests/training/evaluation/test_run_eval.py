"""An evaluation on disk: it is never replaced, and only its own interruption is gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.card import PolicyError, conventions_of
from tooldojo.training.evaluation.evaluate import run_eval
from tooldojo.training.policy import load_policy
from tooldojo.training.quickstart import held_out_tasks
from tooldojo.training.runs.run_dir import Claim, RunDirectoryError

KEYS = (
    "rollout.engine=transformers",
    "rollout.max_turns=1",
    "rollout.max_turn_tokens=4",
    "rollout.max_context=4096",
    "policy.lora_rank=2",
    "eval.tasks=2",
)


def recipe_of(model: Path, *keys: str) -> Recipe:
    return load_recipe(None, [*KEYS, f"policy.model={model}", *keys])


def evaluated(recipe: Recipe, out: Path, adapter: Path | None = None, resume: bool = False) -> int:
    """How many tasks an evaluation had."""
    tasks = held_out_tasks(recipe)
    return len(run_eval(recipe, adapter, "policy", out, tasks, resume=resume).rows)


def adapter_of(recipe: Recipe, chat: Chat, folder: Path, scale: float) -> Path:
    policy = load_policy(recipe.policy, conventions_of(chat, recipe.task.worlds))
    with torch.no_grad():
        for linear in policy.linears:
            linear.b.fill_(scale)
    policy.save_adapter(folder)
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def recipe(small_model: Path) -> Recipe:
    return recipe_of(small_model)


def test_an_evaluation_is_never_replaced(recipe: Recipe, small_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "e1"
    count = evaluated(recipe, out)
    assert len(list(TrajectoryStore(out / "trajectories").read("policy"))) == count == 2
    before = everything(out)
    for other in (recipe, recipe_of(small_model, "run.seed=1")):
        with pytest.raises(RunDirectoryError, match="never replaced; go on with --resume, or"):
            evaluated(other, out)
    with pytest.raises(RunDirectoryError, match=r"started with run\.seed = 0, not 1"):
        evaluated(recipe_of(small_model, "run.seed=1"), out, resume=True)
    assert everything(out) == before
    assert evaluated(recipe, out, resume=True) == count
    assert everything(out).keys() == before.keys()


def test_trajectories_of_another_stage_of_that_name_stay(recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "run"
    evaluated(recipe, out)
    for path in out.glob("policy.*"):
        path.unlink()  # as `train` leaves trajectories, without an evaluation's files
    before = everything(out)
    for resume in (False, True):
        with pytest.raises(RunDirectoryError, match="replaced; choose another --stage or --out"):
            evaluated(recipe, out, resume=resume)
    assert everything(out) == before


def test_what_is_refused_changes_nothing(recipe: Recipe, small_model: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "e1", tmp_path / "runs" / "e9"
    evaluated(recipe, out)
    before = everything(out)
    for folder, resume in ((out, False), (out, True), (other, False)):
        with pytest.raises((PolicyError, RunDirectoryError)):
            evaluated(recipe, folder, tmp_path / "nope", resume)
    assert everything(out) == before
    (small_model / "model.safetensors").unlink()
    with pytest.raises(PolicyError, match="no causal language model"):
        evaluated(recipe, other)
    assert not (tmp_path / "runs").exists()


def test_it_goes_on_with_the_same_weights_only(
    recipe: Recipe, small_chat: Chat, tmp_path: Path
) -> None:
    first = adapter_of(recipe, small_chat, tmp_path / "first", 0.1)
    second = adapter_of(recipe, small_chat, tmp_path / "second", 0.2)
    evaluated(recipe, tmp_path / "without")
    evaluated(recipe, tmp_path / "with", first)
    before = everything(tmp_path)
    for folder, adapter, message in (
        ("without", first, "started with no adapter, not the adapter .*first"),
        ("with", second, "started with the adapter .*first .*, not the adapter .*second"),
        ("with", None, "started with the adapter .*first .*, not no adapter"),
    ):
        with pytest.raises(RunDirectoryError, match=message):
            evaluated(recipe, tmp_path / folder, adapter, resume=True)
    assert everything(tmp_path) == before
    (tmp_path / "elsewhere").mkdir()
    moved = first.rename(tmp_path / "elsewhere" / "first")
    assert evaluated(recipe, tmp_path / "with", moved, resume=True) == 2


def test_two_processes_do_not_share_a_directory(recipe: Recipe, tmp_path: Path) -> None:
    with Claim(tmp_path / "e1"):
        with pytest.raises(RunDirectoryError, match="another process is running"):
            evaluated(recipe, tmp_path / "e1")
        assert not (tmp_path / "e1" / "policy.toml").exists()
    assert evaluated(recipe, tmp_path / "e1") == 2
