"""Building blocks of the corpus: documents, tool schemas, records and closing lines.

Owns: `Document`, the `Dialogue` builder that the families fill, random schemas, random record
types.
Refuses: deciding what a dialogue is about; that is the families' part.
Invariant: every value that an assistant turn needs stands earlier in the same dialogue or follows
from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tooldojo.training.base import words
from tooldojo.training.base.template import Json, compact
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Document:
    """A conversation to learn from; `closing` is the line that the final message must end with."""

    kind: str
    messages: list[Json]
    tools: list[Json] | None
    closing: str


@dataclass
class Dialogue:
    """Collects the turns of one document."""

    draw: Draw
    kind: str
    tools: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)

    def system(self, text: str) -> None:
        self.messages.append({"role": "system", "content": text})

    def user(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def call(
        self, thought: str, name: str, arguments: Json, result: object, learn: bool = True
    ) -> None:
        """One call and its result; `learn` False for a mistake that is there to be repaired."""
        at = len(self.messages)
        self.calls(thought, [(name, arguments, result)])
        if not learn:
            self.messages[at]["learn"] = False

    def calls(self, thought: str, made: list[tuple[str, Json, object]]) -> None:
        """Several calls in one turn, then their results in order."""
        blocks = [
            {"type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments, _ in made
        ]
        self.messages.append(
            {"role": "assistant", "content": "", "reasoning_content": thought, "tool_calls": blocks}
        )
        for _, _, result in made:
            text = result if isinstance(result, str) else compact(result)
            self.messages.append({"role": "tool", "content": text})

    def say(self, thought: str, message: str, closing: str) -> None:
        """An answer without calls; it ends with the closing line."""
        content = f"{message}\n{closing}" if message else closing
        self.messages.append(
            {"role": "assistant", "content": content, "reasoning_content": thought}
        )

    def finish(self, thought: str, message: str, closing: str) -> Document:
        """The last assistant turn."""
        self.say(thought, message, closing)
        return Document(self.kind, self.messages, self.tools or None, closing)


def schema(
    draw: Draw, name: str, about: str, properties: dict[str, Json], optional: int = 0
) -> Json:
    """A tool schema in OpenAI's shape; the last `optional` arguments are not required."""
    names = list(properties)
    parameters: Json = {"type": "object", "properties": properties}
    required = names[: len(names) - optional]
    parameters["required"] = required
    if draw.chance(0.15):
        parameters["additionalProperties"] = False
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": parameters},
    }


def argument(draw: Draw, kind: str, about: str, values: list[str] | None = None) -> Json:
    """The schema of one argument; descriptions come and go."""
    out: Json = {"type": kind}
    if values is not None and draw.chance(0.8):
        out["enum"] = values
    if draw.chance(0.5):
        out["description"] = about
    return out


def distractors(draw: Draw, n: int) -> list[Json]:
    """Tools that the dialogue does not need."""
    out = []
    for _ in range(n):
        thing = draw.pick(words.THINGS)
        verb = draw.pick(words.VERBS + words.READ_VERBS)
        name = draw.tool_name([verb], thing)
        names = draw.some(
            [f"{thing}_id", "id", "note", "name", "reason", draw.word(), "day", "count"], 2
        )
        properties = {
            key: argument(draw, "integer" if key == "count" else "string", f"{key} of the {thing}")
            for key in names[: draw.randint(1, 2)]
        }
        about = draw.pick(
            (
                f"{verb.capitalize()} a {thing}.",
                f"{verb.capitalize()} the {thing} given.",
                f"To {verb} one {thing}",
            )
        )
        out.append(schema(draw, name, about.replace("_", " "), properties))
    return out


@dataclass(frozen=True)
class RecordType:
    """Fields of a kind of record: the id, a status, a number, a price and some more."""

    thing: str
    id_field: str
    shape: str
    status: str
    states: list[str]
    number: str
    top: int
    price: str
    colour: str
    colours: list[str]
    owner: str
    extra: list[str]


def record_type(draw: Draw) -> RecordType:
    """A random kind of record; ids, field names and states differ from document to document."""
    thing = draw.pick(words.THINGS) if draw.chance(0.8) else draw.word()
    pool = draw.pick((words.COLOURS, words.COLOURS, words.MATERIALS, words.SIZES))
    label = "colour" if pool is words.COLOURS else "material" if pool is words.MATERIALS else "size"
    states = draw.some(words.ADJECTIVES, draw.randint(2, 4))
    if draw.chance(0.2):
        states = [draw.word() for _ in states]
    return RecordType(
        thing=thing,
        id_field=draw.pick((f"{thing}_id", f"{thing}_id", "id", "ref", f"{thing}_no", "code")),
        shape=draw.pick(words.ID_SHAPES),
        status=draw.pick(words.STATUS_FIELDS),
        states=states,
        number=draw.pick(words.DAY_FIELDS + words.COUNT_FIELDS),
        top=draw.pick((20, 60, 99, 400)),
        price=draw.pick(words.PRICE_FIELDS),
        colour=draw.pick((label, label, draw.word())),
        colours=draw.some(pool, 4) if draw.chance(0.8) else [draw.word() for _ in range(4)],
        owner=draw.pick(words.NAME_FIELDS),
        extra=draw.some(
            [*words.DATE_FIELDS, *words.KIND_FIELDS, "name", "email"], draw.randint(0, 2)
        ),
    )


