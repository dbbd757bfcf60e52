"""Files that are not whole: one error that names the file and says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


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
