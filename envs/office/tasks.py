"""Which office tasks there are: templates by level, and what is kept from training.

A level is a property of the request, so a request that the policy excludes stands at every level
and needs no call at any.
"""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.office import chains, choices, simple
from tooldojo.envs.office.scene import Scene
from tooldojo.envs.office.wordings import WORDINGS
from tooldojo.envs.templates import Template, compose

_PLAN_WEIGHTS = {2: 0.35, 3: 0.35}


def _excluded(level: int) -> tuple[Template[Scene], ...]:
    weight = _PLAN_WEIGHTS[level]
    return (
        Template("unsupported_plan", simple.unsupported, simple.THING_KINDS, weight),
        Template("declined_plan", simple.declined, ("visitors", "weekend"), weight),
    )


TEMPLATES: dict[int, tuple[Template[Scene], ...]] = {
    1: (
        Template("mail_fact", simple.mail_fact, (*["topic", "sender"] * 2, "label", "unknown")),
        Template("first_free", simple.first_free, (*["earliest"] * 4, "latest", "none")),
        Template("book_named", simple.book_named, (*["free"] * 5, "busy")),
        Template(
            "book_own",
            simple.book_own,
            (*["earliest", "latest", "after"] * 2, "visitors", "none"),
            1.5,
        ),
        Template("cancel_named", simple.cancel_named, (*["own"] * 5, "foreign")),
        Template("cancel_topic", simple.cancel_topic, (*["match"] * 5, "missing")),
        Template("label_named", simple.label_named, (*["urgent", "later"] * 3, "unknown"), 0.7),
        Template("reply_named", simple.reply_named, (*["yes", "no"] * 3, "answered"), 0.7),
        Template("forward_named", simple.forward_named, ("plain", "plain", "private")),
        Template("unsupported", simple.unsupported, simple.THING_KINDS, 0.45),
        Template("declined", simple.declined, ("visitors", "weekend"), 0.45),
    ),
    2: (
        Template("book_pair", choices.book_pair, (*["earliest", "latest"] * 2, "none")),
        Template("either_day", choices.either_day, choices.WAYS),
        Template("move_named", choices.move_named, (*["free"] * 4, "busy", "foreign")),
        Template("triage", choices.triage, choices.TRIAGE),
        Template("reply_if_free", choices.reply_if_free, ("yes", "no")),
        Template("forward_topic", choices.forward_topic, (*["plain"] * 3, "private", "missing")),
        *_excluded(2),
    ),
    3: (
        Template("mail_invite", chains.mail_invite, ("earliest", "latest", "none")),
        Template("mail_request", chains.mail_request, chains.REQUESTS),
        Template("book_three", chains.book_three, (*["earliest"] * 4, "latest", "none"), 0.8),
        Template("shift", chains.shift, chains.SHIFTS),
        Template("fallback", chains.fallback, (*["earliest", "latest"] * 2, "none")),
        Template("forward_label", chains.forward_label, chains.PASSES, 0.8),
        *_excluded(3),
    ),
}

# Both halves of each pair occur in training: the wish with other templates, the template with other
# wishes.
UNSEEN_COMBOS = frozenset(
    {
        ("first_free", "latest"),
        ("either_day", "second_latest"),
        ("triage", "topic_no"),
        ("mail_request", "cancel_foreign"),
        ("book_three", "latest"),
        ("forward_label", "urgent_private"),
    }
)
UNSEEN_WORDINGS = frozenset({4})


def draft(rng: Random, level: int) -> Draft:
    """One random task of a level."""
    return compose(rng, TEMPLATES[level], WORDINGS, Scene(rng))
