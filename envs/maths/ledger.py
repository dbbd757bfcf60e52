"""Random ledgers and unit tables in plain data, drawn from one generator.

Invariant: ledger numbers, entries and units never repeat within a task.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from tooldojo.envs.templates import Names
from tooldojo.verifiers.exact import spelled

_PEOPLE = """
    Ragnar Solvei Tamsin Ulrich Viola Wanda Yorick Zelda Ambros Birgit Clemens Dorothea Egon Fabia
    Gunther Hilda Ivo Jutta Konrad Leonie Magnus Nadja Osric Petra
"""
_ITEMS = """
    lantern kettle saddle anvil barrel candle chisel crowbar dagger flute goblet harness hammock
    ladle mallet pitcher quill scythe shovel spindle tankard thimble trowel whistle
"""
_UNITS = "harg toll pim dravel sorn quist lodd veck brast"
PEOPLE, ITEMS, UNITS = _PEOPLE.split(), _ITEMS.split(), _UNITS.split()
RATES = ("tax", "fee", "rebate", "interest")
NOTES = ("alpha", "gamma", "delta", "omega", "sigma", "kappa")


class Ledger:
    """A world under construction, around one ledger."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._names = Names()
        self.ledgers: dict[str, dict[str, dict[str, str]]] = {}
        self.units: dict[str, dict[str, str]] = {}
        self.number = self._open()
        self.own = self.ledgers[self.number]

    def world(self) -> dict[str, Any]:
        """The state that the ledger has become."""
        return {"ledgers": self.ledgers, "units": self.units}

    def _open(self) -> str:
        number = self._names.new(lambda: f"I{self.rng.randint(10000, 99999)}")
        self.ledgers[number] = {"entries": {}, "notes": {}}
        return number

    def person(self) -> str:
        """A new first name."""
        return self._names.new(lambda: self.rng.choice(PEOPLE))

    def item(self) -> str:
        """A new thing, which is not in the ledger."""
        return self._names.new(lambda: self.rng.choice(ITEMS))

    def unit(self) -> str:
        """A new unit, which has no factor."""
        return self._names.new(lambda: self.rng.choice(UNITS))

    def priced(self) -> tuple[str, Fraction]:
        """A new thing and its price, now in the ledger."""
        item, price = self.item(), Fraction(self.rng.randint(5, 240), self.rng.choice((1, 2, 4)))
        self.own["entries"][item] = spelled(price)
        return item, price

    def rate(self) -> tuple[str, Fraction]:
        """A rate in percent, now in the ledger."""
        name = self._names.new(lambda: self.rng.choice(RATES))
        percent = Fraction(self.rng.randint(2, 60), 2)
        self.own["entries"][name] = spelled(percent)
        return name, percent

    def factor(self, one: str, other: str) -> Fraction:
        """How many of another unit make one unit, now in the table."""
        value = Fraction(self.rng.randint(3, 90), self.rng.choice((1, 2, 3)))
        self.units.setdefault(one, {})[other] = spelled(value)
        return value

    def note(self) -> tuple[str, Fraction]:
        """An old note's name and value."""
        name, value = self.free_note(), Fraction(self.rng.randint(11, 900))
        self.own["notes"][name] = spelled(value)
        return name, value

    def free_note(self) -> str:
        """A name under which nothing is noted."""
        return self._names.new(lambda: self.rng.choice(NOTES))

    def clutter(self) -> None:
        """More entries, another ledger, and a factor that nothing needs."""
        self.priced()
        self.ledgers[self._open()]["entries"] = {self.item(): str(self.rng.randint(5, 90))}
        self.factor(self.unit(), self.unit())
