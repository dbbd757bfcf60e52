"""What the APIs do to the records, and random records in plain data.

Invariant: an id or a name stands for one record of the whole state; a field's values differ within
an area where numbers are compared.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tooldojo.envs.catalogue.tables import AREAS, WARDENS, Area, Field, Value
from tooldojo.envs.templates import Names
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.canonical import content_hash

_FIRST = "Bri Cal Dor Fen Gal Hol Jas Kel Lor Mar Nor Pel Ros Sel Tam Vol Wil Zan"
_LAST = "bury dale fast gate hurst kin lock mere nock pole quist rick stow thorpe vane wick"
_STARTS, _ENDS = _FIRST.split(), _LAST.split()


def record(state: dict[str, Any], area: Area, subject: str) -> dict[str, Any]:
    """One record; an unknown id is an error for the model."""
    rows = state["records"][area.name]
    if subject not in rows:
        raise ToolError(f"no {area.noun} {subject}")
    return rows[subject]


def facts(row: dict[str, Any]) -> str:
    """A record as the model reads it."""
    return ", ".join(f"{name} {value}" for name, value in row.items())


def referring(state: dict[str, Any], warden: str) -> list[str]:
    """Ids of the records that have this warden."""
    tables = state["records"].values()
    return [i for rows in tables for i, row in rows.items() if row.get("warden") == warden]


def new_id(state: dict[str, Any], area: Area, name: str) -> str:
    """The id of a new record: derived from its name, so that the order does not matter."""
    taken = {i for rows in state["records"].values() for i in rows}
    number = int(content_hash([area.name, name]), 16) % 900
    while f"{area.letter}{100 + number}" in taken:
        number = (number + 1) % 900
    return f"{area.letter}{100 + number}"


def create(state: dict[str, Any], area: Area, values: list[Value]) -> str:
    """Add a record, its name first; a name that exists is refused."""
    name = str(values[0])
    if any(row["name"] == name for row in state["records"][area.name].values()):
        raise ToolError(f"there is a {area.noun} {name} already")
    row = {"name": name} | dict(zip((f.name for f in area.fields), values[1:], strict=True))
    if "warden" in row:
        record(state, AREAS[WARDENS], str(row["warden"]))
    subject = new_id(state, area, name)
    state["records"][area.name][subject] = row
    return subject


class Shelf:
    """A world under construction: two to four records an area."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._names = Names()
        self.state: dict[str, Any] = {"records": {name: {} for name in AREAS}, "frozen": []}
        for area in reversed(AREAS.values()):  # wardens first
            for _ in range(rng.choice((2, 3))):
                self.add(area)

    def name(self) -> str:
        """A new name."""
        return self._names.new(lambda: self.rng.choice(_STARTS) + self.rng.choice(_ENDS))

    def id(self, area: Area) -> str:
        """A new id of an area, of a record that need not exist."""
        return self._names.new(lambda: f"{area.letter}{self.rng.randint(100, 999)}")

    def rows(self, area: Area) -> dict[str, dict[str, Any]]:
        """The records of an area."""
        return self.state["records"][area.name]

    def pick(self, area: Area) -> str:
        """The id of a record of an area."""
        return self.rng.choice(list(self.rows(area)))

    def add(self, area: Area, **fixed: Value) -> str:
        """A new record; its numbers differ from those of its area."""
        row: dict[str, Value] = {"name": self.name()}
        for field in area.fields:
            taken = {other[field.name] for other in self.rows(area).values()}
            row[field.name] = self.value(field, taken if field.high else set())
        subject = self.id(area)
        self.rows(area)[subject] = row | fixed
        return subject

    def value(self, field: Field, but: set[Value]) -> Value:
        """A value that a field takes, other than those in `but`."""
        if field.name == "warden":
            options: list[Value] = list(self.rows(AREAS[WARDENS]))
        else:
            options = list(field.choices or range(field.low, field.high + 1))
        return self.rng.choice([each for each in options if each not in but])

    def outside(self, field: Field) -> Value:
        """A value that a field does not take."""
        if field.choices:
            strange = ("plaid", "velvet", "hollow", "mossy")
            return self.rng.choice(strange)
        return field.high + self.rng.randint(1, 40)

    def world(self) -> dict[str, Any]:
        """The state that the shelf has become."""
        return self.state

    def clutter(self) -> None:
        """Nothing: a shelf is full from the start."""

    def freeze(self, *areas: Area) -> None:
        """Let these areas be frozen, and of the others some by chance."""
        asked = {area.name for area in areas}
        self.state["frozen"] = [a for a in AREAS if a in asked or self.rng.random() < 0.2]

    def thaw(self, area: Area) -> None:
        """Let an area be open, and some others frozen by chance."""
        self.freeze()
        self.state["frozen"] = [a for a in self.state["frozen"] if a != area.name]
