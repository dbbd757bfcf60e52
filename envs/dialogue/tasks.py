"""Which help-desk tasks there are: templates by level, and what is kept from training."""

from __future__ import annotations

from random import Random

from tooldojo.envs.dialogue import choices, simple
from tooldojo.envs.dialogue.desk import PARTS, Desk
from tooldojo.envs.dialogue.household import SWITCHES
from tooldojo.envs.dialogue.wordings import WORDINGS
from tooldojo.envs.draft import Draft
from tooldojo.envs.templates import Template, compose

_TIMEOUT_CHANCE = 0.21  # of the tasks with calls; fewer of them than elsewhere have any


def _no_call(weight: float) -> tuple[Template[Desk], ...]:
    return (
        Template("unsupported", simple.unsupported, simple.WISHES, weight),
        Template("foreign", simple.foreign, simple.ERRANDS, weight),
    )


_SWITCHES = tuple(SWITCHES)

TEMPLATES: dict[int, tuple[Template[Desk], ...]] = {
    1: (
        Template("fact", simple.fact, tuple(simple.FACTS)),
        Template("part", simple.part, PARTS),
        Template("visit", simple.visit, ("asked", "given")),
        Template("stale", simple.stale, ("yellow", "dark")),
        *_no_call(0.25),
    ),
    2: (
        Template("fact", simple.fact, tuple(f"{item}_slip" for item in simple.FACTS)),
        Template("unknown", simple.unknown, tuple(simple.FACTS), 0.3),
        Template("switch", choices.switch, tuple(f"{name}_does" for name in _SWITCHES)),
        Template("unbar", choices.unbar, ("paid_right", "paid_right", "owes_right")),
        Template("lamp", choices.lamp, ("green", "yellow", "dark")),
        Template("plan", choices.plan, ("paid_right", "paid_right", "owes_right")),
        *_no_call(0.3),
    ),
    3: (
        Template("switch", choices.switch, tuple(f"{name}_forgets" for name in _SWITCHES)),
        Template("channel", choices.channel, ("does", "forgets")),
        Template("unbar", choices.unbar, ("paid_slip", "paid_slip", "owes_slip")),
        Template("lamp", choices.lamp, ("paid", "paid", "owes")),
        Template("plan", choices.plan, ("paid_slip", "paid_slip", "owes_slip")),
        Template("new_box", choices.new_box, ("right", "slip")),
        Template("moving", choices.moving, ("paid", "paid", "owes")),
        Template(
            "both", choices.both, tuple(f"{part}_{name}" for part in PARTS for name in _SWITCHES)
        ),
        *_no_call(0.45),
    ),
}

# Both halves of each pair occur in training: the item in other templates, the template with others.
UNSEEN_COMBOS = frozenset(
    {
        ("part", "antenna"),
        ("fact", "box_slip"),
        ("switch", "bridge_forgets"),
        ("plan", "owes_slip"),
        ("both", "adapter_filter"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Desk(rng), timeout_chance=_TIMEOUT_CHANCE)
