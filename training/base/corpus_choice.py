"""Families that teach choice: pick one record of a list by a condition, take one of two actions.

Owns: `choose` and `branch`.
Refuses: rules on single records; those live in `corpus_policy`.
Invariant: as in `corpus_parts`; ties do not occur.
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
from tooldojo.training.base.corpus_rules import two_verbs
from tooldojo.training.base.corpus_steps import reader, with_errors
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Shelf:
    """The setting of `choose`: a group of records, the tool that lists it, the tool that acts.

    `extra` are further arguments of the acting tool that the request gives.
    """

    group_name: str
    group: str
    lister: str
    verb: str
    actor: str
    key: str
    extra: Json


def _shelf(draw: Draw, d: Dialogue, kind: RecordType) -> Shelf:
    """Draws the setting and puts its tools into the dialogue."""
    group_name = draw.pick(("group", "area", "kind", "section", "shelf", draw.word()))
    group = draw.word() if draw.chance(0.7) else draw.code(draw.pick(words.ID_SHAPES))
    lister, verb = draw.tool_name(words.LIST_VERBS, kind.thing), draw.pick(words.VERBS)
    actor = draw.tool_name([verb], kind.thing)
    key = draw.pick((kind.id_field, "id", "choice", draw.word()))
    target = {key: argument(draw, "string", f"{kind.id_field} of the one to {verb}")}
    extra: Json = {}
    if draw.chance(0.5):
        extra = {draw.pick(("name", "by", "person", "holder", draw.word())): draw.person()}
        target |= {k: argument(draw, "string", "who it is for") for k in extra}
    of = {group_name: argument(draw, "string", f"the {group_name}")}
    d.tools = [
        schema(draw, lister, f"List each {kind.thing} of a {group_name}.", of),
        schema(draw, actor, f"{recase(verb)} a {kind.thing}.", target),
        *distractors(draw, draw.pick((0, 1, 2, 4))),
    ]
    draw.shuffle(d.tools)
    return Shelf(group_name, group, lister, verb, actor, key, extra)


def choose(draw: Draw) -> Document:
    """List records, pick one by a condition, then answer with it or act on it."""
    d = Dialogue(draw, "choose")
    kind = record_type(draw)
    shelf = _shelf(draw, d, kind)
    verb, group = shelf.verb, shelf.group
    pick = pick_task(draw, kind)
    closing = closing_format(draw, with_id=True)
    done = draw.pick((f"{verb}ed", "done", "chosen", draw.word()))
    none = draw.pick(("none_fits", "no_match", draw.word()))
    act_too = draw.chance(0.7)
    found = draw.pick(("found", "picked", draw.word()))
    rules = [
        f"After you {verb} one, the code is {done}.",
        f"When only asked which, do not {verb}; the code is {found}.",
        f"When nothing fits, the line has code {none} and the {shelf.group_name} in place of "
        "the id.",
        closing.rule,
    ]
    draw.shuffle(rules)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    where = f"in {shelf.group_name} {group}"
    whom = "".join(f" for {v}" for v in shelf.extra.values())
    act_on, tell = (
        f"{verb} the {pick.asked} {where}{whom}.",
        f"which {kind.thing} {where} is the {pick.asked}?",
    )
    d.user(recase(opener(draw) + (act_on if act_too else tell)))
    rows = _envelope(draw, kind, pick.rows)
    with_errors(d, f"List what is {where}.", shelf.lister, {shelf.group_name: group}, rows, p=0.1)
    if pick.wanted is None:
        return d.finish(
            f"{pick.why}. Nothing fits.", f"Nothing {where} fits.", closing.line(none, group)
        )
    ident = str(pick.wanted[kind.id_field])
    why = f"{pick.why}, that is {ident}"
    if not act_too:
        return d.finish(f"{why}.", f"It is {ident}.", closing.line(found, ident))
    d.call(
        f"{why}. Call {shelf.actor}.", shelf.actor, {shelf.key: ident, **shelf.extra}, {"ok": True}
    )
    thought, message = f"{recase(verb)} worked, code {done}.", f"{ident} is taken care of."
    return d.finish(thought, message, closing.line(done, ident))


def _envelope(draw: Draw, kind: RecordType, rows: list[Json]) -> object:
    """Rows as a list, under a key, or as a map from id to fields or to a line of values."""
    style = draw.pick(("list", "list", "key", "map", "lines"))
    if style == "list":
        return rows
    if style == "key":
        return {f"{kind.thing}s": rows}
    rest = {str(r[kind.id_field]): {k: v for k, v in r.items() if k != kind.id_field} for r in rows}
    if style == "map":
        return rest
    return {code: ", ".join(f"{k} {v}" for k, v in fields.items()) for code, fields in rest.items()}


@dataclass(frozen=True)
class Pick:
    """Rows, the one wanted if any, how a user asks for it, and the reasoning that finds it."""

    rows: list[Json]
    wanted: Json | None
    asked: str
    why: str


def pick_task(draw: Draw, kind: RecordType) -> Pick:
    """The first of a colour, the least or greatest of all, or the least or greatest of a colour."""
    n = draw.randint(2, 6)
    ids = draw.codes(kind.shape, n)
    name, low, high = draw.pick(
        (
            (kind.price, "cheapest", "dearest"),
            (kind.number, f"lowest {kind.number}", f"highest {kind.number}"),
            ("date", "earliest", "latest"),
        )
    )
    numbers = draw.sample(range(1, kind.top + 1), n)
    rows = [_row(draw, kind, c, v, name == "date") for c, v in zip(ids, numbers, strict=True)]
    sort = draw.pick(("extreme", "extreme", "filter", "both", "both"))
    least = draw.chance(0.6)
    colour = draw.pick([str(r[kind.colour]) for r in rows] if draw.chance(0.9) else kind.colours)
    fit = rows if sort == "extreme" else [r for r in rows if r[kind.colour] == colour]
    of_colour = f"{kind.colour} {colour}"
    if sort == "filter":
        shown = ", ".join(str(r[kind.id_field]) for r in fit) or "none"
        first = fit[0] if fit else None
        return Pick(rows, first, f"first {kind.thing} with {of_colour}", f"{of_colour}: {shown}")
    side = low if least else high
    wording = f"{side} {kind.thing}" + ("" if sort == "extreme" else f" with {of_colour}")
    if not fit:
        return Pick(rows, None, wording, f"{of_colour}: none")
    best = (min if least else max)(fit, key=lambda r: r[name])  # type: ignore[return-value, arg-type]
    shown = ", ".join(str(r[name]) for r in fit)
    head = f"{of_colour}: " if sort == "both" else ""
    return Pick(rows, best, wording, f"{head}{name} {shown}; {side.split(' ')[0]} {best[name]}")


def _row(draw: Draw, kind: RecordType, code: str, number: int, dated: bool) -> Json:
    """One record of a list, shorter than what a look-up returns; the id stands behind what it is
    chosen by.
    """
    row: Json = {
        kind.colour: draw.pick(kind.colours[:3]),
        kind.price: draw.price(),
        kind.number: number,
    }
    if dated:
        row["date"] = draw.date()
    if draw.chance(0.5):
        row[kind.status] = draw.pick(kind.states[:2])
    row[kind.id_field] = code
    return row


def branch(draw: Draw) -> Document:
    """A request with a condition: read a number, then take one of two actions."""
    d = Dialogue(draw, "branch")
    kind = record_type(draw)
    name, key, tool = reader(draw, kind)
    yes, no = two_verbs(draw)
    code = draw.code(kind.shape)
    tools = {v: draw.tool_name([v], kind.thing) for v in (yes, no)}
    d.tools = [tool]
    for verb, own in tools.items():
        properties = {key: argument(draw, "string", kind.id_field)}
        d.tools.append(schema(draw, own, f"{recase(verb)} a {kind.thing}.", properties))
    d.tools += distractors(draw, draw.pick((0, 1, 3)))
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=True)
    marks = {v: draw.pick((f"{v}ed", f"{v}_ok", draw.word())) for v in (yes, no)}
    rules = [f"Code after {v}: {marks[v]}." for v in (yes, no)] + [closing.rule]
    draw.shuffle(rules)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    limit = draw.randint(1, kind.top - 1)
    fixed = {kind.number: draw.randint(0, kind.top), kind.status: draw.pick(kind.states)}
    found = record(draw, kind, code, **fixed)
    test = _condition(draw, kind, found, limit)
    begin = opener(draw)
    ask = draw.pick(
        (
            f"if {test.asked} {yes} {kind.thing} {code}, otherwise {no} it.",
            f"look at {kind.thing} {code}: {yes} it if {test.asked}, else {no} it.",
        )
    )
    d.user(recase(begin + ask))
    with_errors(d, f"Look up {code} first.", name, {key: code}, found)
    verb = yes if test.holds else no
    thought = f"{test.why}, so {verb}. Call {tools[verb]}."
    with_errors(d, thought, tools[verb], {key: code}, {"ok": True}, p=0.05)
    thought, message = f"{recase(verb)} worked, code {marks[verb]}.", f"{code} is taken care of."
    return d.finish(thought, message, closing.line(marks[verb], code))


@dataclass(frozen=True)
class Condition:
    """A condition of a request: its wording, whether it holds, and why."""

    asked: str
    holds: bool
    why: str


def _condition(draw: Draw, kind: RecordType, found: Json, limit: int) -> Condition:
    """A state to have, or a limit to be over or under."""
    if draw.chance(0.3):
        state = draw.pick(kind.states)
        why = f"{kind.status} is {found[kind.status]}, asked {state}"
        return Condition(f"its {kind.status} is {state}", found[kind.status] == state, why)
    side = "over" if draw.chance(0.5) else "under"
    value = int(str(found[kind.number]))
    holds = value > limit if side == "over" else value < limit
    asked = f"its {kind.number.replace('_', ' ')} is {side} {limit}"
    return Condition(
        asked, holds, f"{kind.number} {value} is {'' if holds else 'not '}{side} {limit}"
    )
