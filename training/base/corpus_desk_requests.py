"""The desk family: dialogues in which requests in many words come down to a few deeds.

Owns: `desk`, its requests and the demonstrations that answer them.
Refuses: guesses; who gives neither id nor address is not in here.
Invariant: as in `corpus_parts`; the first thought says what is asked in the desk's own words.
"""

from __future__ import annotations

from collections.abc import Callable

from tooldojo.training.base import senses
from tooldojo.training.base.corpus_desk import make_desk, tell
from tooldojo.training.base.corpus_desk_visit import (
    Visit,
    article,
    common_reason,
    frame,
    joined,
    part_of,
    person,
    pointed_at,
    reason,
)
from tooldojo.training.base.corpus_parts import Dialogue, Document, recase
from tooldojo.training.base.words import Draw

REQUESTS = (1, 2, 3, 4)


def status(v: Visit) -> Document:
    """Where does it stand?"""
    thing = v.thing()
    v.ask(recase(v.draw.pick(senses.STATUS_ASKS).format(x=pointed_at(v, thing))))
    v.asked(v.k.status, v.k.status)
    v.reach(thing)
    return v.close(f"{thing.code} is {thing.status}.", v.k.status, thing.status, thing.code)


def stock(v: Visit) -> Document:
    """How many are there?"""
    k, draw = v.k, v.draw
    v.access = "id"
    name, value = article(draw), draw.pick(k.values)
    v.ask(recase(draw.pick(senses.STOCK_ASKS).format(p=name, v=value)))
    v.asked(f"stock of {value} {name}", "stock")
    levels = {each: draw.pick((0, draw.randint(1, 20))) for each in k.values}
    v.call(f"See what there is of {name}.", k.stock, {k.item_key: name}, levels)
    n = levels[value]
    return v.close(f"There are {n} in {value}.", "stock", str(n), value, name)


def unsupported(v: Visit) -> Document:
    """Something that the desk cannot do."""
    v.access = "id"
    topic = v.draw.pick(v.k.topics)
    thing = v.thing()
    text = v.draw.pick(senses.TOPICS[topic]).format(x=pointed_at(v, thing))
    v.ask(
        recase(
            v.draw.pick(("{t}.", "please {t}.", "can you help? {t}.", "{t}, please.")).format(
                t=text
            )
        )
    )
    return v.close(
        f"The request is about {topic}, which is not possible.", "unsupported", topic, thing.code
    )


def whole(v: Visit) -> Document:
    """A deed on the whole thing."""
    deed, thing = v.k.whole, v.thing()
    label, clause = reason(v.draw, deed)
    v.ask(frame(v.draw, v.draw.pick(deed.sense.asks).format(x=pointed_at(v, thing)), clause))
    v.asked(deed.verb, deed.verb, label, clause)
    v.reach(thing)
    if refusal := v.barred(deed, thing, label):
        return refusal
    v.do_whole(thing, label)
    return v.close(f"{thing.code} is {deed.done}.", deed.done, thing.code)


def partly(v: Visit) -> Document:
    """A deed on a part."""
    deed, thing = v.k.partial, v.thing(_late(v))
    label, clause = reason(v.draw, deed)
    part, said, named = part_of(v, thing)
    ask = v.draw.pick(deed.sense.asks).format(x=joined(v, said, pointed_at(v, thing)))
    v.ask(frame(v.draw, ask, clause))
    v.asked(f"{deed.verb} {said}", deed.verb, label, clause)
    v.reach(thing)
    if refusal := v.barred(deed, thing, label):
        return refusal
    return v.do_part(thing, part, label, v.allowed(deed, thing, label), named)


def _late(v: Visit) -> str:
    """Mostly the state in which parts may be touched."""
    return v.k.states[2] if v.draw.chance(0.75) else ""


def change(v: Visit) -> Document:
    """One variant for another, or else the deed on the part."""
    k, draw, deed = v.k, v.draw, v.k.change
    thing = v.thing(_late(v))
    label, clause = reason(draw, deed)
    part, said, named = part_of(v, thing)
    value = draw.pick([each for each in k.values if each != thing.parts[part][1]])
    item = joined(v, said, pointed_at(v, thing))
    ask = draw.pick(deed.sense.asks).format(x=item, v=value)
    plan, brief = f"{deed.verb} {said} for {value}", deed.verb
    or_part = draw.chance(0.45)
    if or_part:
        other = draw.pick(k.partial.sense.asks).format(x="it")
        ask = draw.pick(senses.SOLD_OUT).format(one=ask, two=other)
        plan, brief = f"{plan} or else {k.partial.verb}", f"{brief} or {k.partial.verb}"
    v.ask(frame(draw, ask, clause))
    v.asked(plan, brief, label, clause)
    v.reach(thing)
    if refusal := v.barred(deed, thing, label):
        return refusal
    name = thing.parts[part][0]
    because = v.allowed(deed, thing, label)
    arguments = {k.key: thing.code, k.part_key: part, k.value_key: value}
    there = draw.chance(0.55)
    result: object = (
        f"{part} {deed.done} for {value}" if there else {"error": f"{value} {name} is sold out"}
    )
    v.call(f"{because}, hence {deed.verb} {named}.", deed.tool, arguments, result)
    if there:
        return v.close(f"{part} of {thing.code} is {deed.done}.", deed.done, thing.code, part)
    because = f"The {name} in {value} is sold out"
    if or_part:
        return v.do_part(thing, part, label, because, part)
    return v.close(f"{because}, hence a refusal.", "refused", k.codes["stock"], thing.code)


