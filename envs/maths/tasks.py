"""Which problems there are: templates by level, and what is kept from training."""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.maths import chains, simple
from tooldojo.envs.maths.ledger import Ledger
from tooldojo.envs.maths.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose

_MOST_CALLS = 7
_STEPS = ("plus", "minus", "times", "over")


def _no_call(weight: float) -> tuple[Template[Ledger], ...]:
    return (
        Template("undetermined", simple.undetermined, simple.OPEN, weight),
        Template("unsupported", simple.unsupported, simple.CHORES, weight),
    )


TEMPLATES: dict[int, tuple[Template[Ledger], ...]] = {
    1: (
        Template("cost", simple.cost, ("told", "noted")),
        Template("convert", simple.convert, ("direct_told", "direct_noted")),
        Template("percent", simple.percent, ("alone", "raised", "lowered")),
        Template("equation", simple.equation, ("told", "noted")),
        Template("carry_on", simple.carry_on, _STEPS),
        Template("copy", simple.copy, ("price", "rate")),
        *_no_call(0.37),
    ),
    2: (
        Template("share", chains.share, ("told", "noted")),
        Template("change", chains.change, ("left", "short")),
        Template("convert", simple.convert, ("far_told", "far_noted")),
        Template("discount", chains.discount, ("plus_given_told", "minus_given_told")),
        Template("budget", chains.budget, ("told", "noted")),
        Template("missing", simple.missing, ("told", "noted"), 0.25),
        *_no_call(0.35),
    ),
    3: (
        Template("bill", chains.bill, ("plus_told", "plus_noted", "minus_told", "minus_noted")),
        Template("discount", chains.discount, ("plus_entry_noted", "minus_entry_noted")),
        Template("freight", chains.freight, ("told", "noted")),
        Template("grow", chains.grow, ("plus_told", "plus_noted", "minus_told", "minus_noted")),
        Template("convert", simple.convert, ("far_noted",), 0.6),
        *_no_call(0.31),
    ),
}

# Both halves of each pair occur in training: noting in other templates, the template told.
UNSEEN_COMBOS = frozenset(
    {
        ("equation", "noted"),
        ("carry_on", "minus"),
        ("share", "noted"),
        ("bill", "minus_noted"),
        ("grow", "minus_told"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Ledger(rng), most_calls=_MOST_CALLS)
