"""Which archive tasks there are: templates by level, and what is kept from training."""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.retrieval import chains, simple
from tooldojo.envs.retrieval.archive import EVENTS, NUMBERS, TABLES, Archive
from tooldojo.envs.retrieval.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose

_MOST_CALLS = 7


def _no_call(weight: float) -> tuple[Template[Archive], ...]:
    return (
        Template("opinion", simple.opinion, simple.OPINIONS, weight),
        Template("chore", simple.chore, simple.CHORES, weight),
    )


def _pairs(firsts: tuple[str, ...], seconds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{first}_{second}" for first in firsts for second in seconds)


_NUMBERS, _LINKS = tuple(NUMBERS), tuple(chains.LINKS)
_DATED = ("staff", "head", "mayor", "charter", "employer", "power")
_WITH_TABLE = tuple(name for name, link in chains.LINKS.items() if link.target in TABLES)

TEMPLATES: dict[int, tuple[Template[Archive], ...]] = {
    1: (
        Template("fact_of", simple.fact_of, simple.ALL_FACTS),
        Template("fact_by_name", simple.fact_by_name, simple.ALL_FACTS, 1.3),
        Template("event", simple.event, EVENTS),
        Template("table", simple.table, _pairs(tuple(TABLES), ("year", "most", "fewest"))),
        *_no_call(0.25),
    ),
    2: (
        Template("edition", chains.edition, _pairs(_DATED, ("newer", "newer", "older"))),
        Template("unstated", chains.unstated, simple.ALL_FACTS, 0.6),
        Template("hop", chains.hop, _pairs(("stated",), _LINKS), 1.5),
        Template("compare", chains.compare, _pairs(_NUMBERS, ("higher", "lower"))),
        *_no_call(0.23),
    ),
    3: (
        Template("edition", chains.edition, _pairs(_DATED, ("older", "neither")), 0.8),
        Template(
            "hop_by_name",
            chains.hop_by_name,
            _pairs(("stated", "editions", "editions", "unstated"), _LINKS),
            1.6,
        ),
        Template("total", chains.total, _pairs(_NUMBERS[:3], ("given", "searched"))),
        Template("compare", chains.compare, _pairs(_NUMBERS, ("higher", "lower")), 0.5),
        Template("grown", chains.grown, _pairs(("most", "fewest"), _WITH_TABLE)),
        *_no_call(0.27),
    ),
}

# Both halves of each pair occur in training: the fact in other templates, the template with others.
UNSEEN_COMBOS = frozenset(
    {
        ("fact_of", "person_employer"),
        ("fact_by_name", "machine_power"),
        ("table", "firm_most"),
        ("edition", "mayor_older"),
        ("hop", "stated_seat"),
        ("compare", "weight_lower"),
        ("hop_by_name", "editions_maker"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Archive(rng), most_calls=_MOST_CALLS)
