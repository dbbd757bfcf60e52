"""Which tasks the catalogue has: templates by level, and how one becomes a `Draft`.

A condition is the branch that a task takes, often with the field that it is about.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.catalogue import chains, simple
from tooldojo.envs.catalogue.records import Shelf
from tooldojo.envs.catalogue.wordings import WORDINGS
from tooldojo.envs.draft import Draft
from tooldojo.envs.templates import Template, compose

TIMEOUT_CHANCE = 0.18
MOST_CALLS = 8  # a time-out's repetition included


def _no_call(weight: float) -> tuple[Template[Shelf], ...]:
    return (
        Template("guest", simple.guest, ("set", "remove"), weight),
        Template("unsupported", simple.unsupported, simple.WISHES, weight),
    )


_NUMBERS = ("first", "second")
_FIELDS = ("kind", *_NUMBERS)
_WISHES = tuple(f"{wish}_{which}" for wish in ("largest", "smallest") for which in _NUMBERS)

TEMPLATES: dict[int, tuple[Template[Shelf], ...]] = {
    1: (
        Template("tell_field", simple.tell_field, (*_FIELDS * 2, "unknown"), 1.2),
        Template("find_id", simple.find_id, (*["known"] * 5, "unknown")),
        Template("set_field", simple.set_field, (*_FIELDS, "outside"), 1.5),
        *_no_call(0.17),
    ),
    2: (
        Template("best_of", chains.best_of, _WISHES),
        Template("compare", chains.compare, _WISHES),
        Template("remove_row", chains.remove_row, (*["open"] * 4, "frozen")),
        Template("create_row", chains.create_row, ("inside", "inside", "outside"), 1.2),
        Template("hand_over", chains.hand_over, ("id",), 0.6),
        *_no_call(0.18),
    ),
    3: (
        Template("set_by_name", chains.set_by_name, (*_FIELDS * 2, "unknown"), 1.3),
        Template("change_best", chains.change_best, _WISHES, 1.3),
        Template("hand_over", chains.hand_over, (*["known"] * 5, "unknown")),
        Template(
            "retire",
            chains.retire,
            (*["used_shift", "open_shift"] * 2, "used_keep", "open_keep", "frozen_shift"),
            1.3,
        ),
        *_no_call(0.15),
    ),
}

# Both halves of each pair occur in training: the field with other templates, the template with
# other fields.
UNSEEN_COMBOS = frozenset(
    {
        ("set_field", "second"),
        ("best_of", "smallest_first"),
        ("compare", "largest_second"),
        ("set_by_name", "second"),
        ("change_best", "smallest_second"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(
        rng, TEMPLATES[level], WORDINGS, Shelf(rng),
        timeout_chance=TIMEOUT_CHANCE, most_calls=MOST_CALLS,
    )  # fmt: skip
