"""The setting of the desk family: a trade, its records, tools, rules and closing lines.

Owns: `Desk` and its system text; `corpus_desk_requests` holds the dialogues.
Refuses: fixed words; nouns, verbs, fields, states and labels are drawn anew for each desk.
Invariant: as in `corpus_parts`; the rules state all that the dialogues decide by.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.training.base import senses, words
from tooldojo.training.base.corpus_parts import (
    LABELS,
    Dialogue,
    argument,
    distractors,
    recase,
    schema,
    tell_rules,
)
from tooldojo.training.base.senses import Sense
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Deed:
    """Something that the desk does: how it is asked for, its tool and when it is allowed.

    `clauses` maps a reason's label to the clauses that mean it; empty if the tool takes no reason.
    `limit` is the most that the day field may show (0 for none), `wide` the limit for `exempt`.
    """

    sense: Sense
    verb: str
    done: str
    tool: str
    good: str
    clauses: dict[str, list[str]]
    limit: int = 0
    exempt: str = ""
    wide: int = 0

    def limit_for(self, label: str) -> int:
        """The limit under a reason."""
        return self.wide if self.exempt and label == self.exempt else self.limit


@dataclass(frozen=True)
class Desk:
    """What stays the same over the requests of one dialogue."""

    thing: str
    things: str
    part: str
    owner: str
    key: str
    part_key: str
    owner_key: str
    mail_key: str
    item_key: str
    value_key: str
    reason_key: str
    shape: str
    part_shape: str
    owner_shape: str
    status: str
    states: tuple[str, str, str]
    days: str
    total: str
    parts: str
    values: list[str]
    newest_first: bool
    find: str
    list_: str
    read: str
    stock: str
    whole: Deed
    partial: Deed
    change: Deed
    topics: list[str]
    label: str
    codes: dict[str, str]
    add: str
    add_key: str
    numbered: bool  # lists give "1 of 3", "2 of 3" ... instead of ids as keys
    repeats: bool  # the first thought repeats the clause that gives the reason
    has: str  # how thoughts name a limit, behind the label that it is for

    def line(self, *parts: str) -> str:
        """A closing line."""
        return f"{self.label}: {' '.join(parts)}"


def _clauses(draw: Draw, names: dict[str, str], style: str) -> dict[str, list[str]]:
    """Labels of reasons with their clauses: meanings one by one, or two coarse groups."""
    if style == "none":
        return {}
    table = senses.REASONS
    if style == "each":
        often = ["mistake", "delay", "unwanted", "damaged", "unsuited"]
        chosen = draw.some(often, draw.randint(2, 3)) if draw.chance(0.6) else []
        chosen += draw.some([k for k in table if k not in often], draw.randint(1, 2))
        draw.shuffle(chosen)
        return {names[k]: list(table[k][1]) for k in chosen}
    groups = []
    for members in (senses.FAULT, senses.WILL):
        lead = members[0] if draw.chance(0.7) else draw.pick(members)
        meant = dict.fromkeys((*members[:2], lead))
        groups.append((names[lead], [clause for m in meant for clause in table[m][1]]))
    draw.shuffle(groups)
    return dict(groups)


def _deed(
    draw: Draw,
    pool: dict[str, Sense],
    noun: str,
    good: str,
    names: dict[str, str],
    taken: set[str],
) -> Deed:
    """A deed of the pool; the first of a pool comes more often, as it does in life."""
    first = next(iter(pool))
    sense = pool[first] if draw.chance(0.45) else pool[draw.pick(list(pool))]
    verb, done = draw.pick(sense.verbs)
    tool = _name(draw, [verb], noun, taken)
    if pool is senses.WHOLE:
        return Deed(
            sense, verb, done, tool, good, _clauses(draw, names, draw.pick(("each", "none")))
        )
    clauses = _clauses(draw, names, draw.pick(("groups", "groups", "each", "none")))
    limit = draw.pick((0, 7, 10, 14, 20, 21, 30, 30, 40, 45, 60))
    exempt = draw.pick(list(clauses)) if limit and clauses and draw.chance(0.6) else ""
    wide = draw.pick((2 * limit, 3 * limit, limit + 10)) if exempt else 0
    return Deed(sense, verb, done, tool, good, clauses, limit, exempt, wide)


def _name(draw: Draw, verbs: list[str], noun: str, taken: set[str]) -> str:
    plain = f"{draw.pick(verbs)}_{noun}"
    if draw.chance(0.7) and plain not in taken and draw.allowed(plain):
        taken.add(plain)
        return plain
    while True:
        name = draw.tool_name(verbs, noun)
        if name not in taken:
            taken.add(name)
            return name


def plural(noun: str) -> str:
    """The plural of a regular noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")


SUMS = ("figures", "values", "costs", "prices", "sums", "numbers")


