"""Stored trajectories judged again: a new stage, everything but the verdict as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.rescore import (
    Judges,
    NoVerdicts,
    RescoreError,
    RescoreReport,
    judge_of,
    rescore,
)
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import SCHEMA, TrajectoryStore
from tooldojo.training.cli.main import app
from tooldojo.verifiers.combine import all_of
from tooldojo.verifiers.criteria import answer
from tooldojo.verifiers.records import Evidence, Goal, Reward, Score, StopReason
from tooldojo.verifiers.reward import RewardShape, shape_reward

VERDICT = {"stage", "ending", "success", "value", "reward", "score", "reward_parts", "failure"}


def reward(score: Score, evidence: Evidence, truncated: bool) -> Reward:
    return shape_reward(score, evidence, RewardShape(success=2.0), truncated)


def strict(evidence: Evidence, goal: Goal) -> Score:
    if len(evidence.calls) > 1:
        raise ArithmeticError("too many calls")
    return Score(False, 0.25, {"strict": 0.25})


def judges(verifier: Callable | None) -> Judges:
    about = {"verifier": str(verifier), "reward": "double"}
    return Judges(verifier, RewardShape(), about, reward=reward)


@pytest.fixture
def store(
    chat: Chat, limits: Limits, tasks: Callable[..., Task], policy: PolicyRef, tmp_path: Path
) -> TrajectoryStore:
    """Two shards: gold on one task of one call and one of two, and a do-nothing on each."""
    made = TrajectoryStore(tmp_path / "trajectories")
    settings = PlaySettings(limits, RewardShape(), 0)
    for step, script in enumerate(["gold", "do_nothing"]):
        groups: list[Group] = []
        for level in (1, 2):
            sampler = ScriptedSampler(chat, script, 0)
            issued = IssuedTask(level, tasks(level=level))
            groups.append(asyncio.run(play_group(issued, 2, sampler, chat, settings, policy)))
        made.append(groups, "train", step)
    return made


def test_another_verifier_makes_another_stage_and_changes_nothing_else(
    store: TrajectoryStore,
) -> None:
    before = {path: path.read_bytes() for path in store.shards()}
    report = rescore(store, "train", "strict", judges(strict))
    assert replace(report, first_failure=None) == RescoreReport(8, changed=6, lost=2, failed=2)
    first = next(row.trajectory for row in store.read("strict") if row.trajectory.score is None)
    assert first.failure and report.first_failure == (
        f"task {first.task_id}: ArithmeticError: {first.failure.message}"
    )
    assert {path: path.read_bytes() for path in store.shards("train")} == before
    for old, new in zip(store.shards("train"), store.shards("strict"), strict=True):
        assert new.name == old.name.replace("train", "strict")
        was, now = pq.read_table(old), pq.read_table(new)
        assert now.schema.equals(SCHEMA)
        for name in set(SCHEMA.names) - VERDICT:
            assert now[name].equals(was[name]) or name == "logprobs"
        logprobs = [t["logprobs"].combine_chunks().flatten().to_numpy() for t in (was, now)]
        assert np.array_equal(*logprobs, equal_nan=True)
    rows = [row.trajectory for row in store.read("strict")]
    scored = [t for t in rows if t.score is not None]
    assert {(t.score.value, t.reward.total) for t in scored if t.score and t.reward} == {
        (0.25, 0.5)
    }
    failed = [t for t in rows if t.score is None]
    assert {t.ending.stop for t in failed} == {StopReason.VERIFIER_CRASH}
    line = strict.__code__.co_firstlineno + 2
    assert {(t.failure.kind, t.failure.message) for t in failed if t.failure} == {
        ("ArithmeticError", f"too many calls ({__file__}, line {line})")
    }


def test_the_worlds_own_verifier_repeats_its_verdict(store: TrajectoryStore) -> None:
    report = rescore(store, "train", "again", judges(None))
    assert report == RescoreReport(rows=8)
    for old, new in zip(store.read("train"), store.read("again"), strict=True):
        assert new.stage == "again" and new.trajectory.score == old.trajectory.score
        assert new.trajectory.reward and old.trajectory.reward
        assert new.trajectory.reward.total == 2 * old.trajectory.reward.total


def test_a_mended_verifier_judges_what_a_broken_one_could_not(store: TrajectoryStore) -> None:
    rescore(store, "train", "strict", judges(strict))
    report = rescore(store, "strict", "mended", judges(all_of(answer=answer)))
    assert (report.rows, report.gained, report.failed) == (8, 4, 0)
    stops = {row.trajectory.ending.stop for row in store.read("mended")}
    assert stops == {StopReason.ANSWERED}


def broken(evidence: Evidence, goal: Goal) -> Score:
    raise KeyError("a bug")


def test_a_verifier_that_always_fails_writes_nothing(store: TrajectoryStore) -> None:
    before = store.shards()
    with pytest.raises(NoVerdicts, match=r"none of 8 .* first task \w+: KeyError: 'a bug' \(.*py"):
        rescore(store, "train", "again", judges(broken))
    assert store.shards() == before


def test_nothing_is_replaced_and_a_stopped_rescoring_goes_on(store: TrajectoryStore) -> None:
    rescore(store, "train", "again", judges(None))
    first, second = store.shards("again")
    kept = first.read_bytes()
    with pytest.raises(RescoreError, match="the stage 'again' exists already"):
        rescore(store, "train", "again", judges(None))
    second.unlink()
    half = store.directory / f".{second.name}.4711.tmp"
    half.write_bytes(b"PAR1")
    with pytest.raises(RescoreError, match="was not written by this rescoring"):
        rescore(store, "train", "again", judges(strict), resume=True)
    assert rescore(store, "train", "again", judges(None), resume=True).rows == 4
    assert len(store.shards("again")) == 2 and first.read_bytes() == kept
    assert not half.exists()
    with pytest.raises(RescoreError, match="holds no stage 'sft'"):
        rescore(store, "sft", "x", judges(None))


def test_a_crash_leaves_no_shard(store: TrajectoryStore) -> None:
    def broken(score: Score, evidence: Evidence, truncated: bool) -> Reward:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        rescore(store, "train", "again", replace(judges(None), reward=broken))
    assert store.shards("again") == [] and not list(store.directory.glob(".*"))


def test_the_command_gives_the_call_rewards_that_the_recipe_weighs(finished_run: Path) -> None:
    weights = 'objective.reward_weights={"tool_selection": 0.5}'
    words = ["rescore", str(finished_run), weights, "--stage", "rl", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["stage"], told["rows"], told["changed"]) == ("rl_rescored", 24, 0)
    rows = TrajectoryStore(finished_run / "trajectories").read("rl_rescored")
    solved = [t for row in rows if (t := row.trajectory).score and t.score.success]
    assert solved and {t.reward.parts["tool_selection"] for t in solved if t.reward} == {0.5}


def test_judges_come_by_reference(tmp_path: Path) -> None:
    file = tmp_path / "judge.py"
    file.write_text("def half(evidence, goal): return 0.5\nnumber = 3\n")
    assert judge_of(f"{file}:half")(None, None) == 0.5
    with pytest.raises(RescoreError, match="number is no function or verifier"):
        judge_of(f"{file}:number")


def test_datasets_reads_the_files(store: TrajectoryStore, tmp_path: Path) -> None:
    import datasets

    files = [str(path) for path in store.shards("train")]
    loaded = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == 8 and loaded.column_names == SCHEMA.names
    assert json.loads(loaded[0]["score"])["success"] is True


def test_duckdb_reads_the_files(store: TrajectoryStore) -> None:
    import duckdb

    query = f"select stage, avg(value), count(*) from '{store.directory}/*.parquet' group by stage"
    with duckdb.connect() as database:
        assert database.execute(query).fetchall() == [("train", 0.5, 8)]
