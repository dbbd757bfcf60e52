"""Whether two runs are the same bit for bit: `fingerprint` and `differences`.

Owns what counts as the same: which trajectory, its tokens, logprobs and policy, what its world and
verifier said, and the adapters. Refuses wall-clock times and the names of engines and processes,
which differ between any two runs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tooldojo.rollouts.store import StoredRow, TrajectoryStore
from tooldojo.training.policy import ADAPTER_WEIGHTS
from tooldojo.training.runs.atomic import file_digest
from tooldojo.verifiers.records import Json


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of a run: of each stored trajectory, by stage, ordinal and member, and of each
    adapter, by name. repeated: trajectories that are stored more than once.
    """

    trajectories: dict[str, str]
    adapters: dict[str, str]
    repeated: tuple[str, ...] = ()


def fingerprint(run: Path) -> Fingerprint:
    """The digests of a run directory."""
    found: dict[str, str] = {}
    repeated: list[str] = []
    for row in TrajectoryStore(run / "trajectories").read():
        name = f"{row.stage} {row.trajectory.ordinal}.{row.trajectory.member}"
        if name in found:
            repeated.append(name)
        found[name] = _digest(row)
    weights = sorted(run.glob(f"adapters/*/{ADAPTER_WEIGHTS}"))
    adapters = {path.parent.name: file_digest(path) for path in weights}
    return Fingerprint(found, adapters, tuple(repeated))


def differences(first: Fingerprint, second: Fingerprint) -> list[str]:
    """The names of all trajectories and adapters that only one has, or that are not bit-equal."""
    names = [*first.repeated, *second.repeated]
    for mine, other, what in (
        (first.trajectories, second.trajectories, "trajectory"),
        (first.adapters, second.adapters, "adapter"),
    ):
        both = sorted(mine.keys() | other.keys())
        names += [f"{what} {name}" for name in both if mine.get(name) != other.get(name)]
    return names


def _digest(row: StoredRow) -> str:
    played = row.trajectory
    about: list[Json] = [
        row.step,
        played.task_id,
        played.seed,
        played.attempt,
        [played.policy.name, played.policy.version, played.policy.digest],
        played.ending.stop.value,
        played.score.to_json() if played.score else None,
        repr(played.reward),
        list(played.hashes),
    ]
    hasher = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16)
    for segment in played.segments:
        for array in (
            segment.ids_T,
            segment.kinds_T,
            segment.call_T,
            segment.logprobs_T,
            segment.versions_T,
        ):
            hasher.update(array.tobytes())
    return hasher.hexdigest()
