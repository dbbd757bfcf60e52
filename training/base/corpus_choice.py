"""Families that teach choice: pick one record of a list by a condition, take one of two actions.

Owns: `choose` and `branch`.
Refuses: rules on single records; those live in `corpus_policy`.
Invariant: as in `corpus_parts`; ties do not occur.
"""

from __future__ import annotations

from tooldojo.training.base import words
from tooldojo.training.base.corpus_calls import reader, with_errors
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
from tooldojo.training.base.corpus_policy import two_verbs
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


def choose(draw: Draw) -> Document:
    """List records, pick one by a condition, then answer with it or act on it."""
    d = Dialogue(draw, "choose")
    kind = record_type(draw)
    group_name = draw.pick(("group", "area", "kind", "section", "shelf", draw.word()))
    group = draw.word() if draw.chance(0.7) else draw.code(draw.pick(words.ID_SHAPES))
    lister, verb = draw.tool_name(words.LIST_VERBS, kind.thing), draw.pick(words.VERBS)
    actor, key = (
        draw.tool_name([verb], kind.thing),
        draw.pick((kind.id_field, "id", "choice", draw.word())),
    )
    target: dict[str, Json] = {
        key: argument(draw, "string", f"{kind.id_field} of the one to {verb}")
    }
    extra: Json = {}
    if draw.chance(0.5):
        extra = {draw.pick(("name", "by", "person", "holder", draw.word())): draw.person()}
        target |= {k: argument(draw, "string", "who it is for") for k in extra}
    d.tools = [
        schema(
            draw,
            lister,
            f"List each {kind.thing} of a {group_name}.",
            {group_name: argument(draw, "string", f"the {group_name}")},
        ),
        schema(draw, actor, f"{recase(verb)} a {kind.thing}.", target),
        *distractors(draw, draw.pick((0, 1, 2, 4))),
    ]
    draw.shuffle(d.tools)
    rows, wanted, phrase, why = pick_task(draw, kind)
    closing = closing_format(draw, with_id=True)
    done, none = (
        draw.pick((f"{verb}ed", "done", "chosen", draw.word())),
        draw.pick(("none_fits", "no_match", draw.word())),
    )
    act_too = draw.chance(0.7)
    found_code = draw.pick(("found", "picked", draw.word()))
    rules = [
        f"After you {verb} one, the code is {done}.",
        f"When only asked which, do not {verb}; the code is {found_code}.",
        f"When nothing fits, the line has code {none} and the {group_name} in place of the id.",
        closing.rule,
    ]
    draw.shuffle(rules)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    where = f"in {group_name} {group}"
    whom = "".join(f" for {v}" for v in extra.values())
    ask = (
        f"{verb} the {phrase} {where}{whom}."
        if act_too
        else f"which {kind.thing} {where} is the {phrase}?"
    )
    d.user(recase(opener(draw) + ask))
    envelope = _envelope(draw, kind, rows)
    with_errors(d, f"List what is {where}.", lister, {group_name: group}, envelope, p=0.1)
    if wanted is None:
        return d.finish(
            f"{why}. Nothing fits.", f"Nothing {where} fits.", closing.line(none, group)
        )
    ident = str(wanted[kind.id_field])
    if not act_too:
        return d.finish(
            f"{why}, that is {ident}.", f"It is {ident}.", closing.line(found_code, ident)
        )
    d.call(f"{why}, that is {ident}. Call {actor}.", actor, {key: ident, **extra}, {"ok": True})
    return d.finish(
        f"{recase(verb)} worked, code {done}.",
        f"{ident} is taken care of.",
        closing.line(done, ident),
    )


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