def make_desk(draw: Draw) -> Desk:
    """A random desk."""
    thing, part, _ = draw.pick(senses.TRADES)
    thing = draw.word() if draw.chance(0.06) else thing
    part = draw.pick(words.THINGS) if draw.chance(0.2) else part
    owner = draw.pick(senses.OWNERS)
    states = (draw.pick(senses.EARLY), draw.pick(senses.MIDDLE), draw.pick(senses.LATE))
    pool = draw.pick((words.COLOURS, words.COLOURS, words.SIZES, words.MATERIALS))
    shapes = draw.some(words.SHORT_SHAPES, 3)
    taken: set[str] = set()
    names = {meaning: draw.pick(labels) for meaning, (labels, _) in senses.REASONS.items()}
    partial = _deed(draw, senses.PART, part, states[2], names, taken)
    shown = draw.pick((owner, owner, "owner"))
    key = draw.pick((f"{thing}_id", f"{thing}_id", f"{thing}_id", "id", f"{thing}_no"))
    part_key = draw.pick((f"{part}_id", f"{part}_id", f"{part}_no"))
    item_key = draw.pick(("kind", "name", "article", "model"))
    return Desk(
        thing=thing,
        things=plural(thing),
        part=part,
        owner=owner,
        key=key,
        part_key=part_key,
        owner_key=f"{shown}_id" if draw.chance(0.8) else f"{shown}_no",
        mail_key=draw.pick(("email", "email", "mail")),
        item_key=item_key,
        value_key=draw.pick(("variant", "variant", "version", "choice", "option", "colour")),
        reason_key=draw.pick(("reason", "reason", "cause", "why")),
        shape=shapes[0],
        part_shape=shapes[1],
        owner_shape=shapes[2],
        status=draw.pick(("status", "status", "state", "stage")),
        states=states,
        days=draw.pick(("days", "days", "age", "days_since", "days_ago")),
        total=draw.pick(("total", "total", "cost", "sum", "amount")),
        parts=draw.pick((plural(part), plural(part), "parts", "contents")),
        values=draw.some(pool, 3),
        newest_first=draw.chance(0.25),
        find=_name(draw, words.FIND_VERBS, "account" if owner == "customer" else owner, taken),
        list_=_name(draw, words.LIST_VERBS, thing, taken),
        read=_name(draw, words.READ_VERBS, thing, taken),
        stock=_name(draw, words.READ_VERBS, draw.pick((part, "stock", "supply")), taken),
        whole=_deed(draw, senses.WHOLE, thing, states[0], names, taken),
        partial=partial,
        change=_exchange(draw, part, partial, taken),
        topics=draw.some(list(senses.TOPICS), draw.randint(2, 4)),
        label="Result" if draw.chance(0.7) else draw.pick(LABELS),
        codes={
            "early": draw.pick((f"not_{states[0]}", "too_far", "wrong_state")),
            "late": draw.pick((f"not_{states[2]}", "not_yet", "too_early")),
            "old": draw.pick(("too_late", "too_old", "over_limit", "window_closed")),
            "stock": draw.pick(("no_stock", "sold_out", "none_left")),
        },
        add=_name(draw, ["add", "sum", "add_up", "sum_up", "total"], draw.pick(SUMS), taken),
        add_key=draw.pick(SUMS),
        numbered=draw.chance(0.5),
        repeats=draw.chance(0.6),
        has=draw.pick(("has", "allows", "gets", "up to")),
    )


def _exchange(draw: Draw, part: str, like: Deed, taken: set[str]) -> Deed:
    """The deed that puts one variant in place of another, under the rules of `like`."""
    sense = senses.CHANGE["exchange"]
    verb, done = draw.pick(sense.verbs)
    tool = _name(draw, [verb], part, taken)
    clauses, limits = like.clauses, (like.limit, like.exempt, like.wide)
    return Deed(sense, verb, done, tool, like.good, clauses, *limits)


def _rules(draw: Draw, k: Desk) -> list[str]:
    """The rules in words, in any order."""
    rules = _limits(draw, k)
    rules += [draw.pick(ways) for ways in _habits(k)]
    draw.shuffle(rules)
    return rules