def change_any(v: Visit) -> Document:
    """Any other variant that is in stock."""
    k, draw, deed = v.k, v.draw, v.k.change
    thing = v.thing(_late(v))
    label, clause = reason(draw, deed)
    part, said, named = part_of(v, thing, by_name=True)
    name, held, _ = thing.parts[part]
    wish = draw.pick(senses.ANY).format(l=k.value_key)
    ask = draw.pick(deed.sense.asks).format(x=joined(v, said, pointed_at(v, thing)), v=wish)
    v.ask(frame(draw, ask, clause))
    v.asked(f"{deed.verb} {said} for another", f"{deed.verb} for another", label, clause)
    v.reach(thing)
    if refusal := v.barred(deed, thing, label):
        return refusal
    others = [each for each in k.values if each != held]
    kept = draw.pick(others) if draw.chance(0.6) else ""
    levels = {x: draw.randint(1, 9) if x in (kept, held) else 0 for x in k.values}
    counts = ", ".join(f"{x} {n}" for x, n in levels.items())
    because = v.allowed(deed, thing, label)
    thought = f"{because}, so first see what there is of the {name}, now {held}."
    v.call(thought, k.stock, {k.item_key: name}, levels)
    if not kept:
        because = f"{held} is held, there is {counts}, no other one"
        return v.close(f"{because}, hence a refusal.", "refused", k.codes["stock"], thing.code)
    arguments = {k.key: thing.code, k.part_key: part, k.value_key: kept}
    because = f"{held} is held, there is {counts}, so {kept} is free"
    v.call(
        f"{because}, hence {deed.verb} {named}.",
        deed.tool,
        arguments,
        f"{part} {deed.done} for {kept}",
    )
    return v.close(f"{part} of {thing.code} is {deed.done}.", deed.done, thing.code, part)


def whole_or_part(v: Visit) -> Document:
    """The whole thing, or else its cheapest part."""
    k, draw = v.k, v.draw
    labels = [label for label in k.whole.clauses if label in k.partial.clauses]
    if k.whole.clauses and k.partial.clauses and not labels:
        return partly(v)
    thing = v.thing(draw.pick((k.states[0], k.states[2], "")), parts=draw.randint(2, 3))
    label, clause = common_reason(draw, k, labels)
    x, cheapest = (
        pointed_at(v, thing),
        draw.pick(("its cheapest {p}", "the cheapest {p} in it", "the {p} of it that costs least")),
    )
    two = draw.pick(k.partial.sense.asks).format(x=cheapest.format(p=k.part))
    one = draw.pick(k.whole.sense.asks).format(x=x)
    v.ask(frame(draw, draw.pick(senses.ORELSE).format(one=one, two=two, good=k.whole.good), clause))
    brief = f"{k.whole.verb} or {k.partial.verb}"
    v.asked(f"{brief} the cheapest", brief, label, clause)
    v.reach(thing)
    if thing.status == k.whole.good:
        v.do_whole(thing, label)
        return v.close(f"{thing.code} is {k.whole.done}.", k.whole.done, thing.code)
    if refusal := v.barred(k.partial, thing, label):
        return refusal
    part = min(thing.parts, key=lambda each: thing.parts[each][2])
    named = f'the cheapest, "{k.parts}": {{"{thing.parts[part][0]}": "{part}'
    return v.do_part(thing, part, label, v.allowed(k.partial, thing, label), named)


def dearer(v: Visit) -> Document:
    """The dearer of two."""
    k, draw = v.k, v.draw
    v.access = "id"
    pair = [v.thing(draw.pick((k.states[0], ""))), v.thing(k.states[0])]
    draw.shuffle(pair)
    if pair[0].total == pair[1].total:
        return whole(v)
    label, clause = reason(draw, k.whole)
    both = draw.pick(senses.DEARER).format(a=pair[0].code, b=pair[1].code)
    v.ask(frame(draw, draw.pick(k.whole.sense.asks).format(x=both), clause))
    v.asked(f"{k.whole.verb} the dearer", f"{k.whole.verb} the dearer", label, clause)
    first, second = pair
    v.read(f"Both totals count, {first.code} first.", first)
    v.read(f"{first.code} costs {first.total:.2f}, next {second.code}.", second)
    target, other = sorted(pair, key=lambda t: -t.total)
    fact = f"{target.code} costs {target.total:.2f}, above {other.total:.2f}"
    if target.status != k.whole.good:
        thought = f"{fact}, but it is {target.status}, hence a refusal."
        return v.close(thought, "refused", k.codes["early"], target.code)
    v.do_whole(target, label, f"{fact}, and is {target.status}")
    return v.close(f"{target.code} is {k.whole.done}.", k.whole.done, target.code)


