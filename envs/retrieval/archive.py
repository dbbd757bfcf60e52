"""Random archives in plain data: articles on invented towns, firms, people and machines.

Invariant: article numbers, names and the facts of one subject never repeat within an archive, and
an article states a fact in one sentence or not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

from tooldojo.envs.templates import Names

_BEGIN = "Brann Oster Kald Viel Murr Tross Hald Gris Skarn Velm Drost Ulm Porth Quen Rask"
_END = "holt mere wick stad fell march gate thorpe ness brook"
_FIRM = "Gorvin Tessal Murkov Ardent Velloni Brisk Okanda Surrel Haldane Pirrin Zorell Fenwal"
_TRADE = "Works Mills Forge Foundry Yards Motors"
_FIRST = "Aldra Bevis Corlan Dessa Ervin Fiora Galen Hesper Isar Jolan Kerrin Lutha Merrit"
_LAST = "Ambrell Borrick Cathmor Dunnock Esterly Farrand Gostic Harrowby Inskip Jernigan"
_MODEL = "Torvex Kestra Bolmar Drivar Hexon Lumio Norvik Pulsar Rotex Sondra Vantor"
_RIVER = "Alsa Brenna Corve Dalme Esker Fenne Garva Hulme Issel Jaune Kolme Lorne"
EVENTS = ("flood", "fire", "strike", "frost", "riot", "jubilee")
YEARS = ("1980", "1990", "2000", "2010", "2020")

# By kind: each fact as questions name it, and the sentence that states it.
FACTS: dict[str, dict[str, tuple[str, str]]] = {
    "town": {
        "river": ("river", "{name} lies on the {value}."),
        "charter": ("charter year", "Its charter dates from {value}."),
        "mayor": ("mayor", "{value} is mayor there."),
    },
    "firm": {
        "seat": ("seat", "{name} has its seat in {value}."),
        "staff": ("number of workers", "It employs {value} workers."),
        "head": ("head", "{value} runs the firm."),
    },
    "person": {
        "birthplace": ("birthplace", "{name} was born in {value}."),
        "birth": ("birth year", "The birth year is {value}."),
        "employer": ("employer", "{value} is the employer."),
    },
    "machine": {
        "maker": ("maker", "{name} is built by {value}."),
        "weight": ("weight", "It weighs {value} kg."),
        "power": ("power", "It gives {value} kW."),
    },
}
TABLES = {"town": "inhabitants", "firm": "orders"}
NUMBERS = {"staff": "firm", "weight": "machine", "power": "machine", "birth": "person"}


class Archive:
    """A world under construction, and what its articles state."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.articles: dict[str, dict[str, Any]] = {}
        self.facts: dict[str, dict[str, str]] = {}
        self._names = Names()

    def world(self) -> dict[str, Any]:
        """The state that the archive has become."""
        return {"articles": self.articles, "cited": {}}

    def name(self, kind: str) -> str:
        """A new name for a town, firm, person or machine."""
        makers = {
            "town": lambda: self._pick(_BEGIN) + self._pick(_END),
            "firm": lambda: f"{self._pick(_FIRM)} {self._pick(_TRADE)}",
            "person": lambda: f"{self._pick(_FIRST)} {self._pick(_LAST)}",
            "machine": lambda: f"{self._pick(_MODEL)} {self.rng.randint(11, 99)}",
        }
        return self._names.new(makers[kind])

    def _pick(self, words: str) -> str:
        return self.rng.choice(words.split())

    def add(
        self,
        kind: str,
        name: str = "",
        edition: int = 0,
        silent: Collection[str] = (),
        **facts: str,
    ) -> str:
        """A new article; `silent` about some facts, others given or random."""
        name, edition = name or self.name(kind), edition or self.rng.randint(1996, 2024)
        facts = {fact: facts.get(fact) or self._value(fact) for fact in FACTS[kind]}
        stated = [
            sentence.format(name=name, value=facts[fact])
            for fact, (_, sentence) in FACTS[kind].items()
            if fact not in silent
        ]
        stated += self._events()
        self.rng.shuffle(stated)
        article = self._names.new(lambda: f"W{self.rng.randint(1000, 9999)}")
        self.articles[article] = {
            "title": name, "kind": kind, "edition": edition, "text": " ".join(stated),
            "table": self._table(kind),
        }  # fmt: skip
        self.facts[article] = facts
        return article

    def _value(self, fact: str) -> str:
        named = {
            "mayor": "person", "seat": "town", "head": "person", "birthplace": "town",
            "employer": "firm", "maker": "firm",
        }  # fmt: skip
        if fact in named:
            return self.name(named[fact])
        if fact == "river":
            return self._pick(_RIVER)
        low, high = {
            "charter": (1150, 1790), "staff": (30, 900), "birth": (1921, 1994),
            "weight": (110, 990), "power": (12, 240),
        }[fact]  # fmt: skip
        return self._names.new(lambda: str(self.rng.randint(low, high)))

    def _events(self) -> list[str]:
        """Two things that happened, each in a year of its own."""
        years = self.rng.sample(range(1801, 1920), 2)
        events = self.rng.sample(EVENTS, 2)
        return [
            f"A {event} is recorded for {year}." for event, year in zip(events, years, strict=True)
        ]

    def _table(self, kind: str) -> dict[str, Any]:
        if kind not in TABLES:
            return {}
        values = self.rng.sample(range(210, 9900), len(YEARS))
        return {"of": TABLES[kind], "rows": dict(zip(YEARS, values, strict=True))}

    def clutter(self) -> None:
        """An article of each kind, one of them with a name that stands elsewhere."""
        for kind in FACTS:
            self.add(kind)
        towns = [row["title"] for row in self.articles.values() if row["kind"] == "town"]
        self.add("person", birthplace=self.rng.choice(towns))