def record(draw: Draw, kind: RecordType, code: str, **fixed: object) -> Json:
    """A record of `kind`; `fixed` sets fields, the others are random. The id comes first."""
    body: list[tuple[str, object]] = [
        (kind.status, draw.pick(kind.states)),
        (kind.number, draw.randint(0, kind.top)),
        (kind.price, draw.price()),
        (kind.colour, draw.pick(kind.colours)),
        (kind.owner, draw.person()),
    ]
    for name in kind.extra:
        body.append((name, _extra_value(draw, name)))
    draw.shuffle(body)
    keep = draw.randint(3, len(body))
    chosen = [pair for i, pair in enumerate(body) if i < keep or pair[0] in fixed]
    out: Json = {kind.id_field: code}
    out.update(chosen)
    out.update(fixed)
    return out


def _extra_value(draw: Draw, name: str) -> object:
    if name in words.DATE_FIELDS:
        return draw.date()
    if name == "email":
        return draw.email(draw.person())
    return draw.word() if draw.chance(0.5) else f"{draw.word()} {draw.pick(words.THINGS)}"


@dataclass(frozen=True)
class Closing:
    """The format of the last line, as the system text states it."""

    form: str
    rule: str

    def line(self, code: str, ident: str = "") -> str:
        return self.form.replace("<code>", code).replace("<id>", ident).rstrip()


LABELS = (
    *("Result", "Answer", "Outcome", "Final", "Verdict", "Status", "Done"),
    *("Closing", "Decision", "End", "Report", "Reply", "Summary", "Output"),
)


def closing_format(draw: Draw, with_id: bool) -> Closing:
    """A random closing line; `<code>` is what was decided or the value, `<id>` the record."""
    label = draw.pick(LABELS) if draw.chance(0.9) else draw.word().capitalize()
    if with_id:
        form = draw.pick(
            (
                *(f"{label}: <code> <id>",) * 4,
                *(f"{label}: <id> <code>", f"{label} = <code> <id>", f"[{label}] <code> <id>"),
                *(f"{label} <code> / <id>", f"{label.upper()}: <code> (<id>)", "## <code> <id>"),
                f"{label}: <code>, <id>",
            )
        )
    else:
        form = draw.pick(
            (
                *(f"{label}: <code>",) * 4,
                *(f"{label} = <code>", f"[{label}] <code>", "=> <code>"),
                *(f"{label.upper()}: <code>", f"{label} - <code>"),
            )
        )
    shown = form if with_id else form.replace("<code>", "<value>")
    rule = draw.pick(
        (
            f"End the last message with the line '{shown}'.",
            f"Close with '{shown}'.",
            f'The final message ends with "{shown}".',
            f"Write '{shown}' as the last line.",
            f"Your last line must read {shown}",
        )
    )
    return Closing(form, rule)


def tell_rules(draw: Draw, rules: list[str]) -> str:
    """Rules as a list: numbered, with dashes or stars, or as plain sentences."""
    style = draw.pick(("1.", "1.", "-", "-", "*", ""))
    if style == "1.":
        return "\n".join(f"{i}. {rule}" for i, rule in enumerate(rules, 1))
    if style == "":
        return "\n".join(rules)
    return "\n".join(f"{style} {rule}" for rule in rules)


def role_line(draw: Draw, thing: str) -> str:
    """The first line of a system text."""
    place = draw.word().capitalize()
    return draw.pick(
        (
            f"You are the {thing} desk of {place}.",
            f"You help the keepers of the {place} {thing} register.",
            f"You are {place}, an assistant for {thing} records.",
            f"You work at the {place} {thing} office and act through tools.",
            f"You are an assistant. You take care of each {thing} at {place}.",
            f"{place} {thing} service. Follow the rules and use the tools.",
        )
    )


def opener(draw: Draw) -> str:
    """How a user may begin."""
    if draw.chance(0.5):
        return ""
    return draw.pick(
        (
            "Hi, ",
            "Hello. ",
            "Please help: ",
            "Good morning, ",
            f"Hi, I am {draw.person()}. ",
            "Hey, ",
            "Hello there, ",
        )
    )


def recase(text: str) -> str:
    """Upper-case the first letter."""
    return text[:1].upper() + text[1:]
