"""Families that teach rules: act when the written conditions hold, refuse with the stated code
when they do not.

Owns: `act`, and the texts and decisions that `corpus_chain` shares.
Refuses: conditions that cannot be decided from the dialogue.
Invariant: rules are checked in the order in which they are written; the first that fails gives
the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import (
    Closing,
    Dialogue,
    Document,
    RecordType,
    argument,
    closing_format,
    distractors,
    opener,
    recase,
    record_type,
    role_line,
    schema,
    tell_rules,
)
from tooldojo.training.base.corpus_rules import Action, fitting, make_action, two_verbs
from tooldojo.training.base.corpus_steps import reader, with_errors
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Extra:
    """What an action's tool takes besides the id: its schema, and how a request fills it.

    `fill` draws a value and its wording; None stands for the record's own value of that field.
    """

    properties: dict[str, Json]
    fill: Callable[[], tuple[Json, str]]


def _extra(draw: Draw, kind: RecordType) -> Extra:
    """At most one argument more: a colour, a reason, an amount, or a field of the record."""
    sort = draw.pick(("none", "none", "colour", "reason", "amount", "field", "field"))
    if sort == "colour":
        name = draw.pick(("to", "new_value", f"new_{kind.colour}"))
        schemas = {name: argument(draw, "string", f"new {kind.colour}", kind.colours)}
        return Extra(schemas, lambda: _filled(name, draw.pick(kind.colours), " to {v}"))
    if sort == "reason":
        options = [draw.pick(words.COMMON) + "_" + draw.pick(words.COMMON) for _ in range(3)]
        name = draw.pick(("reason", "cause", "why"))
        schemas = {name: argument(draw, "string", "one of the reasons", options)}
        return Extra(schemas, lambda: _filled(name, draw.pick(options), ", reason {v}"))
    if sort == "amount":
        name = draw.pick(("amount", "by", "units", "days"))
        schemas = {name: argument(draw, "integer", f"{name} as a number")}
        return Extra(schemas, lambda: _filled(name, draw.randint(1, 60), f", {name} {{v}}"))
    if sort == "field":
        name, number = draw.pick(((kind.price, True), (kind.owner, False)))
        type_ = "number" if number else "string"
        schemas = {name: argument(draw, type_, f"{name} in the record")}
        return Extra(schemas, lambda: ({name: None}, ""))
    return Extra({}, lambda: ({}, ""))


def _filled(name: str, value: object, said: str) -> tuple[Json, str]:
    return {name: value}, said.format(v=value)


@dataclass(frozen=True)
class Setting:
    """What stays the same over the requests of one dialogue."""

    kind: RecordType
    actions: list[Action]
    extra: Extra  # of the first action
    reader: str
    key: str
    closing: Closing
    finder: Finder | None


REQUESTS = (1, 1, 1, 2, 2, 3)  # later requests of a dialogue reuse its rules, which trains more


def act(draw: Draw) -> Document:
    """Look a record up (perhaps by its owner), check the rules, then act or refuse."""
    d = Dialogue(draw, "act")
    kind = record_type(draw)
    verbs = two_verbs(draw)[: draw.pick((1, 2, 2))]
    actions = [make_action(draw, kind, verb, draw.pick((1, 1, 2))) for verb in verbs]
    name, key, tool = reader(draw, kind)
    d.tools = [tool]
    extra = _extra(draw, kind)
    for each in actions:
        own = {key: argument(draw, "string", f"{kind.id_field} of the {kind.thing}")}
        own |= extra.properties if each is actions[0] else {}
        d.tools.append(schema(draw, each.tool, f"{recase(each.verb)} a {kind.thing}.", own))
    closing = closing_format(draw, with_id=True)
    finder = _finder(draw, kind, d) if draw.chance(0.3) else None
    tell_policy(d, kind, actions, closing)
    setting = Setting(kind, actions, extra, name, key, closing, finder)
    document = _request(d, setting)
    for _ in range(draw.pick(REQUESTS) - 1):
        document = _request(d, setting)
    return document


def _request(d: Dialogue, setting: Setting) -> Document:
    """One request and all that follows from it."""
    draw, kind, closing = d.draw, setting.kind, setting.closing
    action = draw.pick(setting.actions)
    code = draw.code(kind.shape)
    found = fitting(draw, kind, code, action.rules)
    values, said = setting.extra.fill() if action is setting.actions[0] else ({}, "")
    if setting.finder and draw.chance(0.7):
        person = str(found[kind.owner])
        _ask_by_owner(d, kind, action.verb, setting.finder, person, code, said)
        thought = f"It is {code}. Look it up."
    else:
        _ask_by_id(d, kind, action.verb, code, said)
        thought = f"Look up {code} first."
    look_up: Json = {setting.key: code}
    if draw.chance(0.06):
        d.call(thought, setting.reader, look_up, {"error": f"{code} not found"})
        closing_line = closing.line("refused not_found", code)
        return d.finish(f"There is no {code}.", "I could not find it.", closing_line)
    with_errors(d, thought, setting.reader, look_up, found)
    own = {k: found[k] if v is None else v for k, v in values.items()}
    return decide(d, action, found, {setting.key: code, **own}, closing, code)


def _ask_by_owner(
    d: Dialogue, kind: RecordType, verb: str, finder: Finder, person: str, code: str, said: str
) -> None:
    """The request names the owner, so a first call finds the id."""
    draw = d.draw
    who = draw.email(person) if finder.by_mail else person
    begin = opener(draw)
    ask = draw.pick(
        (
            f"please {verb} the {kind.thing} of {who}{said}.",
            f"{verb} the {kind.thing} that belongs to {who}{said}.",
        )
    )
    d.user(recase(begin + ask))
    record_of: Json = {kind.owner: person, kind.id_field: code}
    result = record_of if draw.chance(0.7) else {"matches": [code]}
    thought = f"First find the {kind.thing} of {who}."
    with_errors(d, thought, finder.name, {finder.key: who}, result)


def _ask_by_id(d: Dialogue, kind: RecordType, verb: str, code: str, said: str) -> None:
    """The request gives the id."""
    draw = d.draw
    begin = opener(draw)
    ask = draw.pick(
        (
            f"please {verb} {kind.thing} {code}{said}.",
            f"I want to {verb} {code}{said}.",
            f"can you {verb} the {kind.thing} {code}{said}?",
            f"{verb} {code}{said}, thanks.",
        )
    )
    d.user(recase(begin + ask))


@dataclass(frozen=True)
class Finder:
    """A tool that finds a record by its owner's email or name."""

    name: str
    key: str
    by_mail: bool


