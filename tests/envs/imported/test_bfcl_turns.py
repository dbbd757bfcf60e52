"""BFCL's multi-turn entries as worlds, on a stand-in for the package that the tests write."""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tooldojo.envs.gates.check import check_world
from tooldojo.envs.imported import bfcl, bfcl_turns
from tooldojo.envs.imported.outside import OutsideError
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.spaces import sample_arguments
from tooldojo.envs.task import Split, Task
from tooldojo.envs.users import SpokenUser
from tooldojo.envs.verdict import Audit
from tooldojo.envs.world import World
from tooldojo.verifiers.records import CallOutcome

installed = pytest.mark.skipif(
    importlib.util.find_spec("bfcl_eval") is None, reason="bfcl-eval is not installed"
)
BASE, MISS_FUNC = "bfcl/multi_turn_base-v0", "bfcl/multi_turn_miss_func-v0"
FILE_SYSTEM = """
import datetime


class Folder:
    def __init__(self, name, parent=None):
        self.name, self.parent, self.contents = name, parent, {}
        self._last_modified = datetime.datetime.now()

    def __eq__(self, other):
        return self.name == other.name and self.contents == other.contents


class GorillaFileSystem:
    def __init__(self):
        self._api_description = "Files."

    def _load_scenario(self, scenario, long_context=False):
        self.root = Folder("/")
        for name in [*scenario.get("folders", []), *(["far", "away"] if long_context else [])]:
            self.root.contents[name] = Folder(name, self.root)
        self._here = self.root

    def cd(self, folder):
        target = self._here.parent if folder == ".." else self._here.contents.get(folder)
        if target is None:
            return {"error": f"no folder {folder}"}
        self._here = target
        return {"folder": target.name}

    def ls(self):
        return {"contents": list(self._here.contents)}

    def mkdir(self, dir_name, times=1):
        self._here.contents[dir_name] = Folder(dir_name, self._here)

    def rm(self, dir_name):
        if dir_name == "/":
            self.root.contents.clear()
            raise OSError("the root stays")
        del self._here.contents[dir_name]
        return {"result": f"{dir_name} is gone"}
"""
MESSAGES = """
import random


class MessageAPI:
    def _load_scenario(self, scenario, long_context=False):
        self._random = random.Random(scenario.get("seed", 1))
        self.known, self.notes, self.limit = set(), {}, float("inf")
        self.latest = self.notes

    def send(self, text):
        number = self._random.randint(10000, 99999)
        self.known.add(number)
        self.latest[number] = text
        return {"number": number}

    def count(self):
        return len(self.notes)
"""
BASE_0 = "bfcl/multi_turn_base.multi_turn_base_s0-v0"
ARITHMETIC = """
class MathAPI:
    def add(self, a, b):
        return {"result": a + b}
"""
TEXT, NUMBER = {"type": "string"}, {"type": "float"}
DOCS: dict[str, dict[str, dict]] = {
    "gorilla_file_system": {
        "cd": {"folder": TEXT},
        "ls": {},
        "mkdir": {"dir_name": TEXT, "times": {"type": "integer", "default": 1}},
        "rm": {"dir_name": TEXT},
    },
    "message_api": {"send": {"text": TEXT}, "count": {}},
    "math_api": {"add": {"a": NUMBER, "b": NUMBER}},
}
ENTRY = {
    "initial_config": {"GorillaFileSystem": {"folders": ["docs"]}, "MessageAPI": {"seed": 3}},
    "involved_classes": ["GorillaFileSystem", "MessageAPI", "MathAPI"],
}


def entry(category: str, number: int) -> tuple[dict, list[list[str]]]:
    """An entry with its reference calls; number 1 contradicts its schema, 2 of miss_func itself."""
    look = ["cd('docs')", f"mkdir(dir_name='n{number}')", "ls()"]
    send = ["send(text='Ann')", "send(text='Ben')", "count()"]
    add = ["add(a=1, b=2)"]
    asked = [f"Look into docs for {number}.", "What is 1 + 2?", "Tell Ann, then Ben."]
    says = [[{"role": "user", "content": text}] for text in asked]
    row = {"id": f"multi_turn_{category}_s{number}", "question": says, **ENTRY}
    calls = [look, add, send]
    if category == "miss_func":
        row |= {"missed_function": {"2": ["add"]}, "excluded_function": ["rm"]}
        row["question"] = [*says[:2], [], says[2]]
        calls = [look, [], add, send]
    if number == 1:
        look[1] = "mkdir(dir_name=1)"
    if number == 2 and category == "miss_func":
        look.append("add(1, 1)")
    return row, calls


