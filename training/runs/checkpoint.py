"""Checkpoints that survive kill -9 at any moment.

Layout under the root: `step-000010/` with manifest.json (name, size and digest of every file),
state.json, learner.safetensors and groups.pickle. Owns writing (under a temporary name, flushed,
then renamed), verified reading with fall-back to the previous one, and pruning. Invariant: what
`latest` returns was completely written.
"""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file

from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.training.learning.moments import LearnerState
from tooldojo.training.runs.atomic import atomic_directory, file_digest, remove_leftovers
from tooldojo.verifiers.records import Json

LOG = logging.getLogger(__name__)
MANIFEST, STATE, TENSORS, GROUPS = (
    "manifest.json",
    "state.json",
    "learner.safetensors",
    "groups.pickle",
)
FORMAT = 2


class CheckpointError(RuntimeError):
    """A checkpoint is damaged or of another format; the message names the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Everything that the next step depends on.

    step: learner steps done. source: the task source's state. sampler: the state of what fills
    batches, with the tasks that were being played. policy: the published version. groups: finished
    groups that no step has trained on yet.
    """

    step: int
    learner: LearnerState
    source: dict[str, Json]
    policy: PolicyRef
    sampler: dict[str, Json] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()


def save_checkpoint(root: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write `root/step-N`, then delete all but the newest `keep`; returns the new directory."""
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root)
    folder = root / f"step-{checkpoint.step:06d}"
    with atomic_directory(folder) as draft:
        _write(draft, checkpoint)
    newer = [other for other in _folders(root) if other.name > folder.name]  # passed over: damaged
    older = [other for other in _folders(root) if other not in newer]
    for old in [*newer, *older[max(keep, 1) :]]:
        shutil.rmtree(old)
    return folder


def latest(root: Path) -> Checkpoint | None:
    """The newest checkpoint whose files are what its manifest says; None when there is none at all.

    A damaged one is passed over with a warning that names the bad file.

    Raises:
        CheckpointError: when there are checkpoints and all of them are damaged.
    """
    folders = _folders(root)
    problems = []
    for folder in folders:
        try:
            return load_checkpoint(folder)
        except CheckpointError as error:
            problems.append(str(error))
            LOG.warning("%s; trying the checkpoint before it", error)
    if problems:
        raise CheckpointError(f"no usable checkpoint under {root}: {'; '.join(problems)}")
    return None


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read one checkpoint after checking every file against the manifest.

    Raises:
        CheckpointError: naming the first file that is missing or differs.
    """
    _verify(folder)
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    if state["format"] != FORMAT:
        raise CheckpointError(f"{folder} has format {state['format']}, this version reads {FORMAT}")
    probes = {int(version): tuple(values) for version, values in state["probes"].items()}
    return Checkpoint(
        step=state["step"],
        learner=LearnerState(load_file(folder / TENSORS), state["optimiser_step"], probes),
        source=state["source"],
        policy=PolicyRef(**state["policy"]),
        sampler=state["sampler"],
        groups=pickle.loads((folder / GROUPS).read_bytes()),
    )


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    learner = checkpoint.learner
    state = {
        "format": FORMAT,
        "step": checkpoint.step,
        "optimiser_step": learner.step,
        "probes": learner.probes,
        "source": checkpoint.source,
        "sampler": checkpoint.sampler,
        "policy": asdict(checkpoint.policy),
    }
    (folder / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    save_file({n: t.contiguous() for n, t in learner.tensors.items()}, folder / TENSORS)
    # Groups are nested frozen records with arrays and evidence: pickle keeps them bit for bit
    # without a second schema. A checkpoint is private to its run, and its digests are checked
    # before anything is unpickled.
    (folder / GROUPS).write_bytes(pickle.dumps(checkpoint.groups, protocol=pickle.HIGHEST_PROTOCOL))
    files = {p.name: [p.stat().st_size, file_digest(p)] for p in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")


def _verify(folder: Path) -> None:
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = {name: (int(size), str(digest)) for name, (size, digest) in files.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder / MANIFEST} cannot be read ({error})") from error
    missing = {STATE, TENSORS, GROUPS} - expected.keys()
    if missing:
        raise CheckpointError(f"{folder / MANIFEST} does not list {', '.join(sorted(missing))}")
    for name, (size, digest) in expected.items():
        path = folder / name
        if not path.exists():
            raise CheckpointError(f"{path} is missing")
        if path.stat().st_size != size or file_digest(path) != digest:
            raise CheckpointError(f"{path} is damaged: its content is not what the manifest says")


def _folders(root: Path) -> list[Path]:
    """Complete checkpoints, newest first."""
    return sorted(root.glob("step-*"), reverse=True)
