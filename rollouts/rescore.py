"""Stored trajectories judged again: another verifier or reward over the evidence in the store.

Owns the new stage that comes of it; refuses to touch a stored shard, to judge what has no evidence,
and to go on under another verifier than an interrupted rescoring. Invariants: tokens, turns,
evidence and origin of a row stay as they are, byte by byte; only the columns of the verdict and the
stage change. At most `store.ROWS` rows are in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from tooldojo.envs import judging
from tooldojo.envs.blame import place_of
from tooldojo.envs.references import load_reference
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Task
from tooldojo.envs.world import World
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.records import Failure
from tooldojo.rollouts.store import (
    SCHEMA,
    TrajectoryStore,
    batches,
    check_stage,
    judged_columns,
    new_shard,
)
from tooldojo.rollouts.whole_files import opened_shard
from tooldojo.verifiers.records import Evidence, Goal, Reward, Score, ScoreStatus, StopReason
from tooldojo.verifiers.reward import RewardShape, process_rewards, shape_reward, weighing

Judge = Callable[[Evidence, Goal], Score]
Rewarder = Callable[[Score, Evidence, bool], Reward]  # the flag: whether a limit ended it
_NOTE = b"tooldojo.rescored"


class RescoreError(ValueError):
    """A rescoring that cannot be done; one line says why and what to do."""


class NoVerdicts(RuntimeError):
    """A rescoring in which nothing got a verdict; the message has the first failure."""


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges. verifier: None takes that of each row's own world. shape: what the reward is made
    of, the worlds' own parts included, unless `reward` makes it. about: what they are called; kept
    with every shard. asked: who answers judged components anew; None keeps stored answers.
    """

    verifier: Judge | None
    shape: RewardShape
    about: dict[str, str]
    asked: judging.Judge | None = None
    reward: Rewarder | None = None


@dataclass(frozen=True, slots=True)
class RescoreReport:
    """Counts of rows. changed, gained, lost: of those with a verdict; gained: successes that were
    none before, lost: the other way round. failed: the verifier raised or gave no verdict.
    without_evidence: kept as they were. first_failure: what the first of `failed` says.
    """

    rows: int = 0
    changed: int = 0
    gained: int = 0
    lost: int = 0
    failed: int = 0
    without_evidence: int = 0
    first_failure: str | None = None

    def __add__(self, other: RescoreReport) -> RescoreReport:
        counts = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__slots__
            if name != "first_failure"
        }
        return RescoreReport(**counts, first_failure=self.first_failure or other.first_failure)

    @property
    def hopeless(self) -> bool:
        """Whether there was something to judge, and nothing got a verdict."""
        return 0 < self.failed == self.rows - self.without_evidence


def judge_of(reference: str) -> Callable:
    """The callable that `package.module:name` or `file.py:name` stands for.

    Raises:
        RescoreError: when it is none.
    """
    found = load_reference(reference)
    if not callable(found):
        raise RescoreError(f"{reference} is no function or verifier; name one as module:name")
    return found


