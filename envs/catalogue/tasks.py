"""Which tasks the catalogue has: templates by level, and how one becomes a `Draft`.

A condition is the branch that a task takes, often with the field that it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tooldojo.envs.catalogue import chains, simple
from tooldojo.envs.catalogue.records import Shelf
from tooldojo.envs.catalogue.story import Sketch
from tooldojo.envs.catalogue.wordings import WORDINGS
from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import with_timeout

TIMEOUT_CHANCE = 0.18
MOST_CALLS = 8  # a time-out's repetition included


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of task at one level. `weight` is its share among the templates of the level."""

    name: str
    write: Callable[[Shelf, str], Sketch]
    conditions: tuple[str, ...]
    weight: float = 1.0


def _no_call(weight: float) -> tuple[Template, ...]:
    return (
        Template("guest", simple.guest, ("set", "remove"), weight),
        Template("unsupported", simple.unsupported, simple.WISHES, weight),
    )


_NUMBERS = ("first", "second")
_FIELDS = ("kind", *_NUMBERS)
_WISHES = tuple(f"{wish}_{which}" for wish in ("largest", "smallest") for which in _NUMBERS)

TEMPLATES: dict[int, tuple[Template, ...]] = {
    1: (
        Template("tell_field", simple.tell_field, (*_FIELDS, "unknown"), 1.2),
        Template("find_id", simple.find_id, ("known", "unknown")),
        Template("set_field", simple.set_field, (*_FIELDS, "outside"), 1.5),
        *_no_call(0.4),
    ),
    2: (
        Template("best_of", chains.best_of, _WISHES),
        Template("compare", chains.compare, _WISHES),
        Template("remove_row", chains.remove_row, ("open", "frozen")),
        Template("create_row", chains.create_row, ("inside", "inside", "outside"), 1.2),
        Template("hand_over", chains.hand_over, ("id",), 0.6),
        *_no_call(0.18),
    ),
    3: (
        Template("set_by_name", chains.set_by_name, (*_FIELDS, "unknown"), 1.3),
        Template("change_best", chains.change_best, _WISHES, 1.3),
        Template("hand_over", chains.hand_over, ("known", "known", "unknown")),
        Template(
            "retire",
            chains.retire,
            ("used_shift", "used_keep", "open_shift", "open_keep", "frozen_shift"),
            1.3,
        ),
        *_no_call(0.18),
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
    templates = TEMPLATES[level]
    template = rng.choices(templates, [t.weight for t in templates])[0]
    condition = rng.choice(template.conditions)
    wording = rng.randrange(5)
    shelf = Shelf(rng)
    sketch = template.write(shelf, condition)
    prompt = WORDINGS[template.name][wording].format(**sketch.fields)
    timed = with_timeout(rng, sketch.gold, TIMEOUT_CHANCE, MOST_CALLS)
    return Draft(prompt, shelf.state, timed.gold, template.name, condition, wording, timed.faults)
