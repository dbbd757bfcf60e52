"""`TrajectoryStore`: trajectories and their tasks in Parquet, one row each, exact both ways.

Owns the file schema below. Shards are written under a hidden name and renamed, so a reader never
sees half of one; a shard's name comes from what it holds, so storing it again replaces it.
Invariant: `read` gives back what `append` took, tokens and JSON alike.

Columns:
    stage, step: of the run, as the caller named them.
    ordinal, member, attempt, run_seed, task_id, env, level, split: which trajectory of which task.
    ending, success, value, reward: the verdict; the last three are null where there is none.
    engine, engine_kind, pid, node, policy, version, digest: where the tokens were sampled, by what.
    ids, kinds, calls, logprobs, versions: the token arrays of `records.Segment`, all segments in a
        row; logprobs are NaN and versions -1 where a token was not sampled. segment_lengths cuts.
    turns: JSON, per segment a list of `records.Turn`.
    task, score, reward_parts, evidence, failure: JSON of the records; null where there is none.
    hashes: the world's hash chain. prompt_tokens, seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tooldojo.envs.task import Task
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.origins import note_worlds
from tooldojo.rollouts.records import (
    EngineId,
    Failure,
    Group,
    PolicyRef,
    Segment,
    Timings,
    Trajectory,
    Turn,
)
from tooldojo.rollouts.whole_files import opened_shard
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import Evidence, Json, Reward, Score, StopReason

SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("step", pa.int64()),
        ("ordinal", pa.int64()),
        ("member", pa.int32()),
        ("attempt", pa.int32()),
        ("run_seed", pa.int64()),
        ("task_id", pa.string()),
        ("env", pa.string()),
        ("level", pa.int32()),
        ("split", pa.string()),
        ("ending", pa.string()),
        ("success", pa.bool_()),
        ("value", pa.float64()),
        ("reward", pa.float64()),
        ("engine", pa.string()),
        ("engine_kind", pa.string()),
        ("pid", pa.int64()),
        ("node", pa.string()),
        ("policy", pa.string()),
        ("version", pa.int32()),
        ("digest", pa.string()),
        ("ids", pa.list_(pa.int32())),
        ("kinds", pa.list_(pa.uint8())),
        ("calls", pa.list_(pa.int16())),
        ("logprobs", pa.list_(pa.float32())),
        ("versions", pa.list_(pa.int32())),
        ("segment_lengths", pa.list_(pa.int32())),
        ("turns", pa.string()),
        ("task", pa.string()),
        ("score", pa.string()),
        ("reward_parts", pa.string()),
        ("evidence", pa.string()),
        ("failure", pa.string()),
        ("hashes", pa.list_(pa.string())),
        ("prompt_tokens", pa.int32()),
        ("seconds", pa.float64()),
    ],
    metadata={"tooldojo.trajectories": "1"},
)
_ARRAYS = {
    "ids": "ids_T",
    "kinds": "kinds_T",
    "calls": "call_T",
    "logprobs": "logprobs_T",
    "versions": "versions_T",
}
_STAGE = re.compile(r"[a-z0-9_]+")
ROWS = 256  # of a row group, and held in memory at once


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One stored trajectory, its task, and when in the run it was played."""

    stage: str
    step: int
    task: Task
    trajectory: Trajectory


class TrajectoryStore:
    """A directory of shards named `stage-step-hash.parquet`."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def append(self, groups: Sequence[Group], stage: str, step: int) -> Path:
        """Write one shard, all or nothing; storing the same groups again replaces it.

        Raises:
            ValueError: for a stage that is no lower-case word.
        """
        check_stage(stage)
        rows = [_row(stage, step, g.task, t) for g in groups for t in g.trajectories]
        table = pa.table(
            {
                name: pa.array([row[name] for row in rows], SCHEMA.field(name).type)
                for name in SCHEMA.names
            },
            schema=SCHEMA,
        )
        identity = content_hash([_identity(t) for g in groups for t in g.trajectories])
        note_worlds(self.directory, {group.task.env for group in groups})
        path = self.directory / f"{stage}-{step:06d}-{identity}.parquet"
        with new_shard(path) as writer:
            writer.write_table(table, row_group_size=ROWS)
        return path

    def shards(self, stage: str | None = None) -> list[Path]:
        """The shards of a stage, or of all, by stage and step."""
        return sorted(self.directory.glob(f"{stage or '*'}-*.parquet"))

    def worlds(self, stage: str | None = None) -> set[str]:
        """The ids of all worlds that were played."""
        columns = (pq.read_table(path, columns=["env"])["env"] for path in self.shards(stage))
        return {env_id for column in columns for env_id in column.unique().to_pylist()}

    def read(self, stage: str | None = None) -> Iterator[StoredRow]:
        """All rows, shard by shard, in the order in which they were stored there."""
        for path in self.shards(stage):
            for rows in batches(path):
                for index in range(rows.num_rows):
                    yield _stored(rows, index)

    def discard_after(self, stage: str, step: int) -> int:
        """Delete a stage's shards of later steps, which a resumed run will play again; how many.

        What a killed writer left half-written goes as well.
        """
        late = [path for path in self.shards(stage) if int(path.stem.rsplit("-", 2)[1]) > step]
        for path in (*late, *self.directory.glob(f".{stage}-*.tmp")):
            path.unlink()
        return len(late)


def check_stage(stage: str) -> None:
    """Refuse a stage that cannot name files.

    Raises:
        ValueError: unless it is made of a-z, 0-9 and _.
    """
    if not _STAGE.fullmatch(stage):
        raise ValueError(f"stage {stage!r} must be made of a-z, 0-9 and _; it names files")


def batches(shard: Path) -> Iterator[pa.RecordBatch]:
    """A shard's rows, at most `ROWS` at once, so that its size does not matter.

    Raises:
        DamagedFile: see `opened_shard`.
    """
    with opened_shard(shard, SCHEMA.names) as file:
        yield from file.iter_batches(ROWS, columns=SCHEMA.names)


@contextmanager
def new_shard(path: Path, schema: pa.Schema = SCHEMA) -> Iterator[pq.ParquetWriter]:
    """A writer of a shard that appears, flushed, when the block ends well, and else never."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with hidden.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    finally:  # gone after the rename; a full disk must not keep half a shard
        hidden.unlink(missing_ok=True)