def write(folder: Path) -> Path:
    """The package below a folder; returns where its data are."""
    code = folder / "bfcl_eval" / "eval_checker" / "multi_turn_eval" / "func_source_code"
    data = folder / "bfcl_eval" / "data"
    for place in (code, data / "possible_answer", data / "multi_turn_func_doc"):
        place.mkdir(parents=True)
    for place in (folder / "bfcl_eval", code.parents[1], code.parent, code):
        (place / "__init__.py").touch()  # a package installed beside it must not come first
    sources = zip(DOCS, (FILE_SYSTEM, MESSAGES, ARITHMETIC), strict=True)
    for name, source in sources:
        (code / f"{name}.py").write_text(source)
    for name, functions in DOCS.items():
        rows = [
            {"name": each, "description": f"{each}.", "parameters": {
                "type": "dict", "properties": fields,
                "required": [key for key in fields if "default" not in fields[key]],
            }}
            for each, fields in functions.items()
        ]  # fmt: skip
        _lines(data / "multi_turn_func_doc" / f"{name}.json", rows)
    for category in ("base", "miss_func", "long_context"):
        name = f"BFCL_v4_multi_turn_{category}.json"
        rows = [entry(category, number) for number in range(24)]
        _lines(data / name, [row for row, _ in rows])
        truth = [{"id": row["id"], "ground_truth": calls} for row, calls in rows]
        _lines(data / "possible_answer" / name, truth)
    return data


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write(tmp_path_factory.mktemp("stand_in"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfcl, "data_folder", lambda: folder)
        yield folder
        bfcl_turns.outside().close()


def task_of(reference: str = BASE) -> Task:
    return take([reference], Split.TRAIN, 0, 1)[0]


def started(task: Task) -> World:
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": 40})
    return world


def do(world: World, name: str, **arguments: object) -> str:
    return world.step({"calls": ({"name": name, "arguments": arguments},), "message": ""})[0][0]


def say(world: World, message: str = "Done.") -> tuple[str, ...]:
    return world.step({"calls": (), "message": message})[0]


def reference(task: Task) -> list[list[tuple[str, dict]]]:
    """The demonstration's calls by user turn."""
    turns: list[list[tuple[str, dict]]] = [[]]
    for turn in task.gold[:-1]:
        turns[-1] += [(call.name, call.arguments) for call in turn.calls]
        if not turn.calls:
            turns.append([])
    return turns


def refusal(task: Task, turns: list[list[tuple[str, dict]]]) -> str:
    """Why the calls of the user turns are refused; "" where they are not."""
    world = started(task)
    for calls in turns:
        for name, arguments in calls:
            do(world, name, **arguments)
        say(world)
    assert world.score is not None
    return "" if world.score.success else world.score.why


@pytest.mark.parametrize("reference", [BASE, MISS_FUNC])
def test_a_category_conforms(reference: str) -> None:
    assert check_world(reference, tasks=2) == []


def test_a_long_context_holds_more() -> None:
    task = task_of("bfcl/multi_turn_long_context-v0")
    assert do(started(task), "ls") == '{"contents": ["docs", "far", "away"]}'


def test_the_user_asks_one_thing_after_another() -> None:
    task = task_of()
    world = started(task)
    assert task.prompt == f"Look into docs for {str(task.world['entry']).split('_s')[1]}."
    assert say(world) == ("What is 1 + 2?",)
    assert say(world, "") == ("Tell Ann, then Ben.",)
    assert world.stop is None and say(world, "Bye.") == ()
    assert world.stop is not None and world.score is not None and world.score.value == 0.0


def test_results_are_the_texts_of_the_benchmark() -> None:
    world = started(task_of())
    assert do(world, "cd", folder="docs") == '{"folder": "docs"}'
    assert do(world, "mkdir", dir_name="a") == "None"
    assert do(world, "ls") == '{"contents": ["a"]}'
    assert do(world, "cd", folder="..") == '{"folder": "/"}'
    assert do(world, "add", a=0.5, b=1) == '{"result": 1.5}'


def test_every_user_turn_is_judged() -> None:
    task = task_of()
    look, add, send = reference(task)
    assert refusal(task, [look, add, send]) == ""
    assert refusal(task, [look[::-1], add, send]).startswith("user_turns: user turn 1: another")
    assert refusal(task, [look[:2], add, send]).startswith("user_turns: user turn 1: never read")
    assert refusal(task, [look, [], send]) == "user_turns: user turn 2: no call"
    assert refusal(task, [look, add, [*send, send[0]]]).startswith("user_turns: user turn 3: anoth")
    assert refusal(task, [look, add, send[:2]]).startswith(
        "user_turns: user turn 3: never read '2'"
    )
    more = [*look, *add, ("cd", {"folder": "nowhere"})]
    assert refusal(task, [more, [("ls", {})], send]) == ""  # read before, and something is called


def test_a_dialogue_that_is_cut_off_earns_nothing() -> None:
    task = task_of()
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": len(task.gold) - 1})
    for turn in task.gold[:-1]:
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        world.step({"calls": calls, "message": turn.message or ""})
    assert world.score is not None
    assert world.score.why == "user_turns: ended in user turn 3 of 3"


def test_a_call_that_fails_changes_nothing() -> None:
    world = started(task_of())
    before = world.state_hash()
    assert do(world, "rm", dir_name="/") == '{"error": "Error during execution: the root stays"}'
    assert do(world, "cd", folder="x") == '{"error": "no folder x"}'
    assert do(world, "mkdir", dir_name=5).startswith('{"error": "dir_name: 5 is not of type')
    assert world.state_hash() == before and do(world, "ls") == '{"contents": ["docs"]}'
    kinds = [call.outcome for call in world.calls[:3]]
    assert kinds == [CallOutcome.TOOL_ERROR, CallOutcome.TOOL_ERROR, CallOutcome.INVALID_ARGUMENTS]


def test_generators_sets_and_shared_objects_survive_between_calls() -> None:
    world = started(task_of())
    numbers = [json.loads(do(world, "send", text=text))["number"] for text in "ab"]
    assert numbers == [Random(3).randint(10000, 99999), numbers[1]] and numbers[0] != numbers[1]
    assert do(world, "count") == "2"  # `latest` is the same object as `notes`
    state = world.snapshot().state["MessageAPI"]
    assert isinstance(state, dict)
    assert state["known"] == {"!set": sorted(numbers)}
    assert state["notes"] == {"!dict": [[numbers[0], "a"], [numbers[1], "b"]]}
    assert "limit" not in state  # unchanged, though infinite


def test_a_function_that_comes_later_is_unknown_before() -> None:
    task = task_of(MISS_FUNC)
    world = started(task)
    assert [spec.name for spec in world.listed_tools()] == ["cd", "ls", "mkdir", "send", "count"]
    say(world)
    assert "no tool 'add'" in do(world, "add", a=1, b=2)
    assert world.calls[-1].outcome is CallOutcome.UNKNOWN_TOOL
    (told,) = say(world, "I cannot add.")
    schema, sentence = told.splitlines()
    assert json.loads(schema)["name"] == "add" and sentence == bfcl_turns.MORE_FUNCTIONS
    assert do(world, "add", a=1, b=2) == '{"result": 3}'


def test_calls_where_nothing_is_to_be_called_are_not_judged() -> None:
    task = task_of(MISS_FUNC)
    look, nothing, add, send = reference(task)
    assert nothing == [] and refusal(task, [look, send[2:], add, send]) == ""
    assert refusal(task, [look, add, [], send]) == "user_turns: user turn 3: no call"


def test_wrappers_rename_what_comes_later_as_well() -> None:
    task = task_of(f"{MISS_FUNC}?rename=1")
    world = started(task)
    (outer,) = world.late_tools
    assert outer != "add" and outer not in {spec.name for spec in world.listed_tools()}
    assert world_class(task.env)().replay_gold(task).success
    say(world)
    assert json.loads(say(world)[0].splitlines()[0])["name"] == outer


def test_a_distractor_beside_the_reference_costs_nothing() -> None:
    task = task_of(f"{BASE}?distractors=6")
    world = started(task)
    for name in set(world.tool_specs()) - set(world_class(BASE_0).tool_specs()):
        parameters = world.tool_specs()[name].parameters
        do(world, name, **sample_arguments(parameters, np.random.default_rng(0)))
    assert CallOutcome.OK in {call.outcome for call in world.calls}
    for turn in task.gold:
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        world.step({"calls": calls, "message": turn.message or ""})
    assert world.score is not None and world.score.success


def test_entries_that_contradict_themselves_are_left_out() -> None:
    left = {}
    for category in ("multi_turn_base", "multi_turn_miss_func"):
        found, kept = bfcl.entries(category), bfcl_turns.playable(category)
        left[category] = {e: bfcl_turns.refusal(found[e]) for e in found if e not in kept}
    fault = "mkdir: dir_name: 1 is not of type 'string'"
    assert left["multi_turn_base"] == {"multi_turn_base_s1": fault}
    assert left["multi_turn_miss_func"] == {
        "multi_turn_miss_func_s1": fault,
        "multi_turn_miss_func_s2": "add comes later",
    }


@pytest.mark.parametrize(
    "text", ["__import__('os').getpid()", "add(a=open('x'))", "open('x')", "1"]
)
def test_references_are_read_and_never_evaluated(text: str) -> None:
    with pytest.raises(OutsideError, match="ValueError"):
        bfcl_turns.outside().ask("answer", classes=["MathAPI"], turns=[[text]])


@pytest.mark.parametrize("name", ["_load_scenario", "__init__"])
def test_only_public_functions_are_called(name: str) -> None:
    where = bfcl_turns.scenario(bfcl.entries("multi_turn_base")["multi_turn_base_s0"])
    call = {"api": "MessageAPI", "state": {}, "name": name, "arguments": {}}
    with pytest.raises(OutsideError, match="no function"):
        bfcl_turns.outside().ask("call", scenario=where, **call)  # type: ignore[arg-type]


async def test_another_user_may_put_the_requests_in_other_words() -> None:
    async def complete(messages: object) -> str:
        assert "What is 1 + 2?" in str(messages)
        return "SAY Add one and two."

    world = started(task_of())
    world.user = SpokenUser(complete, "rewording")
    results, *_ = await world.astep({"calls": (), "message": "Done."})
    assert results == ("Add one and two.",)


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(LookupError, match="did you mean 'bfcl/multi_turn_base-v0'"):
        world_class("bfcl/multi_turn_bas-v0")
    with pytest.raises(LookupError, match="no entry 'multi_turn_base_99'"):
        world_class("bfcl/multi_turn_base.multi_turn_base_99-v0")
    verdict = world_class(BASE).verdict
    assert verdict is not None and verdict.audit is Audit.FLAGGED


def test_the_referee_names_the_rule_that_makes_the_difference() -> None:
    from referee.dialogues import OPERATORS, one_by_one
    from referee.explained import UNEXPLAINED
    from referee.turns import WHY, Rules, explanation, played, refusal, task_of

    entry_0 = bfcl.entries("multi_turn_miss_func")["multi_turn_miss_func_s0"]
    task = task_of("multi_turn_miss_func", entry_0["id"])
    gold = reference(task)
    for name, operator in OPERATORS.items():
        if dialogue := operator(gold, Random(0)):
            ours = played(task, dialogue)
            assert ours.removeprefix("user_turns: ") == refusal(entry_0, dialogue, Rules()), name
    assert not played(task, OPERATORS["gold"](gold, Random(0)) or [])
    cases = {
        "transaction": [[("rm", {"dir_name": "/"}), *gold[0]], *gold[1:]],
        "schema": [[*gold[0], ("mkdir", {"dir_name": 5})], *gold[1:]],
    }
    excluded = {**entry_0, "excluded_function": []}
    for rule, turns in cases.items():
        assert explanation(excluded, one_by_one(turns), theirs=False) == WHY[rule]
    early = one_by_one([gold[0], [*gold[2], ("send", {"text": "x"})], *gold[2:]])
    assert explanation(entry_0, early, theirs=True) == UNEXPLAINED


@installed
def test_the_package_has_all_of_its_multi_turn_entries() -> None:
    folder = Path(str(importlib.util.find_spec("bfcl_eval").origin)).parent / "data"  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfcl, "data_folder", lambda: folder)
        found = {
            c: (len(bfcl.entries(c)), len(bfcl_turns.playable(c))) for c in bfcl.TURN_CATEGORIES
        }
        bfcl_turns.outside().close()
    assert found == {
        "multi_turn_base": (200, 199),
        "multi_turn_miss_func": (200, 198),
        "multi_turn_miss_param": (200, 199),
        "multi_turn_long_context": (200, 199),
    }
