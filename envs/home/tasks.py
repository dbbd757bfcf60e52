"""Which home tasks there are: templates by level, and what is kept from training.

A level is a property of the request, so a request that the policy excludes stands at every level
and needs no call at any.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.home import chains, choices, simple
from tooldojo.envs.home.scene import KINDS, Scene
from tooldojo.envs.home.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose

_PLAN_WEIGHTS = {2: 0.3, 3: 0.3}
_EXTREMES = tuple(
    f"{s}_{place}" for s in ("temp", "light") for place in ("first", "second", "third")
)


def _excluded(level: int) -> tuple[Template[Scene], ...]:
    weight = _PLAN_WEIGHTS[level]
    return (
        Template("unsupported_plan", simple.unsupported, simple.THING_KINDS, weight),
        Template("declined_plan", simple.declined, ("heat", "child"), weight),
    )


TEMPLATES: dict[int, tuple[Template[Scene], ...]] = {
    1: (
        Template("sensor_fact", simple.sensor_fact, ("temp", "light", "humidity", "people")),
        Template("where_thing", simple.where_thing, (*["known"] * 4, "unknown"), 0.7),
        Template("set_named", simple.set_named, (*KINDS, *KINDS, "guest", "guest", "unknown"), 1.4),
        Template("set_room", simple.set_room, KINDS, 1.5),
        Template("lock_named", simple.lock_named, (*["open", "locked"] * 3, "already")),
        Template("play_named", simple.play_named, (*["known"] * 5, "unknown")),
        Template("timer_named", simple.timer_named, KINDS),
        Template("unsupported", simple.unsupported, simple.THING_KINDS, 0.35),
        Template("declined", simple.declined, ("heat", "child"), 0.35),
    ),
    2: (
        Template("react", choices.react, choices.TESTS),
        Template("two_levels", choices.two_levels, choices.TESTS),
        Template("colder", choices.colder, ("first", "second")),
        Template("play_if", choices.play_if, ("played", "kept")),
        Template("clean_room", choices.clean_room, (*["empty", "awake"] * 3, "asleep")),
        Template("secure", choices.secure, (*["empty"] * 4, "awake", "asleep")),
        *_excluded(2),
    ),
    3: (
        Template("fetch", chains.fetch, ("plain", "locked", "holding")),
        Template("carry", chains.carry, (*["given"] * 4, "found", "found", "gone")),
        Template(
            "clean_either", chains.clean_either, ("first", "first", "second", "locked", "none")
        ),
        Template("comfort", chains.comfort, chains.COMFORT, 0.8),
        Template("timers", chains.timers, KINDS, 0.8),
        Template("extreme", chains.extreme, _EXTREMES),
        Template("leave", chains.leave, (*["empty"] * 4, "awake", "asleep")),
        *_excluded(3),
    ),
}

# Both halves of each pair occur in training: the sensor or kind with other templates, the template
# with other conditions.
UNSEEN_COMBOS = frozenset(
    {
        ("timer_named", "blind"),
        ("react", "humidity_yes"),
        ("two_levels", "temp_no"),
        ("timers", "heater"),
        ("extreme", "light_second"),
        ("extreme", "temp_third"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Scene(rng))
