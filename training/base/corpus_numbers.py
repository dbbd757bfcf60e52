"""Families without rules: drills on numbers and copies, and queries in small languages.

Owns: `numbers`, `copying`, `prose`, `filter_query` and `sql_query`.
Refuses: real schemas; tables and columns are invented words that the context introduces.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from itertools import pairwise

from tooldojo.training.base import words
from tooldojo.training.base.corpus_calls import any_value, spoken
from tooldojo.training.base.corpus_parts import (
    Dialogue,
    Document,
    argument,
    closing_format,
    distractors,
    opener,
    recase,
    role_line,
    schema,
    tell_rules,
)
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


def _number_task(draw: Draw) -> tuple[str, str, str]:
    """Question, thought and answer."""
    top = draw.pick((12, 60, 100, 400, 999, 999))
    a, b = draw.randint(0, top), draw.randint(0, top)
    x, y = draw.price(), draw.price()
    task = draw.pick(
        (
            "compare",
            "compare",
            "limit",
            "limit",
            "price",
            "sum",
            "difference",
            "count",
            "extreme",
            "days",
        )
    )
    if task == "compare":
        a = a if a != b else b + 1
        return (
            f"Which is more, {a} or {b}?",
            f"{max(a, b)} is more than {min(a, b)}.",
            str(max(a, b)),
        )
    if task == "limit":
        ok = a <= b
        return (
            f"The limit is {b}. Is {a} within it?",
            f"{a} is {'not ' if ok else ''}over {b}.",
            "yes" if ok else "no",
        )
    if task == "price":
        low = min(x, y)
        return f"Which costs less, {x} or {y}?", f"{low} is less than {max(x, y)}.", str(low)
    if task == "sum":
        parts = [draw.randint(0, draw.pick((9, 50, 99))) for _ in range(draw.pick((2, 2, 3)))]
        return (
            f"Add {', '.join(map(str, parts))}.",
            f"{' + '.join(map(str, parts))} = {sum(parts)}.",
            str(sum(parts)),
        )
    if task == "difference":
        big, small = max(a, b), min(a, b)
        return (
            f"What is {big} minus {small}?",
            f"{big} - {small} = {big - small}.",
            str(big - small),
        )
    if task == "days":
        first, gap = draw.randint(1, 20), draw.randint(0, 8)
        stem = draw.date()[:8]
        return (
            f"How many days from {stem}{first:02d} to {stem}{first + gap:02d}?",
            f"{first + gap} - {first} = {gap}.",
            str(gap),
        )
    key, label = draw.pick(words.COUNT_FIELDS), draw.pick(words.STATUS_FIELDS)
    states = draw.some(words.ADJECTIVES, 2)
    rows: list[Json] = [
        {"id": c, key: v, label: draw.pick(states)}
        for c, v in zip(
            draw.codes(draw.pick(words.ID_SHAPES), 4), draw.sample(range(1, 400), 4), strict=True
        )
    ][: draw.randint(2, 4)]
    if task == "count":
        hits = [str(r["id"]) for r in rows if r[label] == states[0]]
        return (
            f"{compact(rows)}\nHow many are {states[0]}?",
            f"{states[0]}: {', '.join(hits) or 'none'}, that is {len(hits)}.",
            str(len(hits)),
        )
    most = draw.chance(0.5)
    best = (max if most else min)(rows, key=lambda r: int(str(r[key])))
    shown = ", ".join(str(r[key]) for r in rows)
    return (
        f"{compact(rows)}\nWhich id has the {'highest' if most else 'lowest'} {key}?",
        f"{key} {shown}; {'highest' if most else 'lowest'} {best[key]}.",
        str(best["id"]),
    )


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


def _columns(draw: Draw) -> tuple[list[str], str, str, list[str]]:
    """Column names of a table: all, the numeric one, the labelled one, and its values."""
    number = draw.pick((draw.word(), draw.pick(words.COUNT_FIELDS), draw.pick(words.DAY_FIELDS)))
    label = draw.pick((draw.word(), draw.pick(words.STATUS_FIELDS), draw.pick(words.KIND_FIELDS)))
    values = (
        [draw.word() for _ in range(3)]
        if draw.chance(0.5)
        else draw.some(words.ADJECTIVES + words.COLOURS, 3)
    )
    columns = list(dict.fromkeys([f"{draw.word()}_id", label, number, draw.word()]))
    return columns, number, label, values


def filter_query(draw: Draw) -> Document:
    """A tool that takes an expression in a small language which the system text explains."""
    d = Dialogue(draw, "filter")
    thing = draw.pick(words.THINGS)
    columns, number, label, values = _columns(draw)
    name, key = (
        draw.tool_name(words.QUERY_VERBS, thing),
        draw.pick(("query", "expr", "where", "filter", "q")),
    )
    d.tools = [
        schema(
            draw,
            name,
            f"Rows of the {thing} list that match.",
            {key: argument(draw, "string", "an expression")},
        ),
        *distractors(draw, draw.pick((0, 1, 3))),
    ]
    draw.shuffle(d.tools)
    equals, also = draw.pick((" = ", " is ", " == ", ":")), draw.pick((" and ", " & ", "; "))
    order, limit = (
        draw.pick((" sort by ", " order ", " | sort ")),
        draw.pick((" limit ", " first ", " top ")),
    )
    closing = closing_format(draw, with_id=False)
    grammar = f"column{equals}value{also}column > number{order}column desc{limit}n"
    d.system(
        f"{role_line(draw, thing)}\nColumns: {', '.join(columns)}.\nExpressions: {grammar}.\n"
        f"{tell_rules(draw, [closing.rule])}"
    )
    value, cut, top = draw.pick(values), draw.randint(1, 300), draw.randint(1, 5)
    query, said = f"{label}{equals}{value}", f"with {label} {value}"
    if draw.chance(0.5):
        more = draw.chance(0.5)
        query += f"{also}{number} {'>' if more else '<'} {cut}"
        said += f" and {number} {'over' if more else 'under'} {cut}"
    wants_id = draw.chance(0.5)
    if wants_id:
        down = draw.chance(0.5)
        query += f"{order}{number} {'desc' if down else 'asc'}{limit}1"
        side = "highest" if down else "lowest"
        ask = f"which {columns[0]} has the {side} {number} of those {said}?"
        row = {
            columns[0]: draw.code(draw.pick(words.ID_SHAPES)),
            label: value,
            number: draw.randint(1, 400),
        }
        answer, result = str(row[columns[0]]), [row]
    else:
        query += f"{limit}{top}"
        ask = f"list {top} rows {said}, and tell me how many came."
        found = draw.randint(0, top)
        result = [
            {columns[0]: c, label: value} for c in draw.codes(draw.pick(words.ID_SHAPES), found)
        ]
        answer = str(found)
    d.user(recase(opener(draw) + ask))
    d.call(f"Use {name} with the expression.", name, {key: query}, result)
    return d.finish(f"The rows give {answer}.", f"It is {answer}.", closing.line(answer))


def sql_query(draw: Draw) -> Document:
    """SQL over tables of invented names: see columns, ask, repair a failed statement, answer."""
    d = Dialogue(draw, "sql")
    tables = [draw.word() for _ in range(2)]
    shape = {t: _columns(draw) for t in tables}
    t = tables[0]
    columns, _, label, _ = shape[t]
    runner, key = (
        draw.tool_name(["eval", "fire", "issue", "send", "exec"], draw.word()),
        draw.pick(("statement", "text", "select", "code")),
    )
    lister, shower = (
        draw.tool_name(words.LIST_VERBS, "sheets"),
        draw.tool_name(words.READ_VERBS, "sheet"),
    )
    which = draw.pick(("sheet", "of", "which"))
    d.tools = [
        schema(
            draw,
            runner,
            "Runs one SELECT statement.",
            {key: argument(draw, "string", "the statement")},
        ),
        schema(draw, lister, "Names of all sheets.", {}),
        schema(
            draw,
            shower,
            "Columns of a sheet.",
            {which: argument(draw, "string", "name of the sheet")},
        ),
        *distractors(draw, draw.pick((0, 1, 2))),
    ]
    draw.shuffle(d.tools)
    closing = closing_format(draw, with_id=False)
    known = draw.chance(0.5)
    about = (
        "\n".join(f"Sheet {x}: {', '.join(shape[x][0])}." for x in tables)
        if known
        else "Read the columns before you ask."
    )
    d.system(f"{role_line(draw, 'sheet')}\n{about}\n{tell_rules(draw, [closing.rule])}")
    said, sql, answer = _sql_task(draw, t, tables[1], shape)
    d.user(recase(opener(draw) + said))
    if not known:
        if draw.chance(0.5):
            d.call("First see which sheets there are.", lister, {}, tables)
        d.call(
            f"Read the columns of {t}.",
            shower,
            {which: t},
            draw.pick((columns, {"columns": columns})),
        )
        if " JOIN " in sql:
            d.call(
                f"Read the columns of {tables[1]}.", shower, {which: tables[1]}, shape[tables[1]][0]
            )
    if draw.chance(0.1):
        wrong = sql.replace(label, "label", 1) if label in sql else sql.replace(t, "sheet", 1)
        bad = "label" if label in sql else "sheet"
        good = label if label in sql else t
        d.call(
            "Ask with one statement.",
            runner,
            {key: wrong},
            {"error": f"no such name: {bad}"},
            learn=False,
        )
        d.call(f"{bad} is wrong, the name is {good}. Ask again.", runner, {key: sql}, answer)
    else:
        d.call("Ask with one statement.", runner, {key: sql}, answer)
    value = (
        spoken(next(iter(answer[0].values())))
        if isinstance(answer[0], dict)
        else spoken(answer[0][0])
    )  # type: ignore[index]
    return d.finish(f"The result is {value}.", f"It is {value}.", closing.line(value))


def _sql_task(
    draw: Draw, t: str, other: str, shape: dict[str, tuple[list[str], str, str, list[str]]]
) -> tuple[str, str, list[object]]:
    """The question, the statement and its result."""
    columns, number, label, values = shape[t]
    value, cut = draw.pick(values), draw.randint(1, 300)
    sort = draw.pick(("count", "sum", "avg", "max", "top", "over", "group", "join"))
    where = f"WHERE {label} = '{value}'"
    n: object = draw.randint(1, 900)
    ident: object = draw.code(draw.pick(words.ID_SHAPES))
    if sort == "count":
        said, sql, got = (
            f"how many rows of {t} have {label} {value}?",
            f"SELECT COUNT(*) FROM {t} {where}",
            n,
        )
    elif sort in ("sum", "avg", "max"):
        word = {"sum": "total", "avg": "average", "max": "highest"}[sort]
        said, sql, got = (
            f"what is the {word} {number} in {t} where {label} is {value}?",
            f"SELECT {sort.upper()}({number}) FROM {t} {where}",
            n,
        )
    elif sort == "top":
        said, got = (
            f"which {columns[0]} in {t} has the highest {number} with {label} {value}?",
            ident,
        )
        sql = f"SELECT {columns[0]} FROM {t} {where} ORDER BY {number} DESC LIMIT 1"
    elif sort == "over":
        said, got = f"how many rows of {t} have {number} over {cut}?", n
        sql = f"SELECT COUNT(*) FROM {t} WHERE {number} > {cut}"
    elif sort == "group":
        said, got = f"which {label} is most frequent in {t}?", value
        sql = f"SELECT {label} FROM {t} GROUP BY {label} ORDER BY COUNT(*) DESC LIMIT 1"
    else:
        far = shape[other]
        label, value, got = far[2], far[3][0], n
        said = f"what is the total {number} of {t} where {label} in {other} is {value}?"
        said += f" They share {columns[0]}."
        sql = f"SELECT SUM(a.{number}) FROM {t} a JOIN {other} b"
        sql += f" ON a.{columns[0]} = b.{columns[0]} WHERE b.{label} = '{value}'"
    head = sql.split(" FROM ")[0].removeprefix("SELECT ")
    return said, sql, draw.pick(([{head: got}], [[got]]))
