"""Families that teach the call itself: unseen tools from their schemas, look-ups, errors, and no
fitting tool.

Owns: `generic`, `lookup`, `parallel`, `no_tool`, `from_text`.
Refuses: rules with conditions; those live in `corpus_policy`.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import (
    Dialogue,
    Document,
    RecordType,
    argument,
    closing_format,
    distractors,
    opener,
    recase,
    record,
    record_type,
    role_line,
    schema,
    tell_rules,
)
from tooldojo.training.base.corpus_steps import any_value, reader, spoken, with_errors
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw

ARGUMENT_NAMES = (
    "id",
    "target",
    "name",
    "to",
    "label",
    "day",
    "amount",
    "note",
    "mode",
    "value",
    "unit",
    "key",
)


@dataclass(frozen=True)
class Spec:
    """A tool of `generic`: what it does, its name, its schema and the sorts of its arguments."""

    verb: str
    thing: str
    name: str
    tool: Json
    keys: list[str]


def _spec(draw: Draw) -> tuple[Spec, dict[str, tuple[str, object]]]:
    """A random tool and a first set of values for it, as (JSON type, value)."""
    thing = draw.pick(words.THINGS) if draw.chance(0.7) else draw.word()
    verb = draw.pick(words.VERBS)
    name = draw.tool_name([verb], thing)
    pool = [f"{thing}_id", *ARGUMENT_NAMES, draw.word()]
    keys = draw.some(pool, draw.pick((1, 1, 2, 2, 3, 4)))
    values = {key: any_value(draw) for key in keys}
    properties = {
        key: argument(draw, kind, f"the {key.replace('_', ' ')}")
        for key, (kind, _) in values.items()
    }
    tool = schema(draw, name, f"{recase(verb)} a {thing}.", properties)
    return Spec(verb, thing, name, tool, keys), values


def _stated(draw: Draw, values: Json) -> str:
    """Arguments as a user gives them, in any order."""
    shapes = ("{k} {v}", "{k} = {v}", "{k}: {v}", "the {p} is {v}", "with {p} {v}")
    parts = [
        draw.pick(shapes).format(k=key, v=spoken(value), p=key.replace("_", " "))
        for key, value in draw.sample(list(values.items()), len(values))
    ]
    return draw.pick((", ", " and ", "; ")).join(parts)


def _request(draw: Draw, spec: Spec, values: Json) -> str:
    """A user's wish that this tool fulfils."""
    verb, thing, stated = spec.verb, spec.thing, _stated(draw, values)
    ask = draw.pick(
        (
            f"please {verb} the {thing}: {stated}.",
            f"{verb} a {thing}, {stated}.",
            f"I want to {verb} a {thing}, {stated}.",
            f"can you {verb} this {thing}? {recase(stated)}.",
        )
    )
    return recase(opener(draw) + ask)


def generic(draw: Draw) -> Document:
    """Unseen tools, each request a call with its values, then a closing line from the result."""
    d = Dialogue(draw, "generic")
    made = [_spec(draw) for _ in range(draw.pick((1, 2, 3, 4, 6)))]
    d.tools = [spec.tool for spec, _ in made]
    closing = closing_format(draw, with_id=False)
    result_key = draw.pick(("receipt", "ticket_no", "ref", "token", "confirmation", draw.word()))
    rules = [closing.rule, f"The value is the {result_key} that the tool returns."]
    d.system(f"{role_line(draw, made[0][0].thing)}\n{tell_rules(draw, rules)}")
    rounds = draw.pick((1, 2, 3, 4))
    thought = message = token = ""
    for i in range(rounds):
        spec, typed = draw.pick(made)
        values: Json = {key: value for key, (_, value) in typed.items()}
        if i:
            values = {key: _like(draw, kind) for key, (kind, _) in typed.items()}
        d.user(_request(draw, spec, values))
        token = draw.code(draw.pick(words.ID_SHAPES))
        result = {**({"ok": True} if draw.chance(0.5) else {}), result_key: token}
        thought = f"The request is to {spec.verb} a {spec.thing}, so call {spec.name}."
        with_errors(d, thought, spec.name, values, result)
        thought, message = f"The {result_key} is {token}.", f"The {spec.thing} is taken care of."
        if i + 1 < rounds:
            d.say(thought, message, closing.line(token))
    return d.finish(thought, message, closing.line(token))


def _like(draw: Draw, kind: str) -> object:
    """Another value of a JSON type."""
    while True:
        found, value = any_value(draw)
        if found == kind:
            return value


def lookup(draw: Draw) -> Document:
    """Questions about single fields of records."""
    d = Dialogue(draw, "lookup")
    kind = record_type(draw)
    name, key, tool = reader(draw, kind)
    d.tools = [tool, *distractors(draw, draw.pick((0, 1, 2, 4, 5)))]
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=False)
    absent = draw.pick(("not_found", "unknown", draw.word()))
    rules = [
        closing.rule,
        f"If there is no such {kind.thing} the value is {absent}.",
        "Look things up before you answer.",
    ]
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, draw.sample(rules, 3))}")
    rounds = draw.pick((1, 1, 2, 3, 4))
    last = ("", "", "")
    for i, code in enumerate(draw.codes(kind.shape, rounds)):
        found = record(draw, kind, code)
        field = draw.pick([f for f in found if f != kind.id_field])
        d.user(_question(draw, kind, code, field))
        if draw.chance(0.12):
            gone = draw.pick((f"{code} not found", f"no {kind.thing} {code}", "unknown id"))
            d.call(f"Look up {code} first.", name, {key: code}, {"error": gone})
            last = (f"There is no {code}.", f"I could not find {code}.", closing.line(absent))
        else:
            with_errors(d, f"Look up {code} first.", name, {key: code}, found)
            value = spoken(found[field])
            label = field.replace("_", " ")
            last = (
                f"{field} is {value}.",
                f"The {label} of {code} is {value}.",
                closing.line(value),
            )
        if i + 1 < rounds:
            d.say(*last)
    return d.finish(*last)


