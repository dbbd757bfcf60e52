"""`tooldojo dpo`, `kto` and `reward` end to end: stored trajectories in, adapters that load out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tooldojo.configs.schema import PolicySection
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.card import conventions_of
from tooldojo.training.cli.main import app
from tooldojo.training.policy import load_policy
from tooldojo.training.stages.reward_model import load_reward_model

WORLD = "tooldojo/Orders-v0"
TASKS = 4
KEYS = ("preference.epochs=1", "preference.batch_size=2", "preference.held_out=0.4")


@pytest.fixture
def store(skilled: Callable[..., LocalFleet], tmp_path: Path) -> Path:
    """Every task solved once and failed once."""
    issued = [
        IssuedTask(i, task) for i, task in enumerate(take([WORLD], Split.TRAIN, 0, TASKS, [1]))
    ]
    good, bad = (sorted(skilled(s, 1).play(issued, 1), key=ordinal) for s in (1.0, 0.0))
    groups = [
        Group(a.ordinal, a.task, (*a.trajectories, replace(b.trajectories[0], member=1)))
        for a, b in zip(good, bad, strict=True)
    ]
    TrajectoryStore(tmp_path / "played").append(groups, "rollout", 0)
    return tmp_path / "played"


def ordinal(group: Group) -> int:
    return group.ordinal


def tooldojo(command: str, model: Path, store: Path, directory: Path, *more: str) -> dict:
    keys = (f"policy.model={model}", "policy.lora_rank=2", f"run.dir={directory}", *KEYS, *more)
    done = CliRunner().invoke(app, [command, *keys, "--data", str(store), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def test_each_stage_leaves_an_adapter_for_the_next(
    small_model: Path, store: Path, small_chat: Chat, tmp_path: Path
) -> None:
    conventions = conventions_of(small_chat, [WORLD])
    dpo = tooldojo("dpo", small_model, store, tmp_path / "dpo")
    assert dpo["train_pairs"] + dpo["held_out_pairs"] == TASKS and dpo["left_out"] == {}
    assert dpo["held_out_accuracy"]["trials"] == dpo["held_out_pairs"] > 0
    kto = tooldojo("kto", Path(dpo["adapter"]), store, tmp_path / "kto")
    assert kto["train_good"] == kto["train_bad"] == dpo["train_pairs"]
    policies = [
        load_policy(PolicySection(model=each["adapter"]), conventions) for each in (dpo, kto)
    ]
    assert policies[0].adapter_digest() != policies[1].adapter_digest()
    reward = tooldojo("reward", Path(dpo["adapter"]), store, tmp_path / "reward")
    assert json.loads((tmp_path / "reward" / "reward.json").read_text())["steps"] == reward["steps"]
    scorer = load_reward_model(Path(reward["adapter"]), conventions)
    rows = list(TrajectoryStore(store).read())
    scores = scorer.score([row.trajectory for row in rows])
    assert len(scores) == 2 * TASKS and all(isinstance(score, float) for score in scores)


def test_a_store_without_pairs_is_one_line_and_no_run(
    small_model: Path, store: Path, tmp_path: Path
) -> None:
    keys = (f"policy.model={small_model}", f"run.dir={tmp_path / 'run'}")
    worlds = 'task.worlds=["tooldojo/Travel-v0"]'
    for command in ("dpo", "reward"):
        done = CliRunner().invoke(app, [command, *keys, worlds, "--data", str(store)])
        assert done.exit_code == 2, done.output
        assert f"'of another world': {2 * TASKS}" in done.stderr
        assert not (tmp_path / "run").exists()
