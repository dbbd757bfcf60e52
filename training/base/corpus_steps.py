"""Steps that many families share: random values, a call that fails at first, the tool that reads a
record.

Owns: `any_value`, `spoken`, `with_errors`, `reader`.
Refuses: whole dialogues.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import Dialogue, RecordType, argument, schema
from tooldojo.training.base.template import Json
from tooldojo.training.base.words import Draw

PHRASE_WORDS = (*words.COMMON, *words.PLAIN_WORDS, *words.FUNCTION_WORDS)


def any_value(draw: Draw) -> tuple[str, object]:
    """A JSON type and a value of it, of the sorts that tool arguments have."""
    sort = draw.pick(
        (
            "id",
            "id",
            "id",
            "word",
            "person",
            "email",
            "date",
            "int",
            "float",
            "phrase",
            "colour",
            "bool",
        )
    )
    if sort == "int":
        return "integer", draw.pick(
            (draw.randint(0, 9), draw.randint(0, 99), draw.randint(100, 5000))
        )
    if sort == "float":
        return "number", draw.price()
    if sort == "bool":
        return "boolean", draw.chance(0.5)
    text = {
        "id": lambda: draw.code(draw.pick(words.ID_SHAPES)),
        "word": draw.word,
        "person": draw.person,
        "email": lambda: draw.email(draw.person()),
        "date": draw.date,
        "phrase": lambda: " ".join(draw.pick(PHRASE_WORDS) for _ in range(draw.randint(2, 3))),
        "colour": lambda: draw.pick(
            words.COLOURS + words.MATERIALS + words.SIZES + words.ADJECTIVES
        ),
    }[sort]()
    return "string", text


def spoken(value: object) -> str:
    """A value as a user writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_errors(
    d: Dialogue, thought: str, name: str, arguments: Json, result: object, p: float = 0.15
) -> None:
    """A call that first fails with probability `p`, in a way that the second attempt repairs."""
    draw = d.draw
    if draw.chance(p):
        key = draw.pick(list(arguments))
        value = arguments[key]
        kind = draw.pick(("busy", "busy", "format", "format"))
        if kind == "format" and isinstance(value, str) and len(value) > 3 and " " not in value:
            wrong = draw.pick((value.lower(), value.replace("-", ""), value.strip("#"), value[:-1]))
            if wrong != value and wrong:
                hint = draw.pick(
                    (
                        f"{key} must be {value}",
                        f"unknown {key} {wrong}, did you mean {value}?",
                        f"no {wrong}; closest is {value}",
                    )
                )
                d.call(thought, name, {**arguments, key: wrong}, {"error": hint}, learn=False)
                d.call(
                    f"The error says {key} should be {value}. Call again.", name, arguments, result
                )
                return
        text = draw.pick(
            (
                "temporarily unavailable, try again",
                "timeout, please retry",
                "busy: retry",
                "internal error, try once more",
                f"{name} timed out",
            )
        )
        d.call(thought, name, arguments, {"error": text})
        d.call("The call failed for now. Try the same call again.", name, arguments, result)
        return
    d.call(thought, name, arguments, result)


def reader(draw: Draw, kind: RecordType) -> tuple[str, str, Json]:
    """Name, argument name and schema of the tool that returns one record by id."""
    name = draw.tool_name(words.READ_VERBS, kind.thing)
    key = draw.pick((kind.id_field, kind.id_field, "id", draw.word()))
    about = draw.pick(
        (
            f"Look up one {kind.thing} by its {kind.id_field}.",
            f"Returns the record of a {kind.thing}.",
            f"Details of a {kind.thing}.",
        )
    )
    return (
        name,
        key,
        schema(
            draw,
            name,
            about,
            {key: argument(draw, "string", f"{kind.id_field} such as {draw.code(kind.shape)}")},
        ),
    )