def rescore(
    store: TrajectoryStore,
    stage: str,
    into: str,
    judges: Judges,
    resume: bool = False,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> RescoreReport:
    """Judge the rows of a stage again and write them as the stage `into`, shard by shard.

    resume: leave the shards alone that an interrupted rescoring has written; their rows are not
    counted.

    Raises:
        ValueError: when `into` cannot name files.
        RescoreError: when it exists already, or `stage` does not.
        NoVerdicts: when every row failed; nothing is written then.
    """
    shards, written = _shards(store, stage, into, resume), store.shards(into)
    schema = SCHEMA.with_metadata({**(SCHEMA.metadata or {}), _NOTE: _note(stage, judges)})
    report, new = RescoreReport(), list[Path]()
    with closing(asyncio.Runner()) as runner:  # one loop, so that judges keep their connections
        for shard in shards:
            target = target_of(shard, stage, into)
            if target in written:
                _check_same(target, schema)
                continue
            with new_shard(target, schema) as writer:
                for rows in batches(shard):
                    judged, counts = _judged(rows, into, judges, runner)
                    writer.write_batch(judged.cast(schema))
                    report += counts
                    on_rows(rows.num_rows)
            new.append(target)
    if report.hopeless:
        for target in new:
            target.unlink()
        raise NoVerdicts(
            f"none of {report.failed} trajectories got a verdict, and nothing was written; "
            f"first {report.first_failure}"
        )
    return report


def target_of(shard: Path, stage: str, into: str) -> Path:
    """Where the rows of a shard go."""
    return shard.with_name(into + shard.name.removeprefix(stage))


def _shards(store: TrajectoryStore, stage: str, into: str, resume: bool) -> list[Path]:
    """What is to be judged, once nothing stands in the way."""
    check_stage(into)
    shards = store.shards(stage)
    if not shards:
        raise RescoreError(f"{store.directory} holds no stage {stage!r}")
    if store.shards(into) and not resume:
        raise RescoreError(
            f"the stage {into!r} exists already; choose another, nothing is replaced"
        )
    for left in store.directory.glob(f".{into}-*.tmp"):
        left.unlink()  # half written by a killed one
    return shards


def _note(stage: str, judges: Judges) -> bytes:
    return json.dumps({"stage": stage, **judges.about}, sort_keys=True).encode()


def _check_same(shard: Path, schema: pa.Schema) -> None:
    with opened_shard(shard, ()) as file:
        kept = (file.schema_arrow.metadata or {}).get(_NOTE)
    if kept != (schema.metadata or {}).get(_NOTE):
        raise RescoreError(
            f"{shard.name} was not written by this rescoring ({(kept or b'').decode()}); "
            "choose another stage"
        )


def _judged(
    rows: pa.RecordBatch, into: str, judges: Judges, runner: asyncio.Runner
) -> tuple[pa.RecordBatch, RescoreReport]:
    columns: dict[str, list[object]] = {"stage": [into] * rows.num_rows}
    report = RescoreReport()
    names = ("ending", "success", "value", "reward", "score", "reward_parts", "failure")
    for index in range(rows.num_rows):
        before = {name: rows[name][index].as_py() for name in names}
        evidence, task = rows["evidence"][index].as_py(), rows["task"][index].as_py()
        after = before
        if evidence is not None:
            after = _verdict(Evidence.from_json(json.loads(evidence)), task, judges, runner)
        report += _counted(before, after, evidence is None, rows["task_id"][index].as_py())
        for name in names:
            columns.setdefault(name, []).append(after[name])
    for name, values in columns.items():
        place = SCHEMA.get_field_index(name)
        rows = rows.set_column(place, SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type))
    return rows, report


def _verdict(
    evidence: Evidence, stored: str, judges: Judges, runner: asyncio.Runner
) -> dict[str, object]:
    """The columns of a new verdict. What verifier, reward parts and judge raise is no verdict, as
    in play.
    """
    task = Task.from_json(json.loads(stored))
    world, shape = world_class(task.env), judges.shape
    verifier = judges.verifier or world.verifier
    try:
        if judges.asked is not None:
            evidence = _asked_anew(judges.asked, world, task, evidence, runner)
        score = verifier(evidence, task.goal)
        parts = () if judges.reward else weighing(world.rewards, shape.weights)
        process = process_rewards(parts, evidence, world.reward_goal(task))
    except judging.JudgeLost as lost:
        return _unjudged(type(lost).__name__, str(lost), evidence, StopReason.JUDGE_LOST)
    except Exception as error:  # a verifier may be anybody's
        where = place_of(error)
        what = f"{error} ({where})" if where else str(error)
        return _unjudged(type(error).__name__, what, evidence)
    if score.status is not ScoreStatus.SCORED:
        return _unjudged(score.status.value, score.why, evidence)
    truncated = ENDINGS[evidence.stop].truncated
    if judges.reward is not None:
        reward = judges.reward(score, evidence, truncated)
    else:
        reward = shape_reward(score, evidence, shape, truncated, process)
    return judged_columns(score, reward, None, evidence.stop)


def _asked_anew(
    judge: judging.Judge,
    world: type[World],
    task: Task,
    evidence: Evidence,
    runner: asyncio.Runner,
) -> Evidence:
    """The evidence with the judge's answers for the components of this world that need them."""
    components = world.components()
    if not components.judged:
        return evidence
    answers = runner.run(components.ask(judge, evidence, world.reward_goal(task)))
    return replace(evidence, gathered={**evidence.gathered, **answers})


def _unjudged(
    kind: str, message: str, evidence: Evidence, stop: StopReason = StopReason.VERIFIER_CRASH
) -> dict[str, object]:
    failure = Failure(kind, message, max(0, evidence.turns - 1))
    return judged_columns(None, None, failure, stop)


def _counted(
    before: dict[str, object], after: dict[str, object], without_evidence: bool, task_id: str
) -> RescoreReport:
    if after["success"] is None and not without_evidence:
        failure = json.loads(str(after["failure"]))
        first = f"task {task_id}: {failure['kind']}: {failure['message']}"
        return RescoreReport(rows=1, failed=1, first_failure=first)
    return RescoreReport(
        rows=1,
        changed=before["value"] != after["value"] or before["success"] != after["success"],
        gained=bool(after["success"]) and not before["success"],
        lost=bool(before["success"]) and not after["success"],
        without_evidence=without_evidence,
    )
