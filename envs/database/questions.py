"""Levels 1 and 2: questions on one table, which level 1 names and level 2 leaves to be found.

A template returns None where the drawn scene does not suit it (a tie, say); the caller draws
another one.
"""

from __future__ import annotations

from collections import Counter

from tooldojo.envs.database.scene import FILTERS, Filter, Scene, Table
from tooldojo.envs.database.story import Sketch, Story, mapping, select, words

MONEY = "printf('%.2f', {}({}))"
_DATED = ("before", "after")
_FACTS = ("phone number", "email address", "postcode", "insurance number", "favourite colour")


def rows(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The size of a named table; the condition is the kind of table."""
    table = _of_kind(scene, condition)
    if table is None:
        return None
    story = Story(scene)
    story.do(
        f"count_rows gives the number of rows of {table.name}.", "count_rows", table=table.name
    )
    return Sketch(words(table), story.end(str(len(table.rows))))


def wrong_rows(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The size of a table that goes by another name."""
    table = _of_kind(scene, condition)
    if table is None:
        return None
    wrong, story = scene.absent_table(table), Story(scene)
    story.do(f"count_rows gives the number of rows of {wrong}.", "count_rows", table=wrong)
    story.do(f"There is no table {wrong}, so I look for its real name.", "list_tables")
    story.do(
        f"The {table.kind.plural} are in {table.name}, so I count its rows.",
        "count_rows",
        table=table.name,
    )
    return Sketch(words(table) | {"table": wrong}, story.end(str(len(table.rows))))


def edge_value(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The first or last value of a named column, by alphabet."""
    edge, role = condition.split("_")
    table = scene.pick(named=role == "name")
    column = table.columns[role]
    story = Story(scene)
    thought = f"column_values lists {column} of {table.name} in alphabetical order."
    story.do(thought, "column_values", table=table.name, column=column)
    values = table.values(role)
    return Sketch(
        words(table) | {"column": column, "edge": edge},
        story.end(values[0 if edge == "first" else -1]),
    )


def count(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """How many rows pass a filter."""
    table = scene.pick(dated=condition in _DATED)
    keep = scene.restrict(table, condition)
    return _ask(scene, table, named, keep, "COUNT(*)", mapping(table, (), keep, "count those rows"))


def total(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The sum of a number over the rows that pass a filter."""
    table = scene.pick(dated=condition in _DATED)
    keep = scene.restrict(table, condition)
    what = MONEY.format("SUM", table.columns["number"])
    return _ask(scene, table, named, keep, what, mapping(table, ("number",), keep, "sum it"))


def average(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The mean of a number over the rows that pass a filter; never one that rounds both ways."""
    table = scene.pick(dated=condition in _DATED)
    keep = scene.restrict(table, condition)
    column = table.columns["number"]
    if float(scene.ask(select(f"AVG({column})", table, keep))) * 1000 % 10 == 5:
        return None
    what = MONEY.format("AVG", column)
    return _ask(scene, table, named, keep, what, mapping(table, ("number",), keep, "average it"))


def highest(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Whose number is highest among the rows that pass a filter."""
    return _extreme(scene, condition, named, " DESC")


def lowest(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Whose number is lowest among the rows that pass a filter."""
    return _extreme(scene, condition, named, "")


def _extreme(scene: Scene, condition: str, named: bool, order: str) -> Sketch | None:
    table = scene.pick(named=True, dated=condition in _DATED)
    keep = scene.restrict(table, condition)
    tail = f" ORDER BY {table.columns['number']}{order} LIMIT 1"
    return _ask(
        scene,
        table,
        named,
        keep,
        table.columns["name"],
        mapping(table, ("number",), keep, "sort by it"),
        tail,
    )


def by_date(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Whose date is the earliest or the latest."""
    edge, how = condition.split("_")
    table = scene.pick(named=True, dated=True)
    keep = scene.restrict(table, how)
    tail = f" ORDER BY {table.columns['date']}{' DESC' if edge == 'latest' else ''} LIMIT 1"
    why = mapping(table, ("date",), keep, "sort by it")
    sketch = _ask(scene, table, named, keep, table.columns["name"], why, tail)
    return Sketch(sketch.fields | {"edge": edge}, sketch.gold)


def distinct(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """How many different categories the rows have that pass a filter."""
    table = scene.pick(dated=condition in _DATED)
    keep = scene.restrict(table, condition)
    what = f"COUNT(DISTINCT {table.columns['category']})"
    return _ask(
        scene, table, named, keep, what, mapping(table, ("category",), keep, "count it once each")
    )


def top_group(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The category with the most rows, or with the highest or lowest total."""
    table = scene.pick()
    totals: Counter[str] = Counter()
    for row in table.rows:
        totals[row["category"]] += 1 if condition == "rows" else row["number"]
    ranked = sorted(totals.values(), reverse=condition != "lowest")
    if ranked[0] == ranked[1]:
        return None
    column = table.columns["category"]
    measure = "COUNT(*)" if condition == "rows" else f"SUM({table.columns['number']})"
    tail = (
        f" GROUP BY {column} ORDER BY {measure}{'' if condition == 'lowest' else ' DESC'} LIMIT 1"
    )
    roles = ("category",) if condition == "rows" else ("category", "number")
    sketch = _ask(
        scene, table, named, Filter(), column, mapping(table, roles, Filter(), "group by it"), tail
    )
    most = "most entries" if condition == "rows" else f"{condition} total {table.kind.number.word}"
    return Sketch(sketch.fields | {"most": most}, sketch.gold)


def lookup(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A property of a thing given by its name; "nobody" has that name in one of the conditions."""
    role = scene.rng.choice(("category", "number")) if condition == "nobody" else condition
    table = scene.pick(named=True, dated=role == "date")
    name = scene.absent_name() if condition == "nobody" else scene.rng.choice(table.values("name"))
    column = table.columns["name"]
    keep = Filter("", f"{column} = '{name}'", f"the name is {column}")
    sketch = _ask(
        scene, table, named, keep, table.columns[role], mapping(table, (role,), keep, "read it")
    )
    return Sketch(sketch.fields | {"fact": table.field(role).word, "name": name}, sketch.gold)


def no_column(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A property that the table does not have; the condition is the kind of table."""
    table = _of_kind(scene, condition)
    if table is None:
        return None
    fact, story = scene.rng.choice(_FACTS), Story(scene)
    story.find(table, named)
    thought = f"{table.name} has no column for the {fact}, so the value is none."
    fields = words(table, None, named) | {
        "fact": fact,
        "name": scene.rng.choice(table.values("name")),
    }
    return Sketch(fields, story.close(thought, f"Answer: none {scene.ref}"))


def bigger_table(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Which of two named tables has more, or fewer, rows."""
    one, two = scene.rng.sample(scene.tables, 2)
    sizes = {one.name: len(one.rows), two.name: len(two.rows)}
    if len(set(sizes.values())) == 1:
        return None
    story = Story(scene)
    story.do(f"I count the rows of {one.name} first.", "count_rows", table=one.name)
    story.do(
        f"{one.name} has {sizes[one.name]} rows; now I count {two.name}.",
        "count_rows",
        table=two.name,
    )
    best = (
        max(sizes, key=sizes.__getitem__)
        if condition == "more"
        else min(sizes, key=sizes.__getitem__)
    )
    pair = f"{sizes[one.name]} and {sizes[two.name]}"
    thought = f"Of {pair} rows, {best} has {condition}; the reference is {scene.ref}."
    gold = story.close(thought, f"Answer: {best} {scene.ref}")
    return Sketch({"a": one.name, "b": two.name, "more": condition}, gold)


def unsupported(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Something that no tool can do; no call."""
    table = scene.pick(named=True)
    kind, name = table.kind, scene.rng.choice(table.values("name"))
    keep = scene.restrict(table, scene.rng.choice(FILTERS[:3]))
    number = scene.rng.randint(kind.number.low, kind.number.high)
    task = {
        "delete": f"delete the {kind.plural}{keep.words}",
        "change": f"set the {kind.number.word} of {name} to {number}",
        "add": f"add a new {kind.noun} called {scene.absent_name()}",
        "drop": f"drop the table {table.name}",
        "send": f"email a list of the {kind.plural} to {name}",
        "draw": f"draw a chart of the {kind.number.word} of the {kind.plural}",
    }[condition]
    changes = condition in ("delete", "change", "add", "drop")
    why = "That would change the tables" if changes else f"No tool can {condition} anything"
    thought = f"{why}, so I call nothing and refuse {scene.ref}."
    gold = Story(scene).close(thought, f"Answer: unsupported {scene.ref}")
    return Sketch(words(table, scene.restrict(table, "category")) | {"task": task}, gold)


def _of_kind(scene: Scene, condition: str) -> Table | None:
    kinds = {"things": scene.things, "events": scene.events}
    if condition in kinds:
        return kinds[condition]
    return next((t for t in scene.tables if t not in kinds.values()), None)


def _ask(
    scene: Scene, table: Table, named: bool, keep: Filter, what: str, thought: str, tail: str = ""
) -> Sketch:
    story = Story(scene)
    story.find(table, named)
    value = story.query(thought, select(what, table, keep, tail))
    return Sketch(words(table, keep, named), story.end(value))
