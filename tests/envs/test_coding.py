"""Coding: what its tools promise, and that final code is judged by what it computes."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.envs.coding.bench import check_body, results
from tooldojo.envs.coding.bodies import KINDS, new_body, other_body
from tooldojo.envs.coding.scene import Scene
from tooldojo.envs.coding.tasks import TEMPLATES
from tooldojo.envs.coding.wordings import WORDINGS
from tooldojo.envs.coding.world import Coding
from tooldojo.envs.gates.play import play, play_task, start
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.criteria import MissingGoal, gathered_results
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal

pytestmark = pytest.mark.usefixtures("isolation")
COUNT = 40


def _world() -> Coding:
    world = Coding()
    world.state = {
        "functions": {
            "W1000": {"module": "R1000", "body": "a * 2 + b", "status": "draft", "edited": False},
            "W2000": {"module": "R1000", "body": "9**9**9", "status": "released", "edited": False},
        },
        "tests": {"W1000": [[1, 2, 4], [2, 2, 9]], "W2000": [[0, 0, 1]]},
        "trials": {"W1000": [[3, 1]], "W2000": [[0, 0]]},
        "wanted": {"W1000": ["7"], "W2000": ["1"]},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Coding.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Coding.levels for task in _tasks(level)]


def test_reads_show_what_is_there() -> None:
    world = _world()
    assert world.list_module("R1000") == "W1000: draft; W2000: released"
    assert world.read_function("W1000") == "a * 2 + b, draft in R1000"
    assert world.run_function("W1000", 3, 4) == "10"
    assert world.run_tests("W1000") == "passes 1 of 2, fails for 2, 2: gives 6, wants 9"
    assert world.gather() == {"results": {"W1000": ["7"], "W2000": ["takes too long"]}}
    assert world.state == _world().state


def test_writing_and_releasing() -> None:
    world = _world()
    with pytest.raises(ToolError, match="W1000 passes 1 of 2"):
        world.release_function("W1000")
    assert world.state == _world().state
    world.set_body("W1000", "a * 5 - b if a < 2 or b < 1 else 9")
    assert world.run_tests("W1000") == "passes 1 of 2, fails for 1, 2: gives 3, wants 4"
    world.set_body("W1000", "5 * a - 1")
    assert world.release_function("W1000") == "released W1000"
    with pytest.raises(ToolError, match="released already"):
        world.release_function("W1000")
    world.set_body("W1000", "a")
    assert world.state["functions"]["W1000"] == {
        "module": "R1000", "body": "a", "status": "draft", "edited": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a +", "no expression"),
        ("a; b", "no expression"),
        ("__import__('os')", "not __import__"),
        ("().__class__", "no Attribute"),
        ("[x for x in (1, 2)]", "no ListComp"),
        ("(lambda: 1)()", "no Lambda"),
        ("c", "not c"),
        ("a" + " + a" * 40, "characters"),
        ("\ud800", "no expression"),
        ("f'{a}'", "no JoinedStr"),
    ],
)
def test_a_body_is_a_plain_expression(body: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        check_body(body)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a // b", "ZeroDivisionError"),
        ("len([a] * 10**10)", "MemoryError"),
        ("9**9**9", "takes too long"),
        ("'x' * 50", "'" + "x" * 23),
        ("a == b", "False"),
        ("\na + b", "1"),
    ],
)
def test_what_a_body_comes_to(body: str, found: str) -> None:
    check_body(body)
    assert results(body, [(1, 0)]) == [found]


@given(st.sampled_from(KINDS), st.integers(0, 10**6), st.integers(0, 500), st.integers(0, 500))
def test_words_code_and_value_of_a_body_agree(kind: str, seed: int, a: int, b: int) -> None:
    rng = Random(seed)
    body = new_body(rng, kind)
    check_body(body.code)
    names = {"a": a, "b": b, "min": min, "max": max, "abs": abs, "__builtins__": {}}
    assert eval(body.code, names) == body.value(a, b)  # our own text, not a model's
    other = other_body(rng, body)
    assert any(body.value(*pair) != other.value(*pair) for pair in body.corners)


def test_any_code_that_gives_the_results_is_right() -> None:
    task = next(t for t in _tasks(1) if t.template == "write_body" and t.condition == "scale")
    wrote = next(turn.calls[0] for turn in task.gold if turn.calls)
    body = str(wrote.arguments["body"])
    for text, value in ((f"({body}) + 0", 1.0), (f"0 + {body}", 1.0), (f"{body} + 1", 0.0)):
        call = Call("set_body", {**wrote.arguments, "body": text})
        turns = [GoldTurn("", (call,))] * (1 + bool(task.faults)) + [task.gold[-1]]
        assert play_task(task, turns).score.value == value, text


NEARLY = {  # right at the corners of a body that has these numbers
    "gate": "b if a != {0} else {1}",
    "cap": "a if a < 999 else {0}",
    "floor": "b if b else {0}",
    "gap": "{0} - a + b if a <= {0} else b",
    "rest": "a - {0} + b if a >= {0} else a + b",
    "scale": "a * {0} + b if b < 4 else b",
    "drop": "a - {0} * b if b < 3 else a",
    "share": "a // {0} + b if b < 2 else b",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_trials_tell_a_body_from_one_that_is_nearly_right(kind: str) -> None:
    for seed in range(40):
        scene = Scene(Random(seed))
        name, body = scene.function(), new_body(scene.rng, kind)
        scene.will_be(name, body)
        world = scene.world()
        nearly = NEARLY[kind].format(*re.findall(r"\d+", body.code))
        found = [str(eval(nearly, {"a": a, "b": b})) for a, b in world["trials"][name]]
        assert found != world["wanted"][name], nearly
        assert len(found) <= 40


def test_a_stored_verdict_needs_no_sandbox() -> None:
    task = next(t for t in _tasks(3) if t.template == "mend_release")
    world = start(task, len(task.gold) + 1)
    play(world, task.gold)
    stored = Evidence.from_json(json.loads(json.dumps(world.evidence().to_json())))
    assert stored.gathered["results"] == task.world["wanted"]
    assert gathered_results(stored, task.goal).value == 1.0
    wrong = replace(stored, gathered={"results": {}})
    assert gathered_results(wrong, task.goal).value == 0.0
    with pytest.raises(MissingGoal):
        gathered_results(replace(stored, gathered={}), Goal())


def test_doing_nothing_scores_nothing() -> None:
    for task in _all():
        assert play_task(task, [GoldTurn("", (), "")]).score.value == 0.0
        if any(turn.calls for turn in task.gold) and task.template in (
            "write_body",
            "mend_release",
        ):
            assert play_task(task, [task.gold[-1]]).score.value == 0.0


def test_refused_releases_are_recovered_from() -> None:
    recovered = 0
    for task in (t for t in _tasks(3) if t.template == "release_recover"):
        world = start(task, len(task.gold) + 1)
        play(world, task.gold)
        stopped = [c for c in world.calls if c.outcome is CallOutcome.TOOL_ERROR]
        recovered += any("passes" in c.result for c in stopped) and world.calls[-1].mutated
    assert recovered >= 2


def test_the_mix_of_tasks() -> None:
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in _all())
    assert max(lengths) == 5
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) > 0.6 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in _all() for turn in t.gold)
    assert len(Coding.system_prompt.split()) <= 130


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Coding.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Coding.make_task(1, split, level, 0).split is split
