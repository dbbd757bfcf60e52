"""Which coding tasks there are: templates by level, and what is kept from training.

A level is a property of the request, so a request that the policy excludes stands at every level
and needs no call at any.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.coding import chains, choices, simple
from tooldojo.envs.coding.bodies import KINDS
from tooldojo.envs.coding.scene import Scene
from tooldojo.envs.coding.wordings import WORDINGS
from tooldojo.envs.draft import Draft
from tooldojo.envs.templates import Template, compose

_WITH_END = {
    "mend": tuple(f"{kind}_{end}" for kind in KINDS for end in ("broken", "broken", "fine")),
    "release_recover": tuple(
        f"{kind}_{end}" for kind in KINDS for end in ("stopped", "stopped", "stopped", "ready")
    ),
    "copy_release": tuple(f"{kind}_{end}" for kind in KINDS for end in ("passes", "fails")),
}


def _excluded() -> tuple[Template[Scene], ...]:
    return (
        Template("unsupported_plan", simple.unsupported, simple.THING_KINDS, 0.35),
        Template("declined_plan", simple.declined, KINDS, 0.3),
    )


TEMPLATES: dict[int, tuple[Template[Scene], ...]] = {
    1: (
        Template("value_of", simple.value_of, (*["known"] * 5, "unknown"), 1.5),
        Template("tests_of", simple.tests_of, ("broken", "whole")),
        Template("count_module", simple.count_module, ("draft", "released")),
        Template("write_body", simple.write_body, KINDS, 2.0),
        Template("release", simple.release, ("broken", "whole", "whole")),
        Template("where_is", simple.where_is, ("draft", "released"), 0.7),
        Template("unsupported", simple.unsupported, simple.THING_KINDS, 0.4),
        Template("declined", simple.declined, KINDS, 0.4),
    ),
    2: (
        Template("mend", choices.mend, _WITH_END["mend"]),
        Template("release_if", choices.release_if, ("above", "below")),
        Template("larger", choices.larger, ("first", "second")),
        Template("copy_body", choices.copy_body, KINDS),
        Template("only_draft", choices.only_draft, KINDS),
        Template("either_body", choices.either_body, ("passes", "fails")),
        *_excluded(),
    ),
    3: (
        Template("mend_release", chains.mend_release, KINDS),
        Template("release_recover", chains.release_recover, _WITH_END["release_recover"]),
        Template("mend_module", chains.mend_module, ("first", "second")),
        Template("best_of_three", chains.best_of_three, chains.PLACES),
        Template("copy_release", chains.copy_release, _WITH_END["copy_release"]),
        Template("carry_value", chains.carry_value, ("plus", "less", "times")),
        *_excluded(),
    ),
}

# Both halves of each pair occur in training: the kind of body with other templates, the template
# with other kinds.
UNSEEN_COMBOS = frozenset(
    {
        ("write_body", "gate"),
        ("copy_body", "cap"),
        ("only_draft", "scale"),
        ("mend", "rest_broken"),
        ("mend_release", "share"),
        ("release_recover", "gap_stopped"),
        ("copy_release", "floor_passes"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Scene(rng))