def pick_task(draw: Draw, kind: RecordType) -> tuple[list[Json], Json | None, str, str]:
    """Rows, the one wanted, how a user asks for it, and the reasoning that finds it."""
    n = draw.randint(2, 6)
    ids = draw.codes(kind.shape, n)
    name, low, high = draw.pick(
        (
            (kind.price, "cheapest", "dearest"),
            (kind.number, f"lowest {kind.number}", f"highest {kind.number}"),
            ("date", "earliest", "latest"),
        )
    )
    rows: list[Json] = []
    for code, number in zip(ids, draw.sample(range(1, kind.top + 1), n), strict=True):
        row: Json = {
            kind.id_field: code,
            kind.colour: draw.pick(kind.colours[:3]),
            kind.price: draw.price(),
            kind.number: number,
        }
        if name == "date":
            row["date"] = draw.date()
        if draw.chance(0.5):
            row[kind.status] = draw.pick(kind.states[:2])
        rows.append(row)
    sort = draw.pick(("extreme", "extreme", "filter", "both", "both"))
    least = draw.chance(0.6)
    colour = draw.pick([str(r[kind.colour]) for r in rows] if draw.chance(0.9) else kind.colours)
    fit = rows if sort == "extreme" else [r for r in rows if r[kind.colour] == colour]
    if sort == "filter":
        first = fit[0] if fit else None
        return (
            rows,
            first,
            f"first {kind.thing} with {kind.colour} {colour}",
            f"{kind.colour} {colour}: {', '.join(str(r[kind.id_field]) for r in fit) or 'none'}",
        )
    side = low if least else high
    wording = (
        f"{side} {kind.thing}"
        if sort == "extreme"
        else f"{side} {kind.thing} with {kind.colour} {colour}"
    )
    if not fit:
        return rows, None, wording, f"{kind.colour} {colour}: none"
    best = (min if least else max)(fit, key=lambda r: r[name])  # type: ignore[return-value, arg-type]
    shown = ", ".join(str(r[name]) for r in fit)
    head = f"{kind.colour} {colour}: " if sort == "both" else ""
    return rows, best, wording, f"{head}{name} {shown}; {side.split(' ')[0]} {best[name]}"


def branch(draw: Draw) -> Document:
    """A request with a condition: read a number, then take one of two actions."""
    d = Dialogue(draw, "branch")
    kind = record_type(draw)
    name, key, tool = reader(draw, kind)
    yes, no = two_verbs(draw)
    code = draw.code(kind.shape)
    tools = {v: draw.tool_name([v], kind.thing) for v in (yes, no)}
    d.tools = [
        tool,
        *(
            schema(
                draw,
                t,
                f"{recase(v)} a {kind.thing}.",
                {key: argument(draw, "string", kind.id_field)},
            )
            for v, t in tools.items()
        ),
        *distractors(draw, draw.pick((0, 1, 3))),
    ]
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=True)
    marks = {v: draw.pick((f"{v}ed", f"{v}_ok", draw.word())) for v in (yes, no)}
    rules = [f"Code after {v}: {marks[v]}." for v in (yes, no)] + [closing.rule]
    draw.shuffle(rules)
    d.system(f"{role_line(draw, kind.thing)}\n{tell_rules(draw, rules)}")
    limit = draw.randint(1, kind.top - 1)
    found = record(
        draw,
        kind,
        code,
        **{kind.number: draw.randint(0, kind.top), kind.status: draw.pick(kind.states)},
    )
    label = kind.number.replace("_", " ")
    if draw.chance(0.3):
        state = draw.pick(kind.states)
        test, ok, why = (
            f"its {kind.status} is {state}",
            found[kind.status] == state,
            f"{kind.status} is {found[kind.status]}, asked {state}",
        )
    else:
        over = draw.chance(0.5)
        value = int(str(found[kind.number]))
        ok = value > limit if over else value < limit
        test = f"its {label} is {'over' if over else 'under'} {limit}"
        why = (
            f"{kind.number} {value} is {'' if ok else 'not '}{'over' if over else 'under'} {limit}"
        )
    d.user(
        recase(
            opener(draw)
            + draw.pick(
                (
                    f"if {test} {yes} {kind.thing} {code}, otherwise {no} it.",
                    f"look at {kind.thing} {code}: {yes} it if {test}, else {no} it.",
                )
            )
        )
    )
    with_errors(d, f"Look up {code} first.", name, {key: code}, found)
    verb = yes if ok else no
    with_errors(
        d, f"{why}, so {verb}. Call {tools[verb]}.", tools[verb], {key: code}, {"ok": True}, p=0.05
    )
    return d.finish(
        f"{recase(verb)} worked, code {marks[verb]}.",
        f"{code} is taken care of.",
        closing.line(marks[verb], code),
    )
