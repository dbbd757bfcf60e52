"""The family of long chains: find the owner, list what is theirs, read one, act on it or a part.

Owns: `chain`.
Refuses: rules of its own kind; those are `corpus_policy`'s.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import (
    Closing,
    Dialogue,
    Document,
    RecordType,
    argument,
    closing_format,
    opener,
    recase,
    record_type,
    schema,
)
from tooldojo.training.base.corpus_policy import REQUESTS, decide, tell_policy
from tooldojo.training.base.corpus_rules import Action, fitting, make_action, two_verbs
from tooldojo.training.base.corpus_steps import reader, with_errors
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Holding:
    """Owners, their things and the parts of a thing, with the tools that lead from one to the next.

    `whole` acts on a thing, `partial` on one of its parts; `newest_first` says how lists are
    ordered.
    """

    kind: RecordType
    part: str
    parts_field: str
    part_key: str
    owner_key: str
    owner_shape: str
    part_shape: str
    ask_by: str
    finder: str
    lister: str
    reader: str
    key: str
    whole: Action
    partial: Action
    closing: Closing
    newest_first: bool


def _holding(draw: Draw, d: Dialogue) -> Holding:
    """Draws the setting, its tools and its system text."""
    kind = record_type(draw)
    part = draw.pick([t for t in words.THINGS if t != kind.thing])
    whole, partial = (make_action(draw, kind, v, draw.pick((0, 1, 1, 2))) for v in two_verbs(draw))
    ask_by = draw.pick(("email", "mail", "name"))
    owner_key = draw.pick((f"{kind.owner}_id", f"{kind.owner}_id", kind.owner, f"{kind.owner}_no"))
    part_key = draw.pick((f"{part}_id", f"{part}_id", "part", f"{part}_no"))
    shapes = draw.some(words.ID_SHAPES, 2)
    finder = draw.tool_name(words.FIND_VERBS, kind.owner)
    lister = draw.tool_name(words.LIST_VERBS, kind.thing)
    name, key, read = reader(draw, kind)
    order = draw.pick((False, False, True))
    side = "newest" if order else "oldest"
    own = {key: argument(draw, "string", f"{kind.id_field} of the {kind.thing}")}
    of_part = {part_key: argument(draw, "string", f"the {part}")}
    d.tools = [
        read,
        schema(
            draw,
            finder,
            f"The {owner_key} for a {ask_by}.",
            {ask_by: argument(draw, "string", f"{ask_by} of the {kind.owner}")},
        ),
        schema(
            draw,
            lister,
            f"Each {kind.thing} of a {kind.owner}, {side} first.",
            {owner_key: argument(draw, "string", f"the {kind.owner}")},
        ),
        schema(draw, whole.tool, f"{recase(whole.verb)} a {kind.thing}.", own),
        schema(
            draw,
            partial.tool,
            f"{recase(partial.verb)} one {part} of a {kind.thing}.",
            own | of_part,
        ),
    ]
    closing = closing_format(draw, with_id=True)
    parts_field = draw.pick((f"{part}s", "parts", "contents", draw.word()))
    hint = f"Lists have the {side} {kind.thing} first."
    tell_policy(d, kind, [whole, partial], closing, [hint] if draw.chance(0.6) else [])
    return Holding(
        kind=kind,
        part=part,
        parts_field=parts_field,
        part_key=part_key,
        owner_key=owner_key,
        owner_shape=shapes[0],
        part_shape=shapes[1],
        ask_by=ask_by,
        finder=finder,
        lister=lister,
        reader=name,
        key=key,
        whole=whole,
        partial=partial,
        closing=closing,
        newest_first=order,
    )


def chain(draw: Draw) -> Document:
    """One to three requests in one setting."""
    d = Dialogue(draw, "chain")
    holding = _holding(draw, d)
    document = _request(d, holding)
    for _ in range(draw.pick(REQUESTS) - 1):
        document = _request(d, holding)
    return document


def _request(d: Dialogue, h: Holding) -> Document:
    """A request that names an owner or the thing itself, perhaps a part, and all that follows."""
    draw, kind = d.draw, h.kind
    partly = draw.chance(0.6)
    action = h.partial if partly else h.whole
    codes = draw.codes(kind.shape, draw.randint(1, 4))
    states = [draw.pick(kind.states) for _ in codes]
    which, at = _which(draw, h, states)
    code = codes[at]
    found = fitting(draw, kind, code, action.rules)
    states[at] = str(found[kind.status])
    parts = _parts(draw, h)
    said, line = draw.pick(list(parts.items()))
    wanted = line.split(", ")[0]
    what = f"the {said} {h.part} of" if partly else ""
    person = str(found[kind.owner])
    begin = opener(draw)
    if draw.chance(0.3):
        d.user(recase(f"{begin}{action.verb} {what} {kind.thing} {code}.".replace("  ", " ")))
        thought = f"Look up {code} first."
    else:
        who = person if h.ask_by == "name" else draw.email(person)
        ask = f"{action.verb} {what} my {which} {kind.thing}.".replace("  ", " ")
        tell = draw.pick((f"I am {who}.", f"My {h.ask_by} is {who}.", f"It is {who}."))
        both = (f"{ask} {tell}", f"{tell} {recase(ask)}")
        d.user(recase(begin + draw.pick(both)))
        thought = _find(d, h, who, person, dict(zip(codes, states, strict=True)), which, code)
    if partly:
        found[h.parts_field] = parts
    elif not action.rules and draw.chance(0.5):
        return decide(d, action, found, {h.key: code}, h.closing, code)
    with_errors(d, thought, h.reader, {h.key: code}, found, p=0.08)
    values: Json = {h.key: code, **({h.part_key: wanted} if partly else {})}
    note = f"{said} is {wanted}" if partly else ""
    shown = f"{code} {wanted}" if partly else code
    return decide(d, action, found, values, h.closing, shown, note)


def _which(draw: Draw, h: Holding, states: list[str]) -> tuple[str, int]:
    """How the request tells one thing of a list from the others, and where that stands."""
    last = len(states) - 1
    if draw.chance(0.3):
        return "latest" if draw.chance(0.5) else "newest", 0 if h.newest_first else last
    if draw.chance(0.4):
        return "oldest", last if h.newest_first else 0
    position = draw.randint(0, last)
    return ("first", "second", "third", "fourth")[position] + " listed", position


def _parts(draw: Draw, h: Holding) -> dict[str, str]:
    """Parts by what a request calls them, with a line about each that begins with the id."""
    kinds = draw.some(h.kind.colours, min(len(h.kind.colours), draw.randint(1, 4)))
    ids = draw.codes(h.part_shape, len(kinds))
    return {
        colour: ", ".join((code, draw.pick(words.SIZES), str(draw.price())))
        for code, colour in zip(ids, kinds, strict=True)
    }


def _find(
    d: Dialogue, h: Holding, who: str, person: str, listed: dict[str, str], which: str, code: str
) -> str:
    """From the owner's name or mail to the thing; returns the thought of the next call."""
    draw, kind = d.draw, h.kind
    owner = draw.code(h.owner_shape)
    result: Json = {h.owner_key: owner}
    if draw.chance(0.6):
        result["name"] = person
    with_errors(d, f"First find {who}.", h.finder, {h.ask_by: who}, result, p=0.08)
    rows: object = listed
    if draw.chance(0.3):
        rows = [{kind.id_field: c, kind.status: s} for c, s in listed.items()]
    elif draw.chance(0.3):
        rows = list(listed)
    thought = draw.pick((f"{person} is {owner}.", f"The {h.owner_key} is {owner}."))
    thought = f"{thought} List what they have."
    with_errors(d, thought, h.lister, {h.owner_key: owner}, rows, p=0.08)
    side = "newest" if h.newest_first else "oldest"
    return f"Listed {side} first, the {which} is {code}."
