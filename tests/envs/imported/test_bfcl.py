"""BFCL's entries as worlds, on data of the same form that the tests write."""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tooldojo.envs.gates.check import check_world
from tooldojo.envs.imported import bfcl
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.verdict import Audit
from tooldojo.envs.world import World

installed = pytest.mark.skipif(
    importlib.util.find_spec("bfcl_eval") is None, reason="bfcl-eval is not installed"
)
FUNCTION = {
    "name": "math.area",
    "description": "Area of a triangle.",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer", "description": "cm"},
            "height": {"type": "float"},
            "tags": {"type": "tuple", "items": {"type": "string"}},
            "about": {"type": "dict", "properties": {"unit": {"type": "string", "enum": ["cm"]}}},
            "whatever": {"type": "any"},
        },
        "required": ["base"],
    },
}


def entry(number: int) -> tuple[dict, dict]:
    asked = [{"role": "user", "content": f"Area for base {number}?"}]
    if number == 1:
        asked.insert(0, {"role": "system", "content": "Be brief."})
    allowed = {"base": [number], "height": [2.5, 5], "about": [{"unit": ["cm"]}], "tags": ["", []]}
    if number == 2:
        allowed["base"] = ["two"]  # its own schema forbids it
    row = {"id": f"parallel_{number}", "question": [asked], "function": [FUNCTION]}
    calls = [{"math.area": allowed}, {"math.area": {**allowed, "base": [number + 100]}}]
    return row, {"id": row["id"], "ground_truth": calls}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    (folder / "possible_answer").mkdir(parents=True)
    rows, answers = zip(*(entry(number) for number in range(30)), strict=True)
    for place, lines in ((folder, rows), (folder / "possible_answer", answers)):
        path = place / "BFCL_v4_parallel.json"
        path.write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(bfcl, "data_folder", lambda: folder)
    return folder


def tasks(split: Split = Split.TRAIN, count: int = 4) -> list[Task]:
    return take(["bfcl/parallel-v0"], split, 0, count)


def outcome(task: Task, *turns: list[dict]) -> float:
    world = world_class(task.env)()
    world.reset(options={"task": task})
    for calls in turns:
        world.step({"calls": tuple(calls), "message": ""})
    if world.stop is None:
        world.step({"calls": (), "message": "Done."})
    assert world.score is not None
    return world.score.value


def right(task: Task) -> list[dict]:
    return [{"name": c.name, "arguments": dict(c.arguments)} for c in task.gold[0].calls]


def test_schemas_become_json_schema() -> None:
    spec = bfcl.specs("parallel", "parallel_0")["math.area"]
    assert spec.fields["base"] == {"description": "cm", "type": "integer"}
    assert spec.fields["height"] == {"type": "number"}
    assert spec.fields["tags"] == {"type": "array", "items": {"type": "string"}}
    assert spec.fields["about"]["properties"] == {"unit": {"enum": ["cm"], "type": "string"}}
    assert spec.fields["whatever"] == {}


def test_a_category_conforms() -> None:
    assert check_world("bfcl/parallel-v0", tasks=4) == []


def test_calls_are_judged_in_any_order_and_exactly() -> None:
    task = tasks()[0]
    calls = right(task)
    assert outcome(task, calls) == 1.0
    assert outcome(task, calls[::-1]) == 1.0
    assert outcome(task, calls[:1]) == 0.0
    assert outcome(task, [*calls, calls[0]]) == 0.0
    assert outcome(task) == 0.0
    for name, value in (("base", -1), ("base", "x"), ("height", 5.1), ("no_such", 1)):
        changed = {**calls[0], "arguments": {**calls[0]["arguments"], name: value}}
        assert outcome(task, [changed, calls[1]]) == 0.0, name


def test_a_refused_call_is_not_forgiven() -> None:
    task = tasks()[0]
    bad = {"name": "math.area", "arguments": {"base": "ten"}}
    assert outcome(task, [bad], right(task)) == 0.0


def test_entries_that_contradict_their_schema_are_left_out() -> None:
    assert "parallel_2" in bfcl.entries("parallel")
    assert "parallel_2" not in bfcl.playable("parallel")
    assert len(bfcl.playable("parallel")) == 29


def test_splits_share_no_entry() -> None:
    kinds = {split: tasks(split, 2) for split in (Split.TRAIN, Split.VAL, Split.TEST)}
    seen = [task.env for found in kinds.values() for task in found]
    assert len(set(seen)) == len(seen)


def test_system_messages_stand_in_the_prompt() -> None:
    entry_1 = bfcl.entries("parallel")["parallel_1"]
    assert bfcl.prompt_of(entry_1) == "system: Be brief.\n\nuser: Area for base 1?"


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(LookupError, match="did you mean 'bfcl/parallel-v0'"):
        world_class("bfcl/paralel-v0")
    with pytest.raises(LookupError, match="no entry 'parallel_77'"):
        world_class("bfcl/parallel.parallel_77-v0")
    with pytest.raises(LookupError, match=r"play a task in world_class\(task.env\)"):
        world_class("bfcl/parallel-v0")().reset(seed=0)


def test_it_is_a_benchmark_and_says_so() -> None:
    verdict = world_class("bfcl/parallel-v0").verdict
    assert verdict is not None and verdict.audit is Audit.FLAGGED and "benchmark" in str(verdict)


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LookupError, match="pip install --no-deps bfcl-eval"):
        bfcl.data_folder()


@installed
def test_the_package_has_all_of_its_python_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert sum(len(bfcl.entries(category)) for category in bfcl.CATEGORIES) == 2351


def test_a_world_of_an_entry_is_a_world() -> None:
    world = world_class("bfcl/parallel.parallel_0-v0")
    assert issubclass(world, World) and list(world.tool_specs()) == ["math.area"]


def test_the_referee_explains_each_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    from bfcl_referee import answers
    from referee.explained import UNEXPLAINED, explanation, our_reason

    monkeypatch.setattr(bfcl, "CATEGORIES", ("parallel",))
    seen = {}
    for entry_id, operator, answer in answers("parallel", quick=True):
        ours = not our_reason("parallel", entry_id, answer, "json", "json")
        loose = not our_reason("parallel", entry_id, answer, "bfcl", "bfcl")
        seen.setdefault(operator, set()).add((ours, loose))
        if ours != loose:
            why = explanation("parallel", entry_id, answer, "json", loose)
            assert why != UNEXPLAINED, (entry_id, operator)
    assert seen["gold"] == {(True, True), (False, True)}  # parallel_2 contradicts its schema
    assert seen["integer_as_float"] == {(True, False), (False, False)}
    for wrong in ("no_call", "drop_call", "repeat_call", "rename_function", "number_as_text"):
        assert seen[wrong] == {(False, False)}, wrong
    agreed = explanation("parallel", "parallel_0", [("x", {})], "json", True)
    assert agreed == UNEXPLAINED


def test_wrappers_of_a_category_are_those_of_its_entries() -> None:
    task = take(["bfcl/parallel-v0?rename=1"], Split.TRAIN, 0, 1)[0]
    assert task.env.startswith("bfcl/parallel.") and task.env.endswith("-v0?rename=1")
    assert task.gold[0].calls[0].name != "math.area"
    assert world_class(task.env)().replay_gold(task).success
