"""Database: the guard keeps every promise, and the tasks can be solved by queries and by nothing
cheaper.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from functools import cache

import pytest

from tooldojo.envs.database.guard import connect, run_select
from tooldojo.envs.database.tasks import TEMPLATES
from tooldojo.envs.database.themes import THEMES
from tooldojo.envs.database.wordings import WORDINGS
from tooldojo.envs.database.world import Database
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import CallOutcome

COUNT = 100
TABLES = {
    "readers": {
        "columns": [["id", "int", None], ["name", "text", None], ["age", "int", None]],
        "rows": [[1, "Mira", 30], [2, "Tal", 41], [3, "Oda", 41]],
    },
    "loans": {
        "columns": [["id", "int", None], ["reader", "int", "readers.id"]],
        "rows": [[n, n % 3 + 1] for n in range(12)],
    },
}


def _world() -> Database:
    world = Database()
    world.state = {"tables": TABLES, "saved": {}}
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Database.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Database.levels for task in _tasks(level)]


def _play(task: Task, turns: tuple[GoldTurn, ...]) -> Database:
    world = Database()
    world.reset(options={"task": task, "max_turns": len(turns) + 1})
    for turn in turns:
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        world.step({"calls": calls, "message": turn.message or ""})
    return world


MANY = "SELECT COUNT(*) FROM " + ", ".join(f"loans l{n}" for n in range(12))
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) "
ATTACKS = {
    "delete": "DELETE FROM readers",
    "update": "UPDATE readers SET age = 1",
    "insert": "INSERT INTO readers VALUES (9, 'X', 1)",
    "returning": "DELETE FROM readers RETURNING id",
    "replace": "REPLACE INTO readers VALUES (1, 'X', 1)",
    "drop": "DROP TABLE readers",
    "create": "CREATE TABLE mine (x int)",
    "create temp": "CREATE TEMP TABLE mine AS SELECT 1",
    "alter": "ALTER TABLE readers RENAME TO mine",
    "cte write": "WITH x AS (SELECT 1) DELETE FROM readers",
    "attach": "ATTACH DATABASE '/tmp/tooldojo_attack.db' AS other",
    "attach memory": "ATTACH ':memory:' AS other",
    "detach": "DETACH main",
    "vacuum into": "VACUUM INTO '/tmp/tooldojo_attack.db'",
    "pragma": "PRAGMA writable_schema = ON",
    "pragma read": "PRAGMA table_info(readers)",
    "pragma function": "SELECT * FROM pragma_table_info('readers')",
    "begin": "BEGIN",
    "savepoint": "SAVEPOINT s",
    "load_extension": "SELECT load_extension('/tmp/evil.so')",
    "readfile": "SELECT readfile('/etc/passwd')",
    "random": "SELECT random()",
    "clock": "SELECT datetime('now')",
    "clock keyword": "SELECT CURRENT_TIMESTAMP",
    "two statements": "SELECT 1; SELECT 2",
    "hidden statement": "SELECT 1; DELETE FROM readers",
    "endless": ENDLESS + "SELECT sum(x) FROM n",
    "endless set": ENDLESS.replace("ALL ", "") + "SELECT max(x) FROM n",
    "cross join": MANY,
    "sorted cross join": MANY.replace("COUNT(*)", "l0.id") + " ORDER BY 1",
    "big blob": "SELECT hex(zeroblob(100000000))",
    "doubling": ENDLESS.replace("1", "'ab'", 1).replace("x+1", "x||x") + "SELECT max(x) FROM n",
    "long sql": "SELECT " + "1 + " * 2000 + "1",
    "deep": "SELECT " + "(" * 500 + "1" + ")" * 500,
    "nothing": "",
    "comment": "-- no statement",
    "nul": "SELECT 1\0",
    "surrogate": "SELECT '\ud800'",
    "parameter": "SELECT ?",
    "syntax": "SELEC 1",
    "no table": "SELECT * FROM nowhere",
    "no column": "SELECT fees FROM readers",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_guard_refuses_soon_and_changes_nothing(attack: str) -> None:
    connection = connect(TABLES)
    before = _dump(connection)
    start = time.perf_counter()
    with pytest.raises(ToolError) as refusal:
        run_select(connection, ATTACKS[attack])
    assert time.perf_counter() - start < 2.0
    assert refusal.value.args[0] and len(refusal.value.args[0]) <= 120
    assert _dump(connection) == before


def _dump(connection: sqlite3.Connection) -> list[str]:
    names = ("readers", "loans")
    schema = "SELECT group_concat(name) FROM sqlite_master"
    return [run_select(connection, s) for s in (schema, *(f"SELECT * FROM {n}" for n in names))]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT COUNT(*) FROM readers WHERE age = 41", "[[2]]"),
        ("select name from readers order by age, name limit 1;", '[["Mira"]]'),
        ("SELECT printf('%.2f', AVG(age)) FROM readers", '[["37.33"]]'),
        ("SELECT name FROM readers WHERE age > 90", "[]"),
        ("WITH old AS (SELECT * FROM readers WHERE age > 40) SELECT COUNT(*) FROM old", "[[2]]"),
        ("SELECT r.name, COUNT(*) FROM loans l JOIN readers r ON l.reader = r.id GROUP BY 1", None),
        (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 3) SELECT * FROM n",
            None,
        ),
        (
            "SELECT name, rank() OVER (ORDER BY age) FROM readers WHERE name LIKE 'M%'",
            '[["Mira",1]]',
        ),
        ("SELECT printf('%.100000000d', 1)", "[[null]]"),  # too long for SQLite's own limit
        ("SELECT x'00ff', NULL, 9e999", '[["00ff",null,Infinity]]'),
    ],
)
def test_honest_queries_run(sql: str, rows: str | None) -> None:
    shown = run_select(connect(TABLES), sql)
    assert shown == rows if rows is not None else shown.startswith("[[")


def test_long_results_are_cut_with_a_note() -> None:
    shown = run_select(connect(TABLES), "SELECT * FROM loans, readers")
    assert len(shown) < 280 and shown.endswith("(cut; ask for fewer rows)")
    assert run_select(connect(TABLES), "SELECT id FROM loans").endswith("[11]]")


def test_errors_speak_sqlite_and_name_the_thing() -> None:
    with pytest.raises(ToolError, match="no such column: fees"):
        _world().run_query("SELECT fees FROM loans")
    with pytest.raises(ToolError, match="no such table: books"):
        _world().describe_table("books")
    with pytest.raises(ToolError, match="table loans has no column fee"):
        _world().column_values("loans", "fee")


def test_the_other_tools() -> None:
    world = _world()
    assert world.list_tables() == "readers, loans"
    assert world.describe_table("loans") == "id int, reader int -> readers.id"
    assert world.column_values("readers", "age") == "[30,41]"
    assert world.count_rows("loans") == "12"
    assert world.save_result("A100", "12") == "saved A100"
    assert world.state["saved"] == {"A100": "12"}


def test_a_restored_world_asks_the_restored_database() -> None:
    one, two = _tasks(2)[0], _tasks(2)[1]
    world = Database()
    sizes = []
    for task in (one, two, one):
        world.reset(options={"task": task})
        table = next(iter(task.world["tables"]))  # type: ignore[arg-type]
        sizes.append(world.run_query(f"SELECT COUNT(*) FROM {table}"))
        assert sizes[-1] == f"[[{len(task.world['tables'][table]['rows'])}]]"  # type: ignore[index, call-overload, arg-type]
    assert sizes[0] == sizes[2]


_SQL = """
    1 2f and as avg by count desc distinct e from group join limit on order printf select sum
    t where