def _finder(draw: Draw, kind: RecordType, d: Dialogue) -> Finder:
    """Draws such a tool and puts it into the dialogue."""
    by_mail = draw.chance(0.5)
    name = draw.tool_name(words.FIND_VERBS, kind.thing)
    keys = ("email", "mail", "address") if by_mail else (kind.owner, "name", "person")
    key = draw.pick(keys)
    about = f"Find a {kind.thing} by the {'email' if by_mail else 'name'} of its {kind.owner}."
    d.tools.append(schema(draw, name, about, {key: argument(draw, "string", about)}))
    return Finder(name, key, by_mail)


def tell_policy(
    d: Dialogue,
    kind: RecordType,
    actions: list[Action],
    closing: Closing,
    more: Sequence[str] = (),
) -> None:
    """The system text: rules of all actions, the codes and the closing line; distractor tools
    around.
    """
    draw = d.draw
    if draw.chance(0.4):
        _listing(d, kind, actions, closing, more)
        return
    rules = [rule.text for action in actions for rule in action.rules]
    for action in actions:
        rules.append(
            draw.pick(
                (
                    f"After you {action.verb} a {kind.thing} the code is {action.done}.",
                    f"Success code of {action.verb}: {action.done}.",
                    f"When {action.verb} worked, <code> is {action.done}.",
                )
            )
        )
    extra = draw.some(
        (
            f"Look the {kind.thing} up before you change it.",
            "Check rules in the order given.",
            "Be brief.",
            "When a tool reports an error, try once more.",
            "Act only on what was asked.",
        ),
        draw.randint(0, 2),
    )
    refusal = draw.pick(
        (
            "A refusal has the code 'refused' and the reason.",
            "Refusals: <code> is 'refused <reason>'.",
            "When refused, <code> is the word refused and the reason.",
        )
    )
    extra = [*more, *extra]
    rules = rules + extra if draw.chance(0.5) else extra + rules
    rules += [refusal, closing.rule]
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    d.tools += distractors(draw, draw.pick((0, 0, 1, 2, 4)))
    draw.shuffle(d.tools)


def _listing(
    d: Dialogue,
    kind: RecordType,
    actions: list[Action],
    closing: Closing,
    more: Sequence[str] = (),
) -> None:
    """The other style of system text: rules without codes, then one closing line for each
    outcome.
    """
    draw = d.draw
    rules = [*more, *(rule.plain for action in actions for rule in action.rules)]
    rules += draw.some(
        (
            f"Look the {kind.thing} up first.",
            "Refuse what is forbidden.",
            "Repeat a call that failed.",
        ),
        draw.randint(0, 2),
    )
    codes = [rule.code for action in actions for rule in action.rules]
    ident = draw.pick(("<id>", f"<{kind.thing}>", f"<{kind.id_field}>"))
    lines = [closing.line(action.done, ident) for action in actions]
    lines.append(closing.line(f"refused <{'|'.join([*dict.fromkeys(codes), 'not_found'])}>", ident))
    if draw.chance(0.4):
        lines.append(closing.line("unsupported", ident))
    draw.shuffle(lines)
    head = draw.pick(
        ("End with one line:", "Close with one of these lines:", "The last line is one of:")
    )
    listed = "\n".join(lines)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}\n{head}\n{listed}")
    d.tools += distractors(draw, draw.pick((0, 0, 1, 2, 4)))
    draw.shuffle(d.tools)


def decide(
    d: Dialogue,
    action: Action,
    found: Json,
    values: Json,
    closing: Closing,
    ident: str,
    note: str = "",
) -> Document:
    """Check the rules aloud, then act or refuse; `note` is a fact to say before the call."""
    draw, facts = d.draw, []
    for rule in action.rules:
        ok = rule.holds(found)
        facts.append(rule.says(found, ok))
        if not ok:
            thought = "; ".join(facts) + ". Refuse."
            return d.finish(
                thought,
                f"I cannot {action.verb} {ident}.",
                closing.line(f"refused {rule.code}", ident),
            )
    said: list[object] = [
        {"ok": True},
        {"done": ident},
        f"{ident} {action.verb}ed",
        f"{action.verb}: {ident}",
        "ok",
    ]
    result = draw.pick(said)
    facts += [note] if note else []
    thought = "; ".join(facts) + ". " if facts else ""
    with_errors(d, f"{thought}Call {action.tool}.", action.tool, values, result, p=0.08)
    return d.finish(
        f"{recase(action.verb)} worked, code {action.done}.",
        f"{ident} is taken care of.",
        closing.line(action.done, ident),
    )
