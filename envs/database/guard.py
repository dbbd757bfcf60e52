"""Model-written SQL on an in-memory SQLite database: read-only, bounded, and deterministic.

Promises, each with a test: one SELECT a call; no writes, ATTACH, PRAGMA or extensions; only listed
functions, none of which reads a clock or a random source; bounded steps, string sizes, rows and
characters shown. A query that breaks a promise, or that SQLite rejects, becomes a `ToolError` with
a reason for the model. Invariant: no query changes the database.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from tooldojo.envs.tools import ToolError

STEP_LIMIT = 200_000  # virtual machine operations, some tens of milliseconds
ROW_LIMIT = 20
TEXT_LIMIT = 240  # characters of rows that the model sees
_CHECK_EVERY = 1000  # operations between two looks at the step count

_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_FUNCTION_NAMES = """
    abs avg char coalesce concat count cume_dist dense_rank first_value format glob
    group_concat hex ifnull iif instr lag last_value lead length like lower ltrim max min
    nth_value ntile nullif percent_rank printf quote rank replace round row_number rtrim sign
    string_agg substr substring sum total trim typeof unicode upper
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 2000,
    sqlite3.SQLITE_LIMIT_COLUMN: 40,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 40,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 8,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


def connect(tables: dict[str, Any]) -> sqlite3.Connection:
    """A guarded database with these tables: `columns` as [name, type, reference], and `rows`."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("BEGIN")
    for name, table in tables.items():
        columns = ", ".join(f'"{column}" {kind}' for column, kind, _ in table["columns"])
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
        marks = ", ".join("?" * len(table["columns"]))
        connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', table["rows"])
    connection.execute("COMMIT")
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    connection.set_authorizer(_authorize)
    return connection


def run_select(connection: sqlite3.Connection, sql: str) -> str:
    """The rows of one SELECT as compact JSON.

    Raises:
        ToolError: for all but a SELECT within the limits, in SQLite's own words where it has some.
    """
    steps = 0

    def too_long() -> bool:
        nonlocal steps
        steps += _CHECK_EVERY
        return steps > STEP_LIMIT

    connection.set_progress_handler(too_long, _CHECK_EVERY)
    try:
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise ToolError("only a SELECT is allowed")
        rows = cursor.fetchmany(ROW_LIMIT + 1)
        cursor.close()
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise ToolError(_reason(str(error), steps > STEP_LIMIT)) from None
    finally:
        connection.set_progress_handler(None, 0)
    return shown(rows)


def shown(rows: list[Any]) -> str:
    """Rows or values as JSON, cut at `ROW_LIMIT` and `TEXT_LIMIT` with a note."""
    parts: list[str] = []
    for row in rows[:ROW_LIMIT]:
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain)
        if sum(map(len, parts)) + len(parts) + len(text) > TEXT_LIMIT:
            break
        parts.append(text)
    cut = "" if len(parts) == len(rows) else " (cut; ask for fewer rows)"
    return f"[{','.join(parts)}]{cut}"


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_OK if (second or "").lower() in _FUNCTIONS else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ACTIONS else sqlite3.SQLITE_DENY


def _reason(message: str, too_long: bool) -> str:
    if too_long:
        return "the query takes too many steps; make it simpler"
    if message in ("not authorized", "authorization denied"):
        return "only a SELECT is allowed"
    return message[:120]


def _plain(value: object) -> str:
    """Blobs as hexadecimal text: JSON has no bytes."""
    return value.hex() if isinstance(value, bytes) else str(value)
