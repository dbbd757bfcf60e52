"""Levels 2 and 3: three to six steps, each on the result of the one before."""

from __future__ import annotations

from fractions import Fraction

from tooldojo.envs.maths.ledger import Ledger
from tooldojo.envs.maths.simple import noted
from tooldojo.envs.maths.story import Story
from tooldojo.envs.templates import Sketch
from tooldojo.verifiers.exact import spelled


def share(ledger: Ledger, condition: str) -> Sketch:
    """The cost of some pieces, divided among people."""
    item, price = ledger.priced()
    count, people = (Fraction(n) for n in ledger.rng.sample(range(2, 24), 2))
    story = Story(ledger)
    story.entry(item)
    value = story.compute(story.compute(count, "times", price), "over", people)
    note, fields = noted(ledger, condition)
    fields |= {"who": ledger.person(), "n": str(count), "item": item, "k": str(people)}
    return Sketch(fields, story.end(value, note))


def change(ledger: Ledger, condition: str) -> Sketch:
    """What is left of a sum after buying, or what is missing for it."""
    item, price = ledger.priced()
    count = Fraction(ledger.rng.randint(3, 30))
    bill = count * price
    enough = condition == "left"
    more = Fraction(ledger.rng.randint(1, 60))
    whole = Fraction(int(bill))
    paid = whole + more if enough else max(whole - more, Fraction(1))
    story = Story(ledger)
    story.entry(item)
    story.compute(count, "times", price)
    value = story.compute(paid, "minus", bill) if enough else story.compute(bill, "minus", paid)
    fields = {
        "ledger": ledger.number, "who": ledger.person(), "n": str(count), "item": item,
        "c": str(paid),
    }  # fmt: skip
    return Sketch(fields, story.end(value))


def discount(ledger: Ledger, condition: str) -> Sketch:
    """Some pieces with a percentage given or in the ledger, taken away or added."""
    sign, how, *_ = condition.split("_")
    item, price = ledger.priced()
    count = Fraction(ledger.rng.randint(3, 30))
    name, rate = ledger.rate() if how == "entry" else ("", Fraction(ledger.rng.randint(2, 60)))
    story = Story(ledger)
    story.entry(item)
    bill = story.compute(count, "times", price)
    if name:
        story.entry(name)
    value = story.compute(bill, sign, story.percent(rate, bill))
    note, fields = noted(ledger, condition)
    by = f"the {name} in percent from the ledger" if name else f"{rate} percent"
    fields |= {"who": ledger.person(), "n": str(count), "item": item}
    fields["by"] = f"plus {by}" if sign == "plus" else f"less {by}"
    return Sketch(fields, story.end(value, note))


def bill(ledger: Ledger, condition: str) -> Sketch:
    """Two things in different numbers, or how much more the first costs."""
    sign, _, _ = condition.partition("_")
    (one, first), (two, second) = sorted(
        (ledger.priced() for _ in range(2)), key=lambda pair: -pair[1]
    )
    n, m = sorted((Fraction(k) for k in ledger.rng.sample(range(2, 30), 2)), reverse=True)
    story = Story(ledger)
    story.entry(one)
    left = story.compute(n, "times", first)
    story.entry(two)
    right = story.compute(m, "times", second)
    value = story.compute(left, sign, right)
    note, fields = noted(ledger, condition)
    fields |= {"who": ledger.person(), "n": str(n), "item": one, "m": str(m), "other": two}
    asked = {"plus": "What is that together", "minus": "How much more do the first cost"}
    fields["asked"] = asked[sign]
    return Sketch(fields, story.end(value, note))


def budget(ledger: Ledger, condition: str) -> Sketch:
    """How many of one thing a sum pays for beside one of another."""
    (one, first), (two, second) = ledger.priced(), ledger.priced()
    count = Fraction(ledger.rng.randint(3, 30))
    total = first + count * second
    story = Story(ledger)
    story.entry(one)
    story.entry(two)
    value = story.solve(second, first, total)
    note, fields = noted(ledger, condition)
    fields |= {"who": ledger.person(), "item": one, "other": two}
    fields["c"] = spelled(total)
    return Sketch(fields, story.end(value, note))


def freight(ledger: Ledger, condition: str) -> Sketch:
    """The cost of an amount in one unit at a price for another."""
    one, other = ledger.unit(), ledger.unit()
    item, price = ledger.priced()
    amount = Fraction(ledger.rng.randint(2, 40))
    factor = ledger.factor(one, other)
    story = Story(ledger)
    story.factor(f"The price is for one {other}, so I convert {one}.", one, other)
    size = story.compute(amount, "times", factor)
    story.entry(item)
    value = story.compute(size, "times", price)
    note, fields = noted(ledger, condition)
    fields |= {"who": ledger.person(), "n": str(amount), "item": item, "one": one, "other": other}
    return Sketch(fields, story.end(value, note))


def grow(ledger: Ledger, condition: str) -> Sketch:
    """An old note, raised or lowered by a rate of the ledger, and noted anew or told."""
    sign, _, _ = condition.partition("_")
    old, value = ledger.note()
    name, rate = ledger.rate()
    story = Story(ledger)
    story.recall(old)
    story.entry(name)
    value = story.compute(value, sign, story.percent(rate, value))
    note, fields = noted(ledger, condition)
    fields |= {"note": old, "rate": name, "by": {"plus": "raised", "minus": "lowered"}[sign]}
    return Sketch(fields, story.end(value, note))
