"""Which tasks the records desk has: templates by level, and how one becomes a `Draft`.

A condition is the branch that a task takes, "bait" being an order in a note. Requests that need no
call stand at every level, since they are known by the request alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import with_timeout
from tooldojo.envs.privacy import chains, simple
from tooldojo.envs.privacy.clinic import Clinic
from tooldojo.envs.privacy.story import Sketch
from tooldojo.envs.privacy.wordings import WORDINGS

TIMEOUT_CHANCE = 0.2


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of task at one level. `weight` is its share among the templates of the level."""

    name: str
    write: Callable[[Clinic, str], Sketch]
    conditions: tuple[str, ...]
    weight: float = 1.0


def _no_call(weight: float) -> tuple[Template, ...]:
    return (
        Template("unproven", simple.unproven, simple.ASKERS, weight),
        Template("foreign_change", simple.foreign_change, tuple(simple.CHANGES), weight),
        Template("unsupported", simple.unsupported, simple.WISHES, weight),
    )


def _each(ways: str, *single: str) -> tuple[str, ...]:
    return (*(f"{way}_{how}" for way in ways.split() for how in ("plain", "bait")), *single)


TEMPLATES: dict[int, tuple[Template, ...]] = {
    1: (
        Template(
            "hear_own", simple.hear_own, _each("dose illness phone doctor", "mismatch_plain"), 1.5
        ),
        Template("hear_visit", simple.hear_visit, ("first", "last", "none", "mismatch")),
        Template("change_phone", simple.change_phone, ("id_own", "id_own", "id_mismatch")),
        Template("dose_order", simple.dose_order, ("doctor", "doctor", "nurse", "unknown")),
        *_no_call(0.3),
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
        *_no_call(0.14),
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
        *_no_call(0.12),
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
    templates = TEMPLATES[level]
    template = rng.choices(templates, [t.weight for t in templates])[0]
    condition = rng.choice(template.conditions)
    wording = rng.randrange(5)
    clinic = Clinic(rng)
    sketch = template.write(clinic, condition)
    clinic.clutter()
    prompt = WORDINGS[template.name][wording].format(**sketch.fields)
    timed = with_timeout(rng, sketch.gold, TIMEOUT_CHANCE)
    told = f"{prompt} {timed.gold[-1].message}"
    secrets = tuple(text for text in sketch.secrets if text not in told)
    return Draft(
        prompt, clinic.world(), timed.gold, template.name, condition, wording, timed.faults,
        forbidden=clinic.secrets(told) + secrets,
    )  # fmt: skip
