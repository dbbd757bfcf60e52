"""Random databases: a theme's tables with drawn names and rows, and what a question can say.

Invariant: numbers and dates are distinct within a table and every filter keeps some rows and drops
some, so that "highest" and "first" name one row and no filter is without effect.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from random import Random
from typing import Any

from tooldojo.envs.database.guard import connect, run_select
from tooldojo.envs.database.themes import NAMES, THEMES, Field, Kind

FILTERS = ("category", "above", "below", "before", "after")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_NAME_COLUMNS = ("name", "full_name", "label", "called")


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its roles are key, name (or owner), category, number and, not always, date."""

    kind: Kind
    name: str
    columns: dict[str, str]
    rows: list[dict[str, Any]]  # by role

    def field(self, role: str) -> Field:
        """The kind's field of a role."""
        found = {
            "category": self.kind.category,
            "number": self.kind.number,
            "date": self.kind.date,
        }[role]
        assert found is not None
        return found

    def values(self, role: str) -> list[Any]:
        """The column's values, sorted."""
        return sorted(row[role] for row in self.rows)


@dataclass(frozen=True, slots=True)
class Filter:
    """A restriction on one table: as the question says it, as SQL, and which column it means."""

    words: str = ""
    sql: str = ""
    means: str = ""


class Scene:
    """A database under construction."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        theme = rng.choice(THEMES)
        self._names = rng.sample(NAMES, len(NAMES))
        self.things = self._table(theme.things, [])
        self.events = self._table(theme.events, self.things.rows)
        self.tables = [self.things, self.events]
        if rng.random() < 0.6:
            self.tables.append(self._table(theme.sides, []))
        rng.shuffle(self.tables)
        self.ref = f"{rng.choice(_LETTERS)}{rng.randint(100, 999)}"
        self._data: dict[str, Any] = {table.name: self._plain(table) for table in self.tables}
        self._connection: sqlite3.Connection | None = None

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        return {"tables": self._data, "saved": {}}

    def ask(self, sql: str) -> str:
        """The first value of a query's first row as an answer gives it, or "none"."""
        if self._connection is None:
            self._connection = connect(self._data)
        rows = json.loads(run_select(self._connection, sql))
        return str(rows[0][0]) if rows else "none"

    def pick(self, *, named: bool = False, dated: bool = False) -> Table:
        """A table with what a question needs."""
        able = [
            t for t in self.tables if (t.kind.named or not named) and (t.kind.date or not dated)
        ]
        return self.rng.choice(able)

    def absent_name(self) -> str:
        """A name that no row has."""
        return self._names.pop()

    def absent_table(self, table: Table) -> str:
        """Another name for a table, which the database does not know."""
        return self.rng.choice([name for name in table.kind.tables if name not in self._data])

    def restrict(self, table: Table, how: str, prefix: str = "") -> Filter:
        """A random filter of a kind.

        "all" restricts nothing. `prefix` goes before the column, for joins.
        """
        if how == "all":
            return Filter()
        if how == "category":
            field, column = table.kind.category, table.columns["category"]
            value = self.rng.choice(sorted({row["category"] for row in table.rows}))
            test = f"{prefix}{column} = '{value}'"
            return Filter(f" whose {field.word} is {value}", test, f"the {field.word} is {column}")
        role = "date" if how in ("before", "after") else "number"
        field, column = table.field(role), table.columns[role]
        limit = self.rng.choice(table.values(role)[1:-1])
        sign = "<" if how in ("below", "before") else ">"
        shown = f"'{limit}'" if role == "date" else str(limit)
        words = f" whose {field.word} is {how} {limit}"
        return Filter(words, f"{prefix}{column} {sign} {shown}", f"the {field.word} is {column}")

    def _table(self, kind: Kind, owners: list[dict[str, Any]]) -> Table:
        rng = self.rng
        size = rng.randint(6, 10) if owners else rng.randint(5, 7)
        categories = rng.sample(kind.category.values, 3)
        picked = [*categories[:2], *rng.choices(categories, k=size - 2)]
        numbers = rng.sample(range(kind.number.low, kind.number.high + 1), size)
        keys = rng.sample(range(10, 99), size)
        rows: list[dict[str, Any]] = []
        days = _dates(rng, size) if kind.date else []
        for place in range(size):
            row: dict[str, Any] = {"key": keys[place]}
            row |= (
                {"name": self._names.pop()} if kind.named else {"owner": rng.choice(owners)["key"]}
            )
            row |= {"category": picked[place], "number": numbers[place]}
            rows.append(row | ({"date": days[place]} if kind.date else {}))
        return Table(kind, rng.choice(kind.tables), self._columns(kind), rows)

    def _columns(self, kind: Kind) -> dict[str, str]:
        rng = self.rng
        columns = {"key": rng.choice((f"{kind.noun}_id", "id", f"{kind.noun}_no"))}
        if kind.named:
            columns["name"] = rng.choice(_NAME_COLUMNS)
        else:
            noun = self.things.kind.noun
            columns["owner"] = rng.choice((f"{noun}_id", f"{noun}_ref", noun))
        rest = {
            "category": rng.choice(kind.category.names),
            "number": rng.choice(kind.number.names),
        }
        rest |= {"date": rng.choice(kind.date.names)} if kind.date else {}
        return columns | dict(rng.sample(sorted(rest.items()), len(rest)))

    def _plain(self, table: Table) -> dict[str, Any]:
        columns: list[list[str | None]] = []
        for role, name in table.columns.items():
            kind = "text" if role in ("name", "category", "date") else "int"
            to = f"{self.things.name}.{self.things.columns['key']}" if role == "owner" else None
            columns.append([name, kind, to])
        return {
            "columns": columns,
            "rows": [[row[role] for role in table.columns] for row in table.rows],
        }


def _dates(rng: Random, size: int) -> list[str]:
    days = rng.sample(range(3 * 12 * 28), size)
    return [f"{2029 + d // 336}-{d // 28 % 12 + 1:02d}-{d % 28 + 1:02d}" for d in days]
