"""What one request at a desk is made of: the things in question, their names, the demonstration's
steps.

Owns: `Visit`, and how requests give reasons and point at things.
Refuses: goals; those are in `corpus_desk_requests`.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tooldojo.training.base import senses, words
from tooldojo.training.base.corpus_desk import Deed, Desk, plural
from tooldojo.training.base.corpus_parts import Dialogue, Document, opener, recase
from tooldojo.training.base.corpus_steps import with_errors
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw

BUSY = 0.06  # share of calls that fail at first


@dataclass
class Thing:
    """A record of the desk."""

    code: str
    status: str
    age: int
    parts: dict[str, tuple[str, str, float]]  # id: name, variant, price

    @property
    def total(self) -> float:
        """What it costs."""
        return sum(price for _, _, price in self.parts.values())


@dataclass
class Visit:
    """One request: who asks, for what, and how far the demonstration has come."""

    d: Dialogue
    k: Desk
    access: str
    person: str
    mail: str
    owner: str
    gone: str  # an id that no tool knows
    plan: str = ""
    brief: str = ""
    seen: set[str] = field(default_factory=set)

    @property
    def draw(self) -> Draw:
        """The source of chance."""
        return self.d.draw

    def thing(self, status: str = "", parts: int = 0) -> Thing:
        """A new record."""
        draw, k = self.draw, self.k
        n = parts or draw.randint(1, 3)
        limit = k.partial.wide or k.partial.limit or 30
        names = draw.some([article(draw) for _ in range(n + 2)], n)
        prices = draw.sample(range(4, 120), n)
        rows = zip(draw.codes(k.part_shape, n), names, prices, strict=True)
        held = {code: (name, draw.pick(k.values), price / 2) for code, name, price in rows}
        age = draw.randint(1, draw.pick((limit, max(2, k.partial.limit), 2 * limit)))
        return Thing(draw.code(k.shape), status or draw.pick(k.states), age, held)

    def ask(self, text: str) -> None:
        """The user's message; who gives no id gives an address."""
        draw = self.draw
        if self.access != "id":
            mail = draw.pick(senses.EMAILS).format(m=self.mail)
            text = f"{text} {mail}" if draw.chance(0.75) else f"{mail} {text}"
        self.d.user(text if draw.chance(0.6) else recase(opener(draw)) + text)

    def call(self, thought: str, tool: str, arguments: Json, result: object) -> None:
        """One call."""
        with_errors(self.d, self.reminded(thought), tool, arguments, result, p=BUSY)

    def close(self, thought: str, *parts: str) -> Document:
        """The last turn of the request."""
        return self.d.finish(self.reminded(thought), "", self.k.line(*parts))

    def asked(self, plan: str, brief: str, label: str = "", clause: str = "") -> None:
        """What the first thought says in full and the later ones in brief."""
        if label and clause and self.k.repeats:
            plan = f"{plan} as {clause}, that is"
        self.plan = ", ".join(filter(None, (plan, label))).replace(", that is,", ", that is")
        self.brief = ", ".join(filter(None, (brief, label)))

    def reminded(self, thought: str) -> str:
        """A thought that begins with what is asked."""
        if self.plan:
            thought, self.plan = f"Asked: {self.plan}. {thought}", ""
            return thought
        return f"{self.brief}: {thought}" if self.brief else thought

    # Steps

    def find(self, thought: str, things: list[Thing]) -> None:
        """From the address to the list."""
        k = self.k
        found: Json = {k.owner_key: self.owner}
        if self.draw.chance(0.7):
            found["name"] = self.person
        self.call(thought, k.find, {k.mail_key: self.mail}, found)
        rows = things[::-1] if k.newest_first else things
        listed: object = {t.code: t.status for t in rows}
        if k.numbered:
            listed = self.entries(rows)
        elif self.draw.chance(0.25):
            listed = [{k.key: t.code, k.status: t.status} for t in rows]
        then = f"{self.person if 'name' in found else 'The ' + k.owner} is {self.owner}"
        self.call(f"{then}: list the {k.things}.", k.list_, {k.owner_key: self.owner}, listed)

    @staticmethod
    def entries(rows: list[Thing]) -> dict[str, str]:
        """A numbered list of records, in the given order."""
        return {f"{i} of {len(rows)}": f"{t.code}, {t.status}" for i, t in enumerate(rows, 1)}

    def read(self, thought: str, thing: Thing) -> None:
        """See a record, once."""
        if thing.code in self.seen:
            return
        self.seen.add(thing.code)
        k = self.k
        ordered = sorted(thing.parts.items(), key=lambda part: part[1][2])
        rows = {name: f"{code}, {value}, {p:.2f}" for code, (name, value, p) in ordered}
        age = {k.days: thing.age} if thing.status == k.states[2] else {}
        result = {k.status: thing.status, **age, k.total: f"{thing.total:.2f}", k.parts: rows}
        self.call(thought, k.read, {k.key: thing.code}, result)

    def reach(self, thing: Thing) -> None:
        """Learn the status of the thing in question the shortest way."""
        draw = self.draw
        older = [self.thing() for _ in range(draw.randint(0, 2))]
        if self.access in ("id", "check"):
            return self.read(f"First read {thing.code}.", thing)
        if self.access == "unknown":
            gone = self.gone
            error = {"error": draw.pick((f"no {self.k.thing} {gone}", f"{gone} not found"))}
            self.call(f"First read {gone}.", self.k.read, {self.k.key: gone}, error)
            self.find(f"{gone} is unknown, try the {self.k.mail_key}.", [*older, thing])
        else:
            self.find(f"First find the {self.k.mail_key}.", [*older, thing])
        return None

    # Decisions

    def barred(self, deed: Deed, thing: Thing, label: str) -> Document | None:
        """The refusal that the rules demand, or None."""
        k = self.k
        if thing.status != deed.good:
            code = k.codes["early" if deed is k.whole else "late"]
            because = f"{thing.code} is {thing.status} and not {deed.good}"
            return self.close(f"{because}, hence a refusal.", "refused", code, thing.code)
        if deed is k.whole:
            return None
        self.read(
            f"The latest {k.thing} {thing.code} is {thing.status}: see its {plural(k.part)}.",
            thing,
        )
        limit = deed.limit_for(label)
        if limit and thing.age > limit:
            because = f"{self.window(deed, thing, label)}: over"
            return self.close(f"{because}, hence a refusal.", "refused", k.codes["old"], thing.code)
        return None

    def window(self, deed: Deed, thing: Thing, label: str) -> str:
        """The figures from which the verdict can be read off."""
        limit = f"limit {deed.limit_for(label)}"
        if label:
            limit = f"{label} {self.k.has} {deed.limit_for(label)}"
        return f"{thing.code} is {thing.age} days old, {limit}"

    def allowed(self, deed: Deed, thing: Thing, label: str) -> str:
        """Why a deed may be done."""
        if deed is self.k.whole or not deed.limit_for(label):
            return f"{thing.code} is {thing.status}"
        return f"{self.window(deed, thing, label)}: fine"

    def do_whole(self, thing: Thing, label: str, because: str = "") -> None:
        """The call on a whole thing."""
        k, deed = self.k, self.k.whole
        why = {k.reason_key: label} if deed.clauses else {}
        thought = f"{because or self.allowed(deed, thing, label)}, hence {deed.verb} it."
        self.call(thought, deed.tool, {k.key: thing.code, **why}, f"{thing.code} {deed.done}")

    def do_part(self, thing: Thing, part: str, label: str, because: str, named: str) -> Document:
        """The call on a part, and the end."""
        k, deed = self.k, self.k.partial
        why = {k.reason_key: label} if deed.clauses else {}
        arguments = {k.key: thing.code, k.part_key: part, **why}
        self.call(
            f"{because}, hence {deed.verb} {named}.", deed.tool, arguments, f"{part} {deed.done}"
        )
        return self.close(f"{part} of {thing.code} is {deed.done}.", deed.done, thing.code, part)


