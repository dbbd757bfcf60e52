"""Directories that appear complete or not at all, and digests of what is in them.

Invariant: a reader never sees a half-written directory under its final name, whenever the writer
was killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = ".writing-"


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A temporary directory beside `target` to write into; on success it takes `target`'s name and
    place.

    Files and directories are flushed to disk before the rename. On an exception the temporary
    directory goes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY}{target.name}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            fsync(path)
        fsync(temporary)
        _take_place(temporary, target)
        fsync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, target: Path) -> None:
    """Rename; a directory that is already there is first moved aside (rename cannot replace a full
    one)."""
    if not target.exists():
        temporary.rename(target)
        return
    aside = target.parent / f"{TEMPORARY}{target.name}-{os.getpid()}-old"
    shutil.rmtree(aside, ignore_errors=True)
    target.rename(aside)
    temporary.rename(target)
    shutil.rmtree(aside)


def fsync(path: Path) -> None:
    """Flush a file or a directory to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """32 hex digits over a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left behind in `folder`."""
    for path in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)