def add_up(v: Visit) -> Document:
    """The total of several things."""
    k, draw = v.k, v.draw
    v.access = draw.pick(("id", "latest"))
    things = [v.thing(parts=draw.randint(1, 2)) for _ in range(draw.pick((2, 2, 3)))]
    about = v.owner
    v.asked("total", "total")
    if v.access == "id":
        about = " ".join(t.code for t in things)
        count = len(things)
        v.asked(
            f"total, {', '.join(f'{i} of {count} {t.code}' for i, t in enumerate(things, 1))}",
            "total",
        )
        x = f"{', '.join(t.code for t in things[:-1])} and {things[-1].code}"
        v.ask(recase(draw.pick(senses.TOTAL_ASKS).format(x=draw.pick((x, f"the {k.things} {x}")))))
    else:
        x = draw.pick(
            (f"all my {k.things}", f"all the {k.things} I have", f"my {k.things} taken together")
        )
        v.ask(recase(draw.pick(senses.TOTAL_ASKS).format(x=x)))
        v.find(f"First find the {k.mail_key}.", things)
        things = things[::-1] if k.newest_first else things
    costs: list[str] = []
    for i, thing in enumerate(things, 1):
        so_far = f"so far {' '.join(costs)}, " if costs else ""
        v.read(f"{so_far}{i} of {len(things)} is {thing.code}: read it.", thing)
        costs.append(f"{thing.total:.2f}")
    last = f"{len(things)} of {len(things)} is done"
    amount = f"{sum(thing.total for thing in things):.2f}"
    v.call(f"{last}, so far {' '.join(costs)}: add them.", k.add, {k.add_key: costs}, amount)
    return v.close(f"Together {amount}.", "total", amount, about)


def all_whole(v: Visit) -> Document:
    """A deed on each thing in the right state."""
    k, draw, deed = v.k, v.draw, v.k.whole
    v.access = "latest"
    n = draw.pick((0, 1, 1, 2, 2, 3))
    rows = [v.thing(deed.good) for _ in range(n)]
    rows += [v.thing(draw.pick(k.states[1:])) for _ in range(draw.randint(1, 2))]
    draw.shuffle(rows)
    label, clause = reason(draw, deed)
    x = draw.pick(senses.ALL).format(good=deed.good, t=k.thing, ts=k.things)
    v.ask(frame(draw, draw.pick(deed.sense.asks).format(x=x), clause))
    v.asked(f"{deed.verb} all {deed.good}", f"{deed.verb} all", label, clause)
    v.find(f"First find the {k.mail_key}.", rows)
    rows = rows[::-1] if k.newest_first else rows
    done: list[str] = []
    read: list[str] = []  # what the thought says of the list, from where the last one stopped
    for thing, (place, entry) in zip(rows, v.entries(rows).items(), strict=True):
        read.append(f"{place} is {entry}" if k.numbered else f"{thing.code} is {thing.status}")
        if thing.status == deed.good:
            v.do_whole(thing, label, ", ".join(read))
            done.append(thing.code)
            read = [f"{' '.join(done)} done, {place}"]
    if not done:
        thought = f"{', '.join(read)}: none is {deed.good}, hence a refusal."
        return v.close(thought, "refused", k.codes["early"], v.owner)
    return v.close(f"{', '.join(read)}, that was all.", deed.done, *done)


GOALS: dict[Callable[[Visit], Document], float] = {
    **{status: 2, stock: 1, unsupported: 1.5, whole: 3, partly: 3, change: 3},
    **{change_any: 1.5, whole_or_part: 2, dearer: 1.2, add_up: 1.5, all_whole: 1.5},
}


def desk(draw: Draw) -> Document:
    """One to three requests at one desk."""
    d = Dialogue(draw, "desk")
    k = make_desk(draw)
    place = draw.pick(senses.TRADES)[2] if draw.chance(0.5) else f"{k.thing} office"
    tell(d, k, place)
    document: Document | None = None
    for _ in range(draw.pick(REQUESTS)):
        goal = draw.choices(list(GOALS), list(GOALS.values()))[0]
        who, mail = person(draw)
        access = draw.pick(("id", "id", "latest", "latest", "check", "unknown"))
        owner, gone = draw.code(k.owner_shape), draw.code(k.shape)
        document = goal(Visit(d, k, access, who, mail, owner, gone))
    assert document is not None
    return document