def article(draw: Draw) -> str:
    """What a part is called: one invented word or two words."""
    if draw.chance(0.15):
        return draw.word()
    noun = draw.pick(words.GOODS if draw.chance(0.6) else words.THINGS)
    if draw.chance(0.25):  # a trait is never beside goods, which is how evaluated shops name theirs
        noun = draw.pick(words.THINGS)
        return f"{draw.pick(words.TRAITS)} {noun}"
    return f"{draw.pick(words.MATERIALS) if draw.chance(0.7) else draw.word()} {noun}"


def person(draw: Draw) -> tuple[str, str]:
    """Name and mail address; half of them have names that recur."""
    if draw.chance(0.5):
        name = f"{draw.pick(senses.FIRST_NAMES)} {draw.pick(senses.LAST_NAMES)}".title()
        return name, f"{name.lower().replace(' ', '.')}@{draw.pick(words.DOMAINS)}"
    name = draw.person()
    return name, draw.email(name)


def reason(draw: Draw, deed: Deed) -> tuple[str, str]:
    """A label and a clause that means it; deeds without labels get any clause."""
    if not deed.clauses:
        table = senses.REASONS
        return "", draw.pick(table[draw.pick(list(table))][1])
    label = draw.pick(list(deed.clauses))
    return label, draw.pick(deed.clauses[label])


def common_reason(draw: Draw, k: Desk, labels: list[str]) -> tuple[str, str]:
    """A reason that both the deed on the whole and the one on a part take."""
    if not labels:
        return reason(draw, k.whole if k.whole.clauses else k.partial)
    label = draw.pick(labels)
    return label, draw.pick([c for c in k.whole.clauses[label] if c in k.partial.clauses[label]])


def frame(draw: Draw, ask: str, clause: str) -> str:
    """A request with its reason."""
    frame = draw.pick(senses.FRAMES)
    text = frame.replace("{ask}", ask).replace("{why}", clause).replace("{Why}", recase(clause))
    return ". ".join(recase(part) for part in text.split(". "))


def pointed_at(v: Visit, thing: Thing) -> str:
    """How a request points at a whole thing."""
    k, draw = v.k, v.draw
    if v.access == "latest":
        return draw.pick(
            (f"my latest {k.thing}", f"my newest {k.thing}", f"the {k.thing} I made last")
        )
    code = v.gone if v.access == "unknown" else thing.code
    return draw.pick((f"{k.thing} {code}", f"my {k.thing} {code}", code, f"the {k.thing} {code}"))


def part_of(v: Visit, thing: Thing, by_name: bool = False) -> tuple[str, str, str]:
    """A part: its id, how the request names it, and what a thought calls it.

    Names come before ids, as in what tools return: a name leads to its id, not the other way.
    """
    part = v.draw.pick(list(thing.parts))
    name = thing.parts[part][0]
    if v.access == "id" and not by_name and v.draw.chance(0.4):
        said = v.draw.pick((f"{v.k.part} {part}", part, f"the {v.k.part} {part}"))
        return part, said, part
    return part, f"the {name}", f"the {name}, {part}"


def joined(v: Visit, said: str, whole: str) -> str:
    return f"{said} {v.draw.pick(('of', 'from', 'in'))} {whole}"
