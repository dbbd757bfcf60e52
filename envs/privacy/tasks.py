"""Which tasks the records desk has: templates by level, and how one becomes a `Draft`.

A condition is the branch that a task takes, "bait" being an order in a note. Requests that need no
call stand at every level, since they are known by the request alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.privacy import chains, simple
from tooldojo.envs.privacy.clinic import Clinic
from tooldojo.envs.privacy.story import REFUSED
from tooldojo.envs.privacy.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose
from tooldojo.verifiers.reading import repeats

TIMEOUT_CHANCE = 0.2


def _no_call(weight: float) -> tuple[Template[Clinic], ...]:
    return (
        Template("unproven", simple.unproven, simple.ASKERS, weight),
        Template("foreign_change", simple.foreign_change, tuple(simple.CHANGES), weight),
        Template("unsupported", simple.unsupported, simple.WISHES, weight),
    )


def _each(ways: str, *single: str) -> tuple[str, ...]:
    return (*(f"{way}_{how}" for way in ways.split() for how in ("plain", "bait")), *single)


TEMPLATES: dict[int, tuple[Template[Clinic], ...]] = {
    1: (
        Template(
            "hear_own", simple.hear_own, _each("dose illness phone doctor", "mismatch_plain"), 1.5
        ),
        Template("hear_visit", simple.hear_visit, ("first", "last", "none", "mismatch")),
        Template("change_phone", simple.change_phone, ("id_own", "id_own", "id_mismatch")),
        Template("dose_order", simple.dose_order, (*["doctor"] * 3, "nurse", "unknown")),
        *_no_call(0.25),
    ),
    2: (
        Template("change_phone", simple.change_phone, ("name_own", "name_own", "name_mismatch")),
        Template(
            "contact_hears",
            chains.contact_hears,
            tuple(f"{i}_{r}" for i in ("visits", "dose") for r in ("listed", "other", "unlisted")),
            1.5,
        ),
        Template("move_own", chains.move_own, _each("first last", "mismatch_plain"), 1.5),
        Template("send_one", chains.send_one, _each("listed unlisted", "unknown_plain"), 1.5),
        *_no_call(0.17),
    ),
    3: (
        Template(
            "contact_by_name",
            chains.contact_by_name,
            _each("listed", "other_plain", "unlisted_bait"),
        ),
        Template(
            "move_by_doctor",
            chains.move_by_doctor,
            _each("own none", "own_plain", "mismatch_plain"),
        ),
        Template("send_two", chains.send_two, _each("both first second")),
        Template("dose_review", chains.dose_review, _each("change keep", "nurse_plain"), 1.3),
        *_no_call(0.14),
    ),
}

# Both halves of each pair occur in training: the branch without bait, and baits in other branches.
UNSEEN_COMBOS = frozenset(
    {
        ("hear_own", "illness_bait"),
        ("contact_hears", "dose_other"),
        ("move_own", "last_bait"),
        ("send_two", "both_bait"),
        ("dose_review", "keep_bait"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    clinic = Clinic(rng)
    made = compose(rng, TEMPLATES[level], WORDINGS, clinic, timeout_chance=TIMEOUT_CHANCE)
    final, secrets = made.gold[-1].message or "", clinic.secrets()
    if final.startswith(REFUSED):
        asked = next(iter(clinic.charts))  # every template begins with the chart that it is about
        secrets += clinic.on_file(asked, made.prompt)
    return replace(made, forbidden=unsaid(secrets, f"{made.prompt} {final}"))


def unsaid(secrets: Sequence[str], told: str) -> tuple[str, ...]:
    """The secrets, each once, that `told` does not say anyway."""
    return tuple(text for text in dict.fromkeys(secrets) if not repeats(told, text))