"""
_WORDS = frozenset(_SQL.split())


@pytest.mark.parametrize("level", Database.levels)
def test_gold_scores_one_and_quotes_only_what_was_seen(level: int) -> None:
    for task in _tasks(level):
        world = _play(task, task.gold)
        assert world.score is not None and world.score.value == 1.0
        seen = task.prompt
        for call in world.calls:
            for value in call.arguments.values():
                for word in re.findall(r"\w+", str(value)):
                    assert word.lower() in _WORDS or word in seen, (task.prompt, word, call)
            seen += "\n" + call.result
        _, value, ref = (task.goal.answer or "").split()
        assert ref in task.prompt
        known = value in ("none", "unsupported") or value in seen or task.template == "bigger_table"
        assert known, (task.prompt, task.goal.answer)


def test_a_save_left_out_or_done_unasked_fails() -> None:
    saves = [t for t in _tasks(3) if t.gold[-2:-1] and t.gold[-2].calls[0].name == "save_result"]
    assert len(saves) > 10
    for task in saves:
        calls = [
            turn for turn in task.gold if turn.calls[:1] and turn.calls[0].name != "save_result"
        ]
        assert not _play(task, (*calls, task.gold[-1])).score.success  # type: ignore[union-attr]
    for task in _tasks(2):
        unasked = GoldTurn("", (Call("save_result", {"name": "A100", "value": "1"}),))
        assert not _play(task, (unasked, *task.gold)).score.success  # type: ignore[union-attr]


def test_a_sum_is_right_whatever_the_query_looks_like() -> None:
    """The verdict rests on the answer, so another correct query scores as well."""
    task = next(t for t in _tasks(1) if t.template == "total" and not t.faults)
    query = task.gold[-2].calls[0].arguments["sql"]
    other = str(query).replace("SUM(", "TOTAL(").replace("SELECT", "select")
    turn = GoldTurn("", (Call("run_query", {"sql": other}),))
    world = _play(task, (turn, task.gold[-1]))
    assert world.calls[0].outcome is CallOutcome.OK
    assert world.score is not None and world.score.success


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert _play(task, (GoldTurn("", (), ""),)).score.value == 0.0  # type: ignore[union-attr]
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert _play(task, near.gold).score.value == 0.0  # type: ignore[union-attr]


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    declined = [t for t in tasks if not any(turn.calls for turn in t.gold)]
    assert 0.07 < len(declined) / len(tasks) < 0.15
    assert 0.1 < sum(bool(t.faults) for t in tasks) / len(tasks) < 0.21
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) <= 5
    assert all(6 <= len(turn.thought.split()) <= 18 for t in tasks for turn in t.gold)
    assert len(Database.system_prompt.split()) <= 130


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


def test_no_spelling_in_a_theme_means_two_things() -> None:
    for theme in THEMES:
        kinds = (theme.things, theme.events, theme.sides)
        tables = [name for kind in kinds for name in kind.tables]
        assert len(set(tables)) == len(tables)
        for kind in kinds:
            fields = [kind.category, kind.number, *([kind.date] if kind.date else [])]
            names = [name for field in fields for name in field.names]
            names += ["id", "name", "full_name", "label", "called", theme.things.noun]
            assert len(set(names)) == len(names), kind.noun
            assert all(field.names for field in fields) and kind.number.low < kind.number.high


def test_unseen_combinations_are_made_of_seen_parts() -> None:
    pairs = {(t.name, c) for level in TEMPLATES.values() for t in level for c in t.conditions}
    assert pairs >= Database.unseen_combos
    seen = pairs - Database.unseen_combos
    for template, condition in Database.unseen_combos:
        assert template in {t for t, _ in seen} and condition in {c for _, c in seen}


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Database.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Database.make_task(1, split, level, 0).split is split
