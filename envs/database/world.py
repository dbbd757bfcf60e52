"""The database world: its policy and its six tools.

State: `tables` by name, each with columns and rows, and `saved` results by name. The SQLite
database is a cache built from the state at the first query; only `saved` can change.
"""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Any, ClassVar

from tooldojo.envs.database.guard import connect, run_select, shown
from tooldojo.envs.database.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You answer questions from a SQLite database. Rules:
1. Words of a question may differ from names in the database: call describe_table before a \
query, and first list_tables unless the table is named. A named table that is unknown stands \
under another name.
2. Dates are text like 2031-05-31. Sums and averages have two decimals, as by \
printf('%.2f', x).
3. If no row or no column fits, the value is none.
4. Call save_result only when asked to save.
5. If any part of a request would change the tables or needs something no tool can do: call \
nothing; the value is unsupported.
6. Repeat a call that timed out.
Close with one line: Answer: <value> <reference>."""


@register("tooldojo/Database-v0")
class Database(World):
    """Questions on tables whose names must be looked up."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look("unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS
    _connection: sqlite3.Connection | None = None

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    def on_load(self) -> None:
        """Forget the SQLite database of the state before."""
        self.close()

    def close(self) -> None:
        """Free the SQLite database; the next query builds it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @tool(mutates=False)
    def list_tables(self) -> str:
        """Names of all tables."""
        return ", ".join(self.state["tables"])

    @tool(mutates=False)
    def describe_table(self, table: str) -> str:
        """Columns of a table with types and references."""
        columns = self._table(table)["columns"]
        return ", ".join(f"{n} {kind}" + (f" -> {to}" if to else "") for n, kind, to in columns)

    @tool(mutates=False)
    def run_query(self, sql: str) -> str:
        """Rows of one SELECT."""
        if self._connection is None:
            self._connection = connect(self.state["tables"])
        return run_select(self._connection, sql)

    @tool(mutates=False)
    def column_values(self, table: str, column: str) -> str:
        """Distinct values of a column, sorted."""
        found = self._table(table)
        names = [name for name, _, _ in found["columns"]]
        if column not in names:
            raise ToolError(f"table {table} has no column {column}")
        return shown(sorted({row[names.index(column)] for row in found["rows"]}))

    @tool(mutates=False)
    def count_rows(self, table: str) -> str:
        """Number of rows of a table."""
        return str(len(self._table(table)["rows"]))

    @tool(mutates=True, idempotent=True)
    def save_result(self, name: str, value: str) -> str:
        """Save a value under a name."""
        self.state["saved"][name] = value
        return f"saved {name}"

    def _table(self, name: str) -> dict[str, Any]:
        if name not in self.state["tables"]:
            raise ToolError(f"no such table: {name}")
        return self.state["tables"][name]