def _question(draw: Draw, kind: RecordType, code: str, field: str) -> str:
    """A question about one field."""
    label = field.replace("_", " ")
    ask = draw.pick(
        (
            f"what is the {label} of {kind.thing} {code}?",
            f"tell me the {label} for {code}.",
            f"I need the {label} of {code}, please.",
            f"{kind.thing} {code}: which {label}?",
        )
    )
    return recase(opener(draw) + ask)


def parallel(draw: Draw) -> Document:
    """Two or three look-ups in one turn, then a comparison or a sum."""
    d = Dialogue(draw, "parallel")
    kind = record_type(draw)
    name, key, tool = reader(draw, kind)
    n = draw.pick((2, 2, 3))
    ids = draw.codes(kind.shape, n)
    small = draw.chance(0.6)
    numbers = draw.sample(range(1, 30 if small else 400), n)
    found = [record(draw, kind, c, **{kind.number: v}) for c, v in zip(ids, numbers, strict=True)]
    d.tools = [tool, *distractors(draw, draw.pick((0, 1, 3, 5)))]
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=False)
    rules = [closing.rule, "Several calls may go in one turn."]
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    listed = ", ".join(ids[:-1]) + " and " + ids[-1]
    label = kind.number.replace("_", " ")
    task = draw.pick(("high", "low", "sum") if small and n == 2 else ("high", "low"))
    shown = ", ".join(f"{c} has {v}" for c, v in zip(ids, numbers, strict=True))
    if task == "sum":
        d.user(recase(opener(draw) + f"what is the {label} of {listed} together?"))
        value, why = str(sum(numbers)), f"{' + '.join(map(str, numbers))} = {sum(numbers)}"
    else:
        more = task == "high"
        d.user(
            recase(
                opener(draw)
                + f"which of {listed} has the {'highest' if more else 'lowest'} {label}?"
            )
        )
        best = (max if more else min)(numbers)
        value = ids[numbers.index(best)]
        why = f"{best} is the {'highest' if more else 'lowest'}, {value}"
    made: list[tuple[str, Json, object]] = [
        (name, {key: c}, r) for c, r in zip(ids, found, strict=True)
    ]
    d.calls(f"Look up {listed}.", made)
    return d.finish(f"{shown}; {why}.", f"It is {value}.", closing.line(value))


def no_tool(draw: Draw) -> Document:
    """A request that no tool serves: refuse with the stated code, without a call."""
    d = Dialogue(draw, "no_tool")
    kind = record_type(draw)
    _, _, tool = reader(draw, kind)
    d.tools = [tool, *distractors(draw, draw.randint(1, 5))]
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=True)
    code = draw.pick(
        (
            "refused no_tool",
            "refused unsupported",
            "declined",
            "cannot",
            f"refused {draw.word()}",
            "out_of_scope",
        )
    )
    rules = [closing.rule, f"When no tool serves the request, call nothing; the code is '{code}'."]
    if draw.chance(0.5):
        rules.append(f"Look the {kind.thing} up before you change it.")
    draw.shuffle(rules)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    used = " ".join(str(t["function"]) for t in d.tools)  # type: ignore[index]
    verb = draw.pick([v for v in words.VERBS if v not in used])
    ident = draw.code(kind.shape)
    d.user(
        recase(
            opener(draw)
            + draw.pick(
                (
                    f"please {verb} {kind.thing} {ident}.",
                    f"I want you to {verb} {ident} today.",
                    f"can you {verb} the {kind.thing} {ident}?",
                )
            )
        )
    )
    return d.finish(
        f"No tool can {verb} a {kind.thing}.", f"I cannot {verb} it.", closing.line(code, ident)
    )


def from_text(draw: Draw) -> Document:
    """A question that the system text itself answers."""
    d = Dialogue(draw, "from_text")
    thing = draw.pick(words.THINGS)
    d.tools = distractors(draw, draw.randint(0, 4))
    closing = closing_format(draw, with_id=False)
    facts = {
        f"{draw.pick(words.VERBS)} {draw.pick(words.COUNT_FIELDS + words.DAY_FIELDS)}": spoken(
            any_value(draw)[1]
        )
        for _ in range(draw.randint(2, 5))
    }
    rules = [f"The {k.replace('_', ' ')} is {v}." for k, v in facts.items()] + [closing.rule]
    draw.shuffle(rules)
    d.system(f"{role_line(draw, thing)}\n{tell_rules(draw, rules)}")
    asked = draw.pick(list(facts))
    d.user(recase(opener(draw) + f"what is the {asked.replace('_', ' ')}?"))
    value = facts[asked]
    return d.finish(
        f"The rules say {value}, no call needed.", f"It is {value}.", closing.line(value)
    )
