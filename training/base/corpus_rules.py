"""Rules on records and the deeds that they govern, as the families with policies share them.

Owns: `Rule`, `Action`, and records that pass or fail rules on purpose.
Refuses: rules that cannot be decided from a record.
Invariant: a rule's wording, its check and what a thought says about it agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import RecordType, recase, record
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Rule:
    """A condition on a record: its wording, the code of a refusal, the check and what to say
    about it.

    `plain` is the wording without the code, for system texts that list the codes with the closing
    lines.
    """

    text: str
    plain: str
    code: str
    holds: Callable[[Json], bool]
    says: Callable[[Json, bool], str]


@dataclass(frozen=True)
class Action:
    """A tool that changes a record, with its rules in order and the code of success."""

    verb: str
    tool: str
    rules: list[Rule]
    done: str


def _code(draw: Draw, forms: list[str], field: str, value: str, other: str) -> str:
    form = draw.pick(forms)
    return form.format(v=value, f=field, o=other, n=draw.randint(1, 99), p=draw.word())


def status_rule(draw: Draw, kind: RecordType, verb: str) -> Rule:
    """Only records in one state (or two) may be acted on."""
    good = draw.some(kind.states, 2 if len(kind.states) > 2 and draw.chance(0.25) else 1)
    other = next(s for s in kind.states if s not in good)
    code = _code(draw, words.REASONS, kind.status, good[0], other)
    which = " or ".join(good)
    plain = draw.pick(
        (
            f"{recase(verb)} only a {which} {kind.thing}.",
            f"{recase(verb)} a {kind.thing} only when its {kind.status} is {which}.",
            f"A {kind.thing} has to be {which} before you {verb} it.",
        )
    )
    text = draw.pick(
        (
            f"{recase(verb)} a {kind.thing} only while its {kind.status} is {which}; "
            f"else refuse with {code}.",
            f"A {kind.thing} must be {which} to {verb} it, otherwise {code}.",
            f"To {verb}, {kind.status} has to be {which} (if not: {code}).",
            f"Only {which} ones can be subject to {verb}. Any other {kind.status}: {code}.",
        )
    )

    def says(r: Json, ok: bool) -> str:
        return f"{kind.status} is {r[kind.status]}, need {which}: {'ok' if ok else code}"

    return Rule(text, plain, code, lambda r: r[kind.status] in good, says)


def limit_rule(draw: Draw, kind: RecordType, verb: str) -> Rule:
    """A number or a price must not go over (or under) a limit."""
    priced = draw.chance(0.3)
    name = kind.price if priced else kind.number
    top = draw.randint(10, 400) if priced else draw.randint(1, max(2, kind.top - 1))
    upper = draw.chance(0.7)
    code = _code(draw, words.LIMIT_CODES, name, str(top), str(top))
    label = name.replace("_", " ") if draw.chance(0.5) else name
    bound = (
        draw.pick(("over", "more than", "above"))
        if upper
        else draw.pick(("under", "less than", "below"))
    )
    text = draw.pick(
        (
            f"Refuse to {verb} a {kind.thing} with {label} {bound} {top}: {code}.",
            f"Never {verb} when {label} is {bound} {top} ({code}).",
            f"If {label} is {bound} {top} do not {verb}, answer {code}.",
            f"The {label} limit to {verb} is {top}; {bound} that, {code}.",
        )
    )

    plain = draw.pick(
        (
            f"{recase(verb)} only up to {label} {top}."
            if upper
            else f"{recase(verb)} only from {label} {top} on.",
            f"Do not {verb} with {label} {bound} {top}.",
        )
    )

    def number(r: Json) -> float:
        value = r[name]
        assert isinstance(value, int | float)
        return value

    def holds(r: Json) -> bool:
        return number(r) <= top if upper else number(r) >= top

    def says(r: Json, ok: bool) -> str:
        side = ("not " if ok else "") + ("over" if upper else "under")
        return f"{name} {r[name]} is {side} {top}: {'ok' if ok else code}"

    return Rule(text, plain, code, holds, says)


def make_action(draw: Draw, kind: RecordType, verb: str, n_rules: int) -> Action:
    """An action with `n_rules` rules of different sorts."""
    makers = [status_rule, limit_rule]
    draw.shuffle(makers)
    rules = [make(draw, kind, verb) for make in makers[:n_rules]]
    done = draw.pick(
        (f"{verb}ed", f"{verb}_done", "done", "ok", draw.word(), f"{kind.thing}_{verb}")
    )
    return Action(verb, draw.tool_name([verb], kind.thing), rules, done)


def two_verbs(draw: Draw) -> list[str]:
    return draw.some(words.VERBS, 2)


def fitting(draw: Draw, kind: RecordType, code: str, rules: list[Rule]) -> Json:
    """A record that passes all rules or fails a random one, so that outcomes are balanced."""
    want = draw.randint(0, len(rules)) if draw.chance(0.75) else 0
    found: Json = {}
    for _ in range(200):
        found = record(
            draw,
            kind,
            code,
            **{
                kind.status: draw.pick(kind.states),
                kind.number: draw.randint(0, kind.top),
                kind.price: draw.price(),
                kind.owner: draw.person(),
            },
        )
        failed = next((i for i, rule in enumerate(rules, 1) if not rule.holds(found)), 0)
        if failed == want:
            break
    return found
