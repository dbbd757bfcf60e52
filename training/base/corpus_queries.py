"""Families that teach queries: a small language that the context explains, and SQL.

Owns: `filter_query` and `sql_query`.
Refuses: real schemas; tables and columns are invented words that the context introduces.
Invariant: as in `corpus_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tooldojo.training.base import words
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
from tooldojo.training.base.corpus_steps import spoken
from tooldojo.training.base.words import Draw


@dataclass(frozen=True)
class Table:
    """Columns of a table (the first is the key), its numeric and its labelled one, the labels."""

    columns: list[str]
    number: str
    label: str
    values: list[str]


def _table(draw: Draw) -> Table:
    number = draw.pick((draw.word(), draw.pick(words.COUNT_FIELDS), draw.pick(words.DAY_FIELDS)))
    label = draw.pick((draw.word(), draw.pick(words.STATUS_FIELDS), draw.pick(words.KIND_FIELDS)))
    invented = draw.chance(0.5)
    known = words.ADJECTIVES + words.COLOURS
    values = [draw.word() for _ in range(3)] if invented else draw.some(known, 3)
    columns = list(dict.fromkeys([f"{draw.word()}_id", label, number, draw.word()]))
    return Table(columns, number, label, values)


@dataclass(frozen=True)
class Question:
    """What the user asks, the query that answers it, its result and the answer."""

    asked: str
    query: str
    result: list[object]
    answer: str


@dataclass(frozen=True)
class Language:
    """Connectives of the small language."""

    equals: str
    also: str
    order: str
    limit: str


def _filter_question(draw: Draw, table: Table, by: Language) -> Question:
    """An expression with one or two conditions, an order or a limit."""
    key, number, label = table.columns[0], table.number, table.label
    value, cut, top = draw.pick(table.values), draw.randint(1, 300), draw.randint(1, 5)
    query, said = f"{label}{by.equals}{value}", f"with {label} {value}"
    if draw.chance(0.5):
        more = draw.chance(0.5)
        query += f"{by.also}{number} {'>' if more else '<'} {cut}"
        said += f" and {number} {'over' if more else 'under'} {cut}"
    if draw.chance(0.5):
        down = draw.chance(0.5)
        query += f"{by.order}{number} {'desc' if down else 'asc'}{by.limit}1"
        asked = f"which {key} has the {'highest' if down else 'lowest'} {number} of those {said}?"
        ident = draw.code(draw.pick(words.ID_SHAPES))
        return Question(
            asked, query, [{key: ident, label: value, number: draw.randint(1, 400)}], ident
        )
    found = draw.randint(0, top)
    rows: list[object] = [
        {key: c, label: value} for c in draw.codes(draw.pick(words.ID_SHAPES), found)
    ]
    asked = f"list {top} rows {said}, and tell me how many came."
    return Question(asked, f"{query}{by.limit}{top}", rows, str(found))


def filter_query(draw: Draw) -> Document:
    """A tool that takes an expression in a small language which the system text explains."""
    d = Dialogue(draw, "filter")
    thing = draw.pick(words.THINGS)
    table = _table(draw)
    name = draw.tool_name(words.QUERY_VERBS, thing)
    key = draw.pick(("query", "expr", "where", "filter", "q"))
    expression = {key: argument(draw, "string", "an expression")}
    tool = schema(draw, name, f"Rows of the {thing} list that match.", expression)
    d.tools = [tool, *distractors(draw, draw.pick((0, 1, 3)))]
    draw.shuffle(d.tools)
    by = Language(
        equals=draw.pick((" = ", " is ", " == ", ":")),
        also=draw.pick((" and ", " & ", "; ")),
        order=draw.pick((" sort by ", " order ", " | sort ")),
        limit=draw.pick((" limit ", " first ", " top ")),
    )
    closing = closing_format(draw, with_id=False)
    grammar = f"column{by.equals}value{by.also}column > number{by.order}column desc{by.limit}n"
    d.system(
        f"{role_line(draw, thing)}\nColumns: {', '.join(table.columns)}.\n"
        f"Expressions: {grammar}.\n{tell_rules(draw, [closing.rule])}"
    )
    question = _filter_question(draw, table, by)
    d.user(recase(opener(draw) + question.asked))
    d.call(f"Use {name} with the expression.", name, {key: question.query}, question.result)
    answer = question.answer
    return d.finish(f"The rows give {answer}.", f"It is {answer}.", closing.line(answer))


@dataclass(frozen=True)
class SqlTools:
    """Names of the tools around a database, and of their arguments."""

    runner: str
    statement: str
    lister: str
    shower: str
    which: str


def _sql_tools(draw: Draw, d: Dialogue) -> SqlTools:
    """Draws the names and puts the tools into the dialogue."""
    runner = draw.tool_name(["eval", "fire", "issue", "send", "exec"], draw.word())
    statement = draw.pick(("statement", "text", "select", "code"))
    lister = draw.tool_name(words.LIST_VERBS, "sheets")
    shower = draw.tool_name(words.READ_VERBS, "sheet")
    which = draw.pick(("sheet", "of", "which"))
    one = {statement: argument(draw, "string", "the statement")}
    run = schema(draw, runner, "Runs one SELECT statement.", one)
    names = schema(draw, lister, "Names of all sheets.", {})
    of = {which: argument(draw, "string", "name of the sheet")}
    show = schema(draw, shower, "Columns of a sheet.", of)
    d.tools = [run, names, show, *distractors(draw, draw.pick((0, 1, 2)))]
    draw.shuffle(d.tools)
    return SqlTools(runner, statement, lister, shower, which)


def sql_query(draw: Draw) -> Document:
    """SQL over tables of invented names: see columns, ask, repair a failed statement, answer."""
    d = Dialogue(draw, "sql")
    names = [draw.word() for _ in range(2)]
    tables = {name: _table(draw) for name in names}
    first, second = names
    by = _sql_tools(draw, d)
    closing = closing_format(draw, with_id=False)
    known = draw.chance(0.5)
    about = "Read the columns before you ask."
    if known:
        about = "\n".join(f"Sheet {x}: {', '.join(tables[x].columns)}." for x in names)
    d.system(f"{role_line(draw, 'sheet')}\n{about}\n{tell_rules(draw, [closing.rule])}")
    question = _sql_question(draw, first, second, tables)
    d.user(recase(opener(draw) + question.asked))
    if not known:
        if draw.chance(0.5):
            d.call("First see which sheets there are.", by.lister, {}, names)
        columns = tables[first].columns
        shown = draw.pick((columns, {"columns": columns}))
        d.call(f"Read the columns of {first}.", by.shower, {by.which: first}, shown)
        if " JOIN " in question.query:
            thought = f"Read the columns of {second}."
            d.call(thought, by.shower, {by.which: second}, tables[second].columns)
    _run_sql(d, by, question, tables[first].label, first)
    answer = question.answer
    return d.finish(f"The result is {answer}.", f"It is {answer}.", closing.line(answer))


def _run_sql(d: Dialogue, by: SqlTools, question: Question, label: str, table: str) -> None:
    """The statement; now and then a wrong name first, which the error names."""
    query, thought = question.query, "Ask with one statement."
    if d.draw.chance(0.1):
        bad, good = ("label", label) if label in query else ("sheet", table)
        wrong = {by.statement: query.replace(good, bad, 1)}
        d.call(thought, by.runner, wrong, {"error": f"no such name: {bad}"}, learn=False)
        thought = f"{bad} is wrong, the name is {good}. Ask again."
    d.call(thought, by.runner, {by.statement: query}, question.result)


def _sql_question(draw: Draw, t: str, other: str, tables: dict[str, Table]) -> Question:
    """A question, its statement and an invented result."""
    key, number, label = tables[t].columns[0], tables[t].number, tables[t].label
    value, cut = draw.pick(tables[t].values), draw.randint(1, 300)
    sort = draw.pick(("count", "sum", "avg", "max", "top", "over", "group", "join"))
    where = f"WHERE {label} = '{value}'"
    got = str(draw.randint(1, 900))
    ident = draw.code(draw.pick(words.ID_SHAPES))
    if sort == "count":
        said = f"how many rows of {t} have {label} {value}?"
        sql = f"SELECT COUNT(*) FROM {t} {where}"
    elif sort in ("sum", "avg", "max"):
        word = {"sum": "total", "avg": "average", "max": "highest"}[sort]
        said = f"what is the {word} {number} in {t} where {label} is {value}?"
        sql = f"SELECT {sort.upper()}({number}) FROM {t} {where}"
    elif sort == "top":
        said = f"which {key} in {t} has the highest {number} with {label} {value}?"
        sql = f"SELECT {key} FROM {t} {where} ORDER BY {number} DESC LIMIT 1"
    elif sort == "over":
        said = f"how many rows of {t} have {number} over {cut}?"
        sql = f"SELECT COUNT(*) FROM {t} WHERE {number} > {cut}"
    elif sort == "group":
        said = f"which {label} is most frequent in {t}?"
        sql = f"SELECT {label} FROM {t} GROUP BY {label} ORDER BY COUNT(*) DESC LIMIT 1"
    else:
        far = tables[other]
        said = f"what is the total {number} of {t} where {far.label} in {other} is "
        said += f"{far.values[0]}? They share {key}."
        sql = f"SELECT SUM(a.{number}) FROM {t} a JOIN {other} b ON a.{key} = b.{key} "
        sql += f"WHERE b.{far.label} = '{far.values[0]}'"
    answer = {"top": ident, "group": value}.get(sort, got)
    cell: object = answer if sort in ("top", "group") else int(answer)
    head = sql.split(" FROM ")[0].removeprefix("SELECT ")
    result: list[object] = draw.pick(([{head: cell}], [[cell]]))
    return Question(said, sql, result, spoken(answer))
