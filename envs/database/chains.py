"""Level 3: joins, questions in two steps, results to be saved, and tables that go by another name.

As in `questions`, a template returns None where the drawn scene does not suit it.
"""

from __future__ import annotations

from collections import Counter

from tooldojo.envs.database.questions import MONEY
from tooldojo.envs.database.scene import FILTERS, Filter, Scene, Table
from tooldojo.envs.database.story import Sketch, Story, mapping, select, words


def wrong_table(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A count on a table that the question calls by another name."""
    table = scene.pick(dated=condition in ("before", "after"))
    keep, wrong = scene.restrict(table, condition), scene.absent_table(table)
    story = Story(scene)
    story.do(f"I look up the columns of {wrong} before I query it.", "describe_table", table=wrong)
    story.do(f"There is no table {wrong}, so I look for its real name.", "list_tables")
    story.describe(table)
    value = story.query(
        mapping(table, (), keep, "count those rows"), select("COUNT(*)", table, keep)
    )
    return Sketch(words(table, keep) | {"place": f" in table {wrong}"}, story.end(value))


def end_table(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The largest or the smallest table of all."""
    sizes = [len(table.rows) for table in scene.tables]
    best = max(sizes) if condition == "most" else min(sizes)
    if sizes.count(best) > 1:
        return None
    story = Story(scene)
    story.do("No table is named, so I list all tables first.", "list_tables")
    for place, table in enumerate(scene.tables):
        thought = f"I count the rows of {table.name} first."
        if place:
            before = scene.tables[place - 1].name
            thought = f"{before} has {sizes[place - 1]} rows; now I count {table.name}."
        story.do(thought, "count_rows", table=table.name)
    winner = scene.tables[sizes.index(best)].name
    thought = f"{best} rows are the {condition}, so {winner} is the table for {scene.ref}."
    return Sketch({"most": condition}, story.close(thought, f"Answer: {winner} {scene.ref}"))


def join_count(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """How many events, filtered, belong to a thing given by its name."""
    things, events = scene.things, scene.events
    owner = scene.rng.choice(events.rows)["owner"]
    name = next(row["name"] for row in things.rows if row["key"] == owner)
    keep = scene.restrict(events, condition, "e.")
    tests = f"t.{things.columns['name']} = '{name}'" + (f" AND {keep.sql}" if keep.sql else "")
    sql = f"SELECT COUNT(*) FROM {_joined(scene)} WHERE {tests}"
    if scene.ask(sql) == "0":
        return None
    story = Story(scene)
    value = story.query(_look_up(story, scene, keep), sql)
    fields = words(things, keep) | {"events": events.kind.plural, "name": name}
    return Sketch(fields, story.end(value))


def join_total(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The sum of the events' number for the things that pass a filter."""
    things, events = scene.things, scene.events
    keep = scene.restrict(things, condition, "t.")
    what = MONEY.format("SUM", f"e.{events.columns['number']}")
    sql = f"SELECT {what} FROM {_joined(scene)} WHERE {keep.sql}"
    if scene.ask(sql) == "0.00":
        return None
    story = Story(scene)
    value = story.query(_look_up(story, scene, keep), sql)
    fields = words(things, keep) | {"events": events.kind.plural, "number": events.kind.number.word}
    return Sketch(fields, story.end(value))


def join_top(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """The thing with the most events, the highest total, or the earliest or latest event."""
    things, events = scene.things, scene.events
    sums: Counter[int] = Counter()
    for row in events.rows:
        sums[row["owner"]] += 1 if condition == "rows" else row["number"]
    ranked = sorted(sums.values(), reverse=True)
    if condition in ("rows", "total") and len(ranked) > 1 and ranked[0] == ranked[1]:
        return None
    date, number = events.columns["date"], events.columns["number"]
    most, order = {
        "rows": (f"most {events.kind.plural}", "COUNT(*) DESC"),
        "total": (
            f"highest total {events.kind.number.word} over its {events.kind.plural}",
            f"SUM(e.{number}) DESC",
        ),
        "earliest": (
            f"earliest {events.field('date').word} of all {events.kind.plural}",
            f"e.{date}",
        ),
        "latest": (
            f"latest {events.field('date').word} of all {events.kind.plural}",
            f"e.{date} DESC",
        ),
    }[condition]
    group = f" GROUP BY t.{things.columns['key']}" if condition in ("rows", "total") else ""
    story = Story(scene)
    sql = f"SELECT t.{things.columns['name']} FROM {_joined(scene)}{group} ORDER BY {order} LIMIT 1"
    value = story.query(_look_up(story, scene, Filter()), sql)
    return Sketch(words(things) | {"most": most}, story.end(value))


def two_step(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """Count the rows above or below a value to be found first: an average, or a named thing's."""
    side, kind = condition.split("_")
    table = scene.pick(named=True)
    column, word = table.columns["number"], table.kind.number.word
    inner = sorted(table.rows, key=lambda row: row["number"])[1:-1]
    name = scene.rng.choice(inner)["name"]
    story = Story(scene)
    story.find(table, named=False)
    if kind == "average":
        base, sql = f"the average {word}", select(MONEY.format("AVG", column), table, Filter())
        why = mapping(table, ("number",), Filter(), "find its average first")
    else:
        label = table.columns["name"]
        base, sql = (
            f"the {word} of {name}",
            select(column, table, Filter("", f"{label} = '{name}'")),
        )
        why = mapping(table, ("number",), Filter(), f"find that of {name} first")
    limit = story.query(why, sql)
    test = Filter("", f"{column} {'>' if side == 'above' else '<'} {limit}")
    value = story.query(
        f"It is {limit}, so I count the rows {side} {limit}.", select("COUNT(*)", table, test)
    )
    article = "an" if word[0] in "aeiou" else "a"
    fields = words(table) | {"article": article, "side": side, "base": base}
    return Sketch(fields, story.end(value))


def save_count(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A count that is to be saved."""
    table = scene.pick(dated=condition in ("before", "after"))
    keep = scene.restrict(table, condition)
    thought = mapping(table, (), keep, "count those rows")
    return _saved(scene, words(table, keep), table, thought, select("COUNT(*)", table, keep))


def save_total(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A sum that is to be saved."""
    table = scene.pick(dated=condition in ("before", "after"))
    keep = scene.restrict(table, condition)
    thought = mapping(table, ("number",), keep, "sum it")
    what = MONEY.format("SUM", table.columns["number"])
    return _saved(scene, words(table, keep), table, thought, select(what, table, keep))


def save_if(scene: Scene, condition: str, named: bool) -> Sketch | None:
    """A count that is to be saved only above a limit."""
    end, how = condition.split("_")
    table = scene.pick(dated=how in ("before", "after"))
    keep = scene.restrict(table, how)
    sql = select("COUNT(*)", table, keep)
    found = int(scene.ask(sql))
    limit = (
        max(0, found - scene.rng.randint(1, 2))
        if end == "save"
        else found + scene.rng.randint(0, 2)
    )
    fields = words(table, keep) | {"limit": str(limit)}
    thought = mapping(table, (), keep, "count those rows")
    if end == "save":
        return _saved(
            scene,
            fields,
            table,
            thought,
            sql,
            f"{found} is above {limit}, so I save it under {scene.ref}.",
        )
    story = Story(scene)
    story.find(table, named=False)
    story.query(thought, sql)
    closing = f"{found} is not above {limit}, so nothing is saved for {scene.ref}."
    return Sketch(fields, story.close(closing, f"Answer: {found} {scene.ref}"))


def _saved(
    scene: Scene, fields: dict[str, str], table: Table, thought: str, sql: str, why: str = ""
) -> Sketch:
    story = Story(scene)
    story.find(table, named=False)
    value = story.query(thought, sql)
    why = why or f"The result is {value}; I save it under {scene.ref} as asked."
    story.do(why, "save_result", name=scene.ref, value=value)
    return Sketch(
        fields,
        story.close(
            f"{value} is saved under {scene.ref}, so I answer.", f"Answer: {value} {scene.ref}"
        ),
    )


def _joined(scene: Scene) -> str:
    events, things = scene.events, scene.things
    link = f"e.{events.columns['owner']} = t.{things.columns['key']}"
    return f"{events.name} e JOIN {things.name} t ON {link}"


def _look_up(story: Story, scene: Scene, keep: Filter) -> str:
    """List the tables and describe both; the thought for the query after that."""
    story.list_tables(scene.events.kind.plural)
    story.describe(scene.events)
    story.describe(scene.things)
    link = f"I join {scene.events.columns['owner']} with {scene.things.columns['key']}"
    return f"{link}, and {keep.means}." if keep.means else f"{link} and query both tables at once."


JOIN_FILTERS = ("all", *FILTERS)
SAVES = tuple(f"{end}_{how}" for end in ("save", "skip") for how in FILTERS)
