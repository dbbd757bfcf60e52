"""Which travel tasks there are: templates by level, and how one becomes a `Draft`.

A condition is the branch that a task takes; one listed twice is twice as frequent, where guessing
the other branch would pay. A level is a property of the request, so a request that the policy
excludes stands at every level and needs no call at any.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.templates import Template, compose
from tooldojo.envs.travel import chains, choices, simple
from tooldojo.envs.travel.scene import WEATHER, Scene
from tooldojo.envs.travel.wordings import WORDINGS

_PLAN_WEIGHTS = {2: 0.25, 3: 0.2}


def _declined(level: int) -> tuple[Template[Scene], ...]:
    weight = _PLAN_WEIGHTS[level]
    return (
        Template("unsupported_plan", simple.unsupported, simple.THING_KINDS, weight),
        Template("refused_plan", simple.refused, ("party", "minor"), weight),
    )


TEMPLATES: dict[int, tuple[Template[Scene], ...]] = {
    1: (
        Template("weather_report", simple.weather_report, WEATHER, 0.8),
        Template("flight_fact", simple.flight_fact, (*simple.FACTS, "unknown")),
        Template(
            "find_flight",
            simple.find_flight,
            ("cheapest", "earliest", "latest", "skip", "none"),
            1.5,
        ),
        Template("book_named", simple.book_named, ("free", "adult", "full", "unknown")),
        Template(
            "book_best",
            simple.book_best,
            ("cheapest", "earliest", "latest", "skip", "party", "within", "over", "none"),
            2.5,
        ),
        Template("cancel_named", simple.cancel_named, ("own", "own", "foreign")),
        Template("cancel_trip", simple.cancel_trip, ("match", "missing")),
        Template("fallback", chains.fallback, ("free",), 0.3),
        Template("unsupported", simple.unsupported, simple.THING_KINDS),
        Template("refused", simple.refused, ("party", "minor")),
    ),
    2: (
        Template("weather_city", choices.weather_city, choices.WAYS),
        Template("weather_date", choices.weather_date, choices.WAYS),
        Template("budget_city", choices.budget_city, ("within", "over", "none")),
        Template("cheaper_date", choices.cheaper_date, ("first", "second", "only")),
        Template("change_flight", choices.change_flight, ("free", "free", "full", "unknown")),
        Template("fare_check", choices.fare_check, ("within", "over", "before", "after")),
        *_declined(2),
    ),
    3: (
        Template("rebook", chains.rebook, chains.MOVES, 1.5),
        Template("storm_cancel", chains.storm_cancel, ("cancel", "keep")),
        Template("best_weather", chains.best_weather, chains.PLACES),
        Template("fallback", chains.fallback, ("next", "skip", "over")),
        Template("pair_trip", chains.pair_trip, ("cheapest", "earliest", "latest", "skip")),
        Template("round_trip", chains.round_trip, ("cheapest", "earliest", "latest", "mixed")),
        *_declined(3),
    ),
}

# Both halves of each pair occur in training: the wish with other templates, the template with other
# wishes.
UNSEEN_COMBOS = frozenset(
    {
        ("find_flight", "latest"),
        ("weather_city", "second_latest"),
        ("weather_date", "first_earliest"),
        ("rebook", "earliest_full"),
        ("round_trip", "latest"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Scene(rng), tidy=_tidy)


def _tidy(prompt: str) -> str:
    """An age ends with a comma of its own; drop it before another mark."""
    for mark in ".:;,":
        prompt = prompt.replace(f",{mark}", mark)
    return prompt
