"""Level 1: one or two steps, and problems that no tool can help with."""

from __future__ import annotations

from fractions import Fraction

from tooldojo.envs.maths.ledger import Ledger
from tooldojo.envs.maths.story import Story
from tooldojo.envs.templates import Sketch

_OPEN = {
    "count": (
        "{who} buys some {item} pieces and {n} more; how many are there now",
        "{who} has {n} times as many {item} pieces as a friend; how many has the friend",
    ),
    "time": (
        "{who} walks for {n} minutes at an even pace; how far is that",
        "{who} started {n} minutes late; when was the end",
    ),
    "money": (
        "{who} saved {n} coins more than last year; how many in all",
        "{who} lost {n} coins; how many are left",
    ),
}
OPEN = tuple(_OPEN)
_CHORES = {
    "text": ("write {who} a letter about the {item}", "describe the {item} of {who}"),
    "choice": ("choose a colour for the {item} of {who}", "name a friend for {who}"),
    "errand": ("send the {item} to {who}", "call {who} about the {item}"),
}
CHORES = tuple(_CHORES)


def cost(ledger: Ledger, condition: str) -> Sketch:
    """So many pieces of a thing; the condition is whether the cost is noted."""
    item, price = ledger.priced()
    count = ledger.rng.randint(3, 40)
    story = Story(ledger)
    story.entry(item)
    value = story.compute(Fraction(count), "times", price)
    note, fields = noted(ledger, condition)
    fields |= {"who": ledger.person(), "n": str(count), "item": item}
    return Sketch(fields, story.end(value, note))


def noted(ledger: Ledger, condition: str) -> tuple[str, dict[str, str]]:
    """A note's name, or "" for none, and the fields that every problem has."""
    note = ledger.free_note() if condition.endswith("noted") else ""
    more = f" Note it as {note}." if note else ""
    return note, {"ledger": ledger.number, "more": more}


def convert(ledger: Ledger, condition: str) -> Sketch:
    """An amount in another unit; the factor may lie two steps away."""
    one, other = ledger.unit(), ledger.unit()
    amount = Fraction(ledger.rng.randint(2, 60))
    story = Story(ledger)
    story.factor(f"I need the factor from {one} into {other}.", one, other)
    way, _, _ = condition.partition("_")
    if way == "direct":
        value = story.compute(amount, "times", ledger.factor(one, other))
    else:
        middle = ledger.unit()
        first, second = ledger.factor(one, middle), ledger.factor(middle, other)
        story.factor(f"It goes by way of {middle}, so {one} first.", one, middle)
        between = story.compute(amount, "times", first)
        story.factor(f"Now the factor from {middle} into {other}.", middle, other)
        value = story.compute(between, "times", second)
    note, fields = noted(ledger, condition)
    fields |= {"n": str(amount), "one": one, "other": other}
    return Sketch(fields, story.end(value, note))


def percent(ledger: Ledger, condition: str) -> Sketch:
    """A percentage of a number, taken alone, added or taken away."""
    rate, value = Fraction(ledger.rng.randint(2, 90)), Fraction(ledger.rng.randint(20, 900))
    story = Story(ledger)
    part = story.percent(rate, value)
    signs = {"raised": "plus", "lowered": "minus"}
    asked = {
        "alone": "What is {p} percent of {n}", "raised": "What is {n} raised by {p} percent",
        "lowered": "What is {n} lowered by {p} percent",
    }[condition].format(p=rate, n=value)  # fmt: skip
    if condition in signs:
        part = story.compute(value, signs[condition], part)
    fields = {"ledger": ledger.number, "asked": asked}
    return Sketch(fields, story.end(part))


def equation(ledger: Ledger, condition: str) -> Sketch:
    """A linear equation in words, which may be noted."""
    rng = ledger.rng
    factor, summand = Fraction(rng.randint(2, 25)), Fraction(rng.randint(1, 90))
    total = summand + rng.randint(5, 400)
    story = Story(ledger)
    value = story.solve(factor, summand, total)
    note, fields = noted(ledger, condition)
    fields |= {"a": str(factor), "b": str(summand), "c": str(total)}
    return Sketch(fields, story.end(value, note))


def carry_on(ledger: Ledger, condition: str) -> Sketch:
    """A step that starts from an old note; the condition is which."""
    name, old = ledger.note()
    count = Fraction(ledger.rng.randint(2, 80))
    story = Story(ledger)
    story.recall(name)
    value = story.compute(old, condition, count)
    said = {"plus": "plus", "minus": "minus", "times": "times", "over": "divided by"}[condition]
    fields = {"ledger": ledger.number, "note": name, "step": f"{said} {count}"}
    return Sketch(fields, story.end(value))


def copy(ledger: Ledger, condition: str) -> Sketch:
    """A price or a rate is noted."""
    name, value = ledger.priced() if condition == "price" else ledger.rate()
    note = ledger.free_note()
    story = Story(ledger)
    story.entry(name)
    fields = {"ledger": ledger.number, "name": name, "note": note}
    return Sketch(fields, story.end(value, note))


def missing(ledger: Ledger, condition: str) -> Sketch:
    """The cost of what the ledger does not have, or of a note that is not there."""
    ledger.priced()
    count, who = ledger.rng.randint(3, 40), ledger.person()
    story = Story(ledger)
    item = ledger.item()
    story.entry(item)
    gold = story.decline(f"There is no entry {item}, so it is missing.", "missing")
    fields = {"who": who, "n": str(count), "item": item}
    return Sketch(fields | noted(ledger, condition)[1], gold)


def undetermined(ledger: Ledger, condition: str) -> Sketch:
    """A problem that leaves out a number; the condition is of which kind."""
    asked = ledger.rng.choice(_OPEN[condition])
    request = asked.format(who=ledger.person(), item=ledger.item(), n=ledger.rng.randint(2, 60))
    why = "A number that this needs is left out, so it is undetermined."
    fields = {"ledger": ledger.number, "request": request}
    return Sketch(fields, Story(ledger).decline(why, "undetermined"))


def unsupported(ledger: Ledger, condition: str) -> Sketch:
    """What asks for no number; the condition is of which kind."""
    asked = ledger.rng.choice(_CHORES[condition])
    request = asked.format(who=ledger.person(), item=ledger.item())
    why = f"To {request} asks for no number at all."
    fields = {"ledger": ledger.number, "request": request}
    return Sketch(fields, Story(ledger).decline(why, "unsupported"))