def _limits(draw: Draw, k: Desk) -> list[str]:
    """What the deeds are allowed for."""
    w, p, c = k.whole, k.partial, k.change
    both = draw.pick((f"{recase(p.verb)} or {c.verb}", f"{recase(p.verb)} and {c.verb}"))
    within = ""
    if p.limit:
        ways = (f", within {p.limit} days", f", up to {p.limit} days", f", {p.limit} days at most")
        within = draw.pick(ways)
    if p.exempt:
        ways = (
            f" ({p.exempt}: {p.wide})",
            f"; when {p.exempt} within {p.wide}",
            f"; {p.exempt} ones within {p.wide}",
        )
        within += draw.pick(ways)
    whole = (
        f"{recase(w.verb)} only {w.good} {k.things}.",
        f"{recase(w.verb)} a {k.thing} only while it is {w.good}.",
        f"Only what is {w.good} can be {w.done}.",
    )
    part = (
        f"{both} only in {p.good} {k.things}{within}.",
        f"{both} a {k.part} only when its {k.thing} is {p.good}{within}.",
    )
    change = (
        f"{recase(c.verb)} only for what is in stock.",
        f"{recase(c.verb)} only if the new {k.value_key} is in stock.",
    )
    return [draw.pick(whole), draw.pick(part), draw.pick(change)]


def _habits(k: Desk) -> tuple[tuple[str, ...], ...]:
    """What holds at every desk, each in several wordings."""
    topics = ", ".join(k.topics)
    return (
        (
            f"Nothing else can be done ({topics}): call no tool.",
            f"Call no tool for other wishes ({topics}).",
            f"No help with {topics}; use no tool for it.",
        ),
        (
            f"When a {k.thing} is unknown take the latest one of the {k.mail_key}.",
            f"If the {k.thing} id is not known, use the {k.owner}'s latest {k.thing}.",
        ),
        (
            "Call again after a time-out.",
            "Repeat a call that failed for now.",
            "Try once more when a tool is busy.",
        ),
        ("Refuse what the rules forbid.", "What is forbidden you refuse.", "Say no to all else."),
    )


def tell(d: Dialogue, k: Desk, place: str) -> None:
    """System text and tools."""
    draw = d.draw
    ident = f"<{k.thing}>"
    lines = [
        k.line(k.status, f"<{k.status}>", ident),
        k.line("stock", "<count>", f"<{k.value_key}>", f"<{k.item_key}>"),
        k.line("total", "<amount>", f"<{k.things}>"),
        k.line(k.whole.done, f"<{k.things}>"),
        k.line(k.partial.done, ident, f"<{k.part}>"),
        k.line(k.change.done, ident, f"<{k.part}>"),
        k.line("refused", f"<{'|'.join(dict.fromkeys(k.codes.values()))}>", ident),
        k.line("unsupported", f"<{'|'.join(k.topics)}>", ident),
    ]
    draw.shuffle(lines)
    head = draw.pick(("End with one line:", "The last line is one of:", "Close with one of these:"))
    role = draw.pick(
        (
            f"You serve a {place}.",
            f"You work at the desk of a {place}.",
            f"{draw.word().capitalize()} {place}: you answer its {plural(k.owner)}.",
            f"You help the {plural(k.owner)} of a {place}.",
        )
    )
    more = f"For all {k.things} of a {k.owner}, give the {k.owner_key} in place of the {k.thing}."
    listed = [head, *lines, more]
    d.system("\n".join([role, tell_rules(draw, _rules(draw, k)), *listed]))
    d.tools += [*_tools(draw, k), *distractors(draw, draw.pick((0, 0, 0, 1)))]
    draw.shuffle(d.tools)


def _tools(draw: Draw, k: Desk) -> list[Json]:
    """Schemas of all tools."""
    side = "newest" if k.newest_first else "oldest"

    def text(about: str) -> Json:
        return argument(draw, "string", about) if draw.chance(0.4) else {"type": "string"}

    def with_reason(deed: Deed, own: dict[str, Json]) -> dict[str, Json]:
        labels = list(deed.clauses)
        return own | ({k.reason_key: {"type": "string", "enum": labels}} if labels else {})

    key = {k.key: text(f"the {k.thing}")}
    part = key | {k.part_key: text(f"the {k.part}")}
    change = part | {k.value_key: text("the new one")}
    about = {
        k.find: (f"The {k.owner_key} for an email.", {k.mail_key: text(f"of the {k.owner}")}),
        k.list_: (
            f"Each {k.thing} of a {k.owner}, {side} first.",
            {k.owner_key: text(f"the {k.owner}")},
        ),
        k.read: (
            f"{recase(k.status)}, {k.total} and {plural(k.part)} of a {k.thing}, cheapest first.",
            key,
        ),
        k.stock: (f"What is in stock, by {k.value_key}.", {k.item_key: text("its name")}),
        k.add: ("The sum of all.", {k.add_key: {"type": "array", "items": {"type": "string"}}}),
        k.whole.tool: (f"{recase(k.whole.verb)} a {k.thing}.", with_reason(k.whole, key)),
        k.partial.tool: (f"{recase(k.partial.verb)} one {k.part}.", with_reason(k.partial, part)),
        k.change.tool: (f"{recase(k.change.verb)} one {k.part} for another.", change),
    }
    return [schema(draw, name, line, own) for name, (line, own) in about.items()]
