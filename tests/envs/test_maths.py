"""Maths: exact tools, refusals by name, and verdicts by value."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from tooldojo.envs.gates.play import play_task
from tooldojo.envs.maths.tasks import TEMPLATES
from tooldojo.envs.maths.wordings import WORDINGS
from tooldojo.envs.maths.world import Maths
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.exact import number, spelled
from tooldojo.verifiers.records import CallOutcome

COUNT = 100


def _world() -> Maths:
    world = Maths()
    world.state = {
        "ledgers": {"I10000": {"entries": {"anvil": "12.5"}, "notes": {"alpha": "30"}}},
        "units": {"harg": {"pim": "7/3"}, "pim": {"toll": "9"}},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Maths.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Maths.levels for task in _tasks(level)]


@pytest.mark.parametrize(
    ("left", "sign", "right", "value"),
    [
        ("2.5", "plus", "1/2", "3"),
        ("1", "minus", "2.25", "-1.25"),
        ("7/3", "times", "3", "7"),
        ("1", "over", "7", "1/7"),
        ("0.1", "plus", "0.2", "0.3"),
    ],
)
def test_arithmetic_is_exact(left: str, sign: str, right: str, value: str) -> None:
    assert _world().compute(left, sign, right) == value  # type: ignore[arg-type]


def test_the_other_tools() -> None:
    world = _world()
    assert world.take_percent("12.5", "80") == "10"
    assert world.solve_for_x("3", "1", "2") == "1/3"
    assert world.unit_factor("harg", "pim") == "7/3"
    assert world.ledger_entry("I10000", "anvil") == "12.5"
    assert world.recall_note("I10000", "alpha") == "30"
    world.write_note("I10000", "beta", "5.50")
    assert world.state["ledgers"]["I10000"]["notes"] == {"alpha": "30", "beta": "5.5"}


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("compute", {"left": "1", "sign": "over", "right": "0"}, "divided by 0"),
        ("compute", {"left": "2*3", "sign": "plus", "right": "0"}, "not '2\\*3'"),
        ("compute", {"left": "9" * 40, "sign": "times", "right": "9" * 40 + "/7"}, "80 characters"),
        ("solve_for_x", {"factor": "0", "summand": "1", "total": "2"}, "factor of 0"),
        ("unit_factor", {"unit": "harg", "into": "toll"}, "by way of pim"),
        ("unit_factor", {"unit": "toll", "into": "harg"}, "from toll into harg$"),
        ("ledger_entry", {"ledger": "I10000", "entry": "kettle"}, "there are anvil"),
        ("ledger_entry", {"ledger": "I9", "entry": "anvil"}, "no ledger I9"),
        ("recall_note", {"ledger": "I10000", "note": "beta"}, "no note beta"),
        ("write_note", {"ledger": "I10000", "note": "beta", "value": "x"}, "not 'x'"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


def test_a_value_counts_however_it_is_spelled_and_no_other() -> None:
    for task in _tasks(1):
        value = number((task.goal.answer or "").split()[1])
        if value is None:
            continue
        ledger = (task.goal.answer or "").split()[2]
        for said, right in (
            (f"{value.numerator * 3}/{value.denominator * 3}", True),
            (spelled(value + 1), False),
            (f"{spelled(value)} or {spelled(value + 1)}", False),
        ):
            end = replace(task.gold[-1], message=f"Result: {said} {ledger}")
            assert play_task(task, (*task.gold[:-1], end)).score.success is right


def test_a_note_counts_by_value_and_must_be_asked_for() -> None:
    noted = [t for t in _tasks(3) if t.condition.endswith("noted") and not t.faults]
    assert noted
    for task in noted:
        last = task.gold[-2].calls[0]
        value = number(str(last.arguments["value"]))
        assert last.name == "write_note" and value is not None
        other = f"{value.numerator * 2}/{value.denominator * 2}"
        turn = GoldTurn("", (Call(last.name, {**last.arguments, "value": other}),))
        assert play_task(task, (*task.gold[:-2], turn, task.gold[-1])).score.success
        assert not play_task(task, (*task.gold[:-2], task.gold[-1])).score.success
    told = next(t for t in _tasks(3) if t.condition.endswith("told"))
    ledger = (told.goal.answer or "").split()[-1]
    extra = Call("write_note", {"ledger": ledger, "note": "alpha", "value": "1"})
    turns = (*told.gold[:-1], GoldTurn("", (extra,)), told.gold[-1])
    assert not play_task(told, turns).score.success


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) <= 7
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) > 0.7 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    refused = [
        t for t in tasks if not t.faults
        and any(c.outcome is CallOutcome.TOOL_ERROR for c in play_task(t, t.gold).calls)
    ]  # fmt: skip
    assert {t.template for t in refused} == {"convert", "missing"}
    assert len({t.goal.answer for t in tasks}) == len(tasks)


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())
