"""Files are written whole or not at all; one that is torn has one error that says what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tooldojo.verifiers.records import Json


class DamagedFile(ValueError):
    """A file is torn, or is not what its place says; the message is one line for the user."""

    def __init__(self, path: Path, why: object) -> None:
        reason = " ".join(str(why).split()) or type(why).__name__
        super().__init__(
            f"{path} is damaged ({reason[:160]}); delete it, or bring a whole copy back"
        )


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DamagedFile: when it is torn.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise DamagedFile(path, error) from None


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: a temporary name, then a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:  # gone after the rename; a full disk must not keep half a file
        temporary.unlink(missing_ok=True)


def write_json(path: Path, data: Json | dict) -> None:
    """`write_text` of indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def opened_shard(shard: Path, columns: Sequence[str]) -> Iterator[pq.ParquetFile]:
    """A Parquet file that must have these columns.

    Raises:
        DamagedFile: when it is torn, here or in a block that reads it, or lacks a column.
    """
    try:
        with pq.ParquetFile(shard) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise DamagedFile(shard, f"it has no column {missing[0]!r}")
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(shard, error) from None
