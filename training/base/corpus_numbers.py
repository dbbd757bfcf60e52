"""Families without rules: drills on numbers and copies, and queries in small languages.

Owns: `numbers`, `copying` and `prose`.
Refuses: real schemas; tables and columns are invented words that the context introduces.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from itertools import pairwise

from tooldojo.training.base import words
from tooldojo.training.base.corpus_parts import (
    Dialogue,
    Document,
)
from tooldojo.training.base.corpus_steps import any_value, spoken
from tooldojo.training.base.template import Json, compact
from tooldojo.training.base.words import Draw


def numbers(draw: Draw) -> Document:
    """Several short questions on numbers and small JSON lists, no tools."""
    d = Dialogue(draw, "numbers")
    if draw.chance(0.5):
        d.system(f"You are {draw.word().capitalize()}. Answer in one line.")
    closing = ""
    thought = ""
    for i in range(draw.randint(2, 6)):
        if i:
            d.messages.append(
                {"role": "assistant", "content": closing, "reasoning_content": thought}
            )
        question, thought, closing = _number_task(draw)
        d.user(question)
    return d.finish(thought, "", closing)


TASKS = (
    *("compare", "compare", "limit", "limit", "price", "sum"),
    *("difference", "count", "extreme", "days"),
)


def _number_task(draw: Draw) -> tuple[str, str, str]:
    """Question, thought and answer."""
    top = draw.pick((12, 60, 100, 400, 999, 999))
    a, b = draw.randint(0, top), draw.randint(0, top)
    x, y = draw.price(), draw.price()
    task = draw.pick(TASKS)
    if task in ("count", "extreme"):
        return _rows_task(draw, task == "count")
    if task == "compare":
        a = a if a != b else b + 1
        high, low = max(a, b), min(a, b)
        return f"Which is more, {a} or {b}?", f"{high} is more than {low}.", str(high)
    if task == "limit":
        thought = f"{a} is {'not ' if a <= b else ''}over {b}."
        return f"The limit is {b}. Is {a} within it?", thought, "yes" if a <= b else "no"
    if task == "price":
        cheap = min(x, y)
        return f"Which costs less, {x} or {y}?", f"{cheap} is less than {max(x, y)}.", str(cheap)
    if task == "sum":
        parts = [draw.randint(0, draw.pick((9, 50, 99))) for _ in range(draw.pick((2, 2, 3)))]
        texts, total = [str(part) for part in parts], str(sum(parts))
        return f"Add {', '.join(texts)}.", f"{' + '.join(texts)} = {total}.", total
    if task == "difference":
        high, low = max(a, b), min(a, b)
        return f"What is {high} minus {low}?", f"{high} - {low} = {high - low}.", str(high - low)
    first, gap = draw.randint(1, 20), draw.randint(0, 8)
    stem, last = draw.date()[:8], first + gap
    question = f"How many days from {stem}{first:02d} to {stem}{last:02d}?"
    return question, f"{last} - {first} = {gap}.", str(gap)


def _rows_task(draw: Draw, count: bool) -> tuple[str, str, str]:
    """Question, thought and answer on a JSON list: how many in a state, or which is extreme."""
    key, label = draw.pick(words.COUNT_FIELDS), draw.pick(words.STATUS_FIELDS)
    states = draw.some(words.ADJECTIVES, 2)
    ids, found = draw.codes(draw.pick(words.ID_SHAPES), 4), draw.sample(range(1, 400), 4)
    rows: list[Json] = [
        {"id": c, key: v, label: draw.pick(states)} for c, v in zip(ids, found, strict=True)
    ]
    rows = rows[: draw.randint(2, 4)]
    if count:
        hits = [str(r["id"]) for r in rows if r[label] == states[0]]
        thought = f"{states[0]}: {', '.join(hits) or 'none'}, that is {len(hits)}."
        return f"{compact(rows)}\nHow many are {states[0]}?", thought, str(len(hits))
    most = draw.chance(0.5)
    side = "highest" if most else "lowest"
    best = (max if most else min)(rows, key=lambda r: int(str(r[key])))
    shown = ", ".join(str(r[key]) for r in rows)
    question = f"{compact(rows)}\nWhich id has the {side} {key}?"
    return question, f"{key} {shown}; {side} {best[key]}.", str(best["id"])


def copying(draw: Draw) -> Document:
    """A list of named values, then many questions that ask for them again, no tools."""
    d = Dialogue(draw, "copying")
    n = draw.randint(3, 8)
    keys = [
        draw.pick((draw.word(), draw.pick(words.THINGS), draw.pick(words.COMMON))) for _ in range(n)
    ]
    facts = {key: spoken(any_value(draw)[1]) for key in keys}
    listed = draw.pick((
        "\n".join(f"{k}: {v}" for k, v in facts.items()),
        compact(facts),
        "; ".join(f"{k} is {v}" for k, v in facts.items()) + ".",
    ))  # fmt: skip
    asked = [draw.pick(list(facts)) for _ in range(draw.randint(5, 14))]
    d.user(f"{listed}\n{asked[0]}?")
    frame = draw.pick(
        ("{v}", "{k}: {v}", '{{"{k}": "{v}"}}', "It is {v}.", "{k} = {v}", "Call {v} now")
    )
    for before, after in pairwise(asked):
        d.messages.append({"role": "assistant", "content": frame.format(k=before, v=facts[before])})
        d.user(draw.pick((f"{after}?", f"And {after}?", f"Now {after}.")))
    last = frame.format(k=asked[-1], v=facts[asked[-1]])
    d.messages.append({"role": "assistant", "content": last})
    return Document("copying", d.messages, None, last)


def prose(draw: Draw) -> Document:
    """Plain words in a row, to be repeated or looked up by neighbour: ordinary English gets its
    embeddings.
    """
    d = Dialogue(draw, "prose")
    pool = words.COMMON + words.ADJECTIVES + words.VERBS + words.THINGS + words.FUNCTION_WORDS
    line = draw.some(pool, draw.randint(5, 14))
    if draw.chance(0.5):
        line = [
            w if draw.chance(0.7) else draw.pick((w.capitalize(), w.upper(), draw.person()))
            for w in line
        ]
    text = " ".join(line)
    if draw.chance(0.5):
        asked = f"{text}\nWrite that again."
        answer = text
    else:
        i = draw.randint(1, len(line) - 1)
        asked = f"{text}\nWhat follows {line[i - 1]}?"
        answer = line[i]
    d.user(asked)
    d.messages.append({"role": "assistant", "content": answer})
    return Document("prose", d.messages, None, answer)
