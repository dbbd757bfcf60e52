"""What database templates are written with: a `Sketch` as the result, a `Story` that writes gold.

A story keeps to what the model may know: column names appear in it only after the table was
described.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tooldojo.envs.database.scene import Filter, Scene, Table
from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a template fills in: the wording's fields and the demonstration."""

    fields: dict[str, str]
    gold: list[GoldTurn]


class Story(Script):
    """A demonstration on a scene."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    def list_tables(self, plural: str) -> None:
        """Ask for the tables, to find one."""
        self.do(
            f"The question names no table for the {plural}, so I list the tables.", "list_tables"
        )

    def describe(self, table: Table, named: bool = False) -> None:
        """Ask for the columns of a table."""
        thought = f"The {table.kind.plural} are in {table.name}; I look up its columns."
        if named:
            thought = f"I look up the columns of {table.name} before I query it."
        self.do(thought, "describe_table", table=table.name)

    def find(self, table: Table, named: bool) -> None:
        """List the tables unless the question names this one, then describe it."""
        if not named:
            self.list_tables(table.kind.plural)
        self.describe(table, named)

    def query(self, thought: str, sql: str) -> str:
        """Run a query; the value that it gives."""
        self.do(thought, "run_query", sql=sql)
        return self._scene.ask(sql)

    def end(self, value: str) -> list[GoldTurn]:
        """Close with a value."""
        ref = self._scene.ref
        thought = f"The result is {value}, and the reference is {ref}."
        if value == "none":
            thought = f"Nothing fits the question, so {ref} gets none."
        return self.close(thought, f"Answer: {value} {ref}")


def select(what: str, table: Table, keep: Filter, tail: str = "") -> str:
    """A SELECT on one table."""
    where = f" WHERE {keep.sql}" if keep.sql else ""
    return f"SELECT {what} FROM {table.name}{where}{tail}"


def mapping(table: Table, roles: Sequence[str], keep: Filter, does: str) -> str:
    """A thought that says which columns the question's words mean."""
    means = [f"the {table.field(role).word} is {table.columns[role]}" for role in roles]
    if keep.means and keep.means not in means:
        means.append(keep.means)
    return f"In {table.name} {' and '.join(means)}, so I {does}."


def words(table: Table, keep: Filter | None = None, named: bool = False) -> dict[str, str]:
    """The fields that most wordings use."""
    kind = table.kind
    fields = {"noun": kind.noun, "plural": kind.plural, "table": table.name}
    fields |= {"category": kind.category.word, "number": kind.number.word}
    fields |= {"date": kind.date.word} if kind.date else {}
    fields["place"] = f" in table {table.name}" if named else ""
    return fields | {"where": keep.words if keep else ""}