def judged_columns(
    score: Score | None, reward: Reward | None, failure: Failure | None, stop: StopReason
) -> dict[str, object]:
    """The columns that a verdict decides."""
    return {
        "ending": stop.value,
        "success": score.success if score else None,
        "value": score.value if score else None,
        "reward": reward.total if reward else None,
        "score": _text(score.to_json()) if score else None,
        "reward_parts": _text(asdict(reward)) if reward else None,
        "failure": _text(asdict(failure)) if failure else None,
    }


def _identity(t: Trajectory) -> Json:
    """What makes a trajectory another one: who played what, from which seed, and what was said."""
    said = hashlib.blake2b(digest_size=8)
    for segment in t.segments:
        said.update(b"%d:" % len(segment.ids_T) + segment.ids_T.tobytes())
    played = [t.task_id, t.ordinal, t.member, t.attempt, t.seed, t.hashes[-1], said.hexdigest()]
    return [*played, t.policy.name, t.policy.version, t.policy.digest]


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _row(stage: str, step: int, task: Task, t: Trajectory) -> dict[str, object]:
    arrays = {
        column: np.concatenate([getattr(segment, name) for segment in t.segments])
        for column, name in _ARRAYS.items()
    }
    return {
        "stage": stage,
        "step": step,
        "ordinal": t.ordinal,
        "member": t.member,
        "attempt": t.attempt,
        "run_seed": t.seed,
        "task_id": t.task_id,
        "env": t.env,
        "level": task.level,
        "split": task.split.value,
        "engine": t.engine.engine,
        "engine_kind": t.engine.kind,
        "pid": t.engine.pid,
        "node": t.engine.node,
        "policy": t.policy.name,
        "version": t.policy.version,
        "digest": t.policy.digest,
        **arrays,
        "segment_lengths": [len(segment.ids_T) for segment in t.segments],
        "turns": _text([[asdict(turn) for turn in segment.turns] for segment in t.segments]),
        "task": _text(task.to_json()),
        "evidence": _text(t.evidence.to_json()) if t.evidence else None,
        **judged_columns(t.score, t.reward, t.failure, t.ending.stop),
        "hashes": list(t.hashes),
        "prompt_tokens": t.prompt_tokens,
        "seconds": t.seconds,
    }


def _stored(table: pa.RecordBatch, index: int) -> StoredRow:
    plain = {name: table[name][index].as_py() for name in SCHEMA.names if name not in _ARRAYS}
    score, evidence = plain["score"], plain["evidence"]
    trajectory = Trajectory(
        task_id=plain["task_id"],
        env=plain["env"],
        ordinal=plain["ordinal"],
        member=plain["member"],
        attempt=plain["attempt"],
        seed=plain["run_seed"],
        segments=_segments(table, index, plain["segment_lengths"], json.loads(plain["turns"])),
        ending=ENDINGS[StopReason(plain["ending"])],
        score=Score.from_json(json.loads(score)) if score else None,
        reward=_reward(plain["reward_parts"]),
        evidence=Evidence.from_json(json.loads(evidence)) if evidence else None,
        hashes=tuple(plain["hashes"]),
        engine=EngineId(plain["engine"], plain["engine_kind"], plain["pid"], plain["node"]),
        policy=PolicyRef(plain["policy"], plain["version"], plain["digest"]),
        prompt_tokens=plain["prompt_tokens"],
        seconds=plain["seconds"],
        failure=Failure(**json.loads(plain["failure"])) if plain["failure"] else None,
    )
    task = Task.from_json(json.loads(plain["task"]))
    return StoredRow(plain["stage"], plain["step"], task, trajectory)


def _segments(
    table: pa.RecordBatch, index: int, lengths: Sequence[int], turns: Sequence[Sequence[dict]]
) -> tuple[Segment, ...]:
    whole = {
        name: table[column][index].values.to_numpy(zero_copy_only=False)
        for column, name in _ARRAYS.items()
    }
    ends = np.cumsum(lengths)
    return tuple(
        Segment(
            **{name: array[end - length : end].copy() for name, array in whole.items()},
            turns=tuple(Turn(**{**turn, "timings": Timings(**turn["timings"])}) for turn in played),
        )
        for length, end, played in zip(lengths, ends, turns, strict=True)
    )


def _reward(text: str | None) -> Reward | None:
    if text is None:
        return None
    value = json.loads(text)
    return Reward(value["total"], tuple(value["turns"]), value["parts"])
