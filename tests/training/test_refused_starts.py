"""A start that is refused leaves no directory behind, so that it can be repeated, corrected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
from typer.testing import CliRunner

from tooldojo.training.cli.main import app
from tooldojo.training.policy import Policy

SMALL = ("policy.lora_rank=2", "rollout.kv_cache_gib=0.1", "task.demos=4", "sft.rehearsal=0")
WORLD = """
from tooldojo import Draft, World, call, steps, tool

class Bad(World):
    @tool(mutates=True)
    def put(self, key) -> None:
        "Store a key."

    @classmethod
    def draft(cls, rng, level):
        key = f"K{rng.randrange(10000)}"
        return Draft(f"Store {key}.", {}, steps(call("put", key=key), say=f"Result: {key}"))
"""


def refused(command: str, model: Path, folder: Path, *keys: str) -> str:
    """What a command says that must fail and leave nothing."""
    directory = folder / "runs" / "one"
    given = (*SMALL, f"policy.model={model}", *keys, f"run.dir={directory}")
    done = CliRunner().invoke(app, [command, *given, "--json"])
    assert done.exit_code in (1, 2), done.output
    assert not (folder / "runs").exists() and not ray.is_initialized()
    return json.loads(done.stdout.splitlines()[-1])["error"]


@pytest.mark.parametrize(
    ("command", "keys", "message"),
    [
        ("sft", ["task.levels=[7]"], "has no level of 7"),
        ("sft", ["task.demos=1000", "sft.rehearsal=0.5"], "set sft.rehearsal=0 for other models"),
        ("sft", ["policy.quantization=nf4"], "needs a CUDA device"),
        ("train", ["task.levels=[7]"], "has no level of 7"),
        ("train", ["policy.quantization=nf4"], "needs a CUDA device"),
        ("train", ['objective.reward_weights={"succes": 1}'], "succes"),
        ("train", ["rollout.user=nowhere.py:answer"], "has nobody to stand for"),
        ("train", ["rollout.kv_cache_gib=100000"], "lower rollout.workers or rollout.kv_cache_gib"),
        ("train", ["rollout.tensor_parallel=2"], "tensor_parallel=2 needs as many GPUs"),
    ],
)
def test_a_recipe_that_cannot_start(
    command: str, keys: list[str], message: str, small_model: Path, tmp_path: Path
) -> None:
    assert message in refused(command, small_model, tmp_path, *keys)


def test_a_world_whose_tool_is_none(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(WORLD)
    worlds = f'task.worlds=["{tmp_path}/bad.py:Bad"]'
    assert "lacks a type hint" in refused("sft", small_model, tmp_path, worlds)


def test_a_model_without_or_with_half_its_weights(small_model: Path, tmp_path: Path) -> None:
    weights = small_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "are damaged" in refused("sft", small_model, tmp_path)
    weights.unlink()
    assert "is no causal language model" in refused("train", small_model, tmp_path)


def test_an_adapter_of_another_template(
    make_policy: Callable[..., Policy], small_model: Path, tmp_path: Path
) -> None:
    policy = make_policy()
    policy.save_adapter(tmp_path / "other")
    card = tmp_path / "other" / "tooldojo.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"base": str(small_model)}))
    said = refused("train", tmp_path / "other", tmp_path)
    assert "was trained with base model digest" in said


def test_a_corrected_start_goes_through(small_model: Path, tmp_path: Path) -> None:
    refused("sft", small_model, tmp_path, "policy.quantization=nf4")
    keys = [*SMALL, f"policy.model={small_model}", "sft.epochs=1", "task.val_tasks=2"]
    keys.append(f"run.dir={tmp_path / 'runs' / 'one'}")
    done = CliRunner().invoke(app, ["sft", *keys])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "runs" / "one" / "adapters" / "sft").is_dir()
