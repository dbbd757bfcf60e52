"""What a call changes and another takes back is on record, and costs the task unless asked for."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.gates.play import play_task, start
from tooldojo.envs.registry import register
from tooldojo.envs.source import take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Evidence, Score, ToolCall


@register("test/Rounds-v0")
class Rounds(World):
    """A watchman in a house: level 1 sets a lamp, level 2 walks there and back, 3 does nothing."""

    levels = (1, 2, 3)

    @tool(mutates=True)
    def set_lamp(self, lamp: str, level: int) -> None:
        """Set a lamp."""
        if lamp not in self.state["lamps"]:
            raise ToolError(f"no lamp {lamp}")
        self.state["lamps"][lamp] = level

    @tool(mutates=True)
    def walk(self, room: str) -> None:
        """Go to a room."""
        self.state["at"] = room

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        lamp, bright = f"L{rng.randrange(10**6)}", rng.randrange(2, 99)
        lit = call("set_lamp", lamp=lamp, level=bright)
        work = {1: [lit], 2: [call("walk", room="attic"), lit, call("walk", room="hall")], 3: []}
        world = {"lamps": {lamp: 0, "other": 1}, "at": "hall"}
        return Draft(f"Round {level}: {lamp}, {bright}.", world, steps(*work[level], say="Done."))


@register("test/Strolls-v0")
class Strolls(Rounds):
    """A watchman may walk as he likes, if he comes back."""

    transient = (("at",),)


def task_of(level: int, env_id: str = Rounds.env_id) -> Task:
    (task,) = take([env_id], Split.TRAIN, 3, 1, [level])
    return task


def played(task: Task, *calls: Call) -> Score:
    """The verdict on some calls and then the demonstration."""
    return play_task(task, [*(GoldTurn("", (each,)) for each in calls), *task.gold]).score


def test_a_change_that_is_taken_back_costs_the_task() -> None:
    for level in Rounds.levels:
        task = task_of(level)
        there, back = (
            call("set_lamp", lamp="other", level=9),
            call("set_lamp", lamp="other", level=1),
        )
        score = played(task, there, back)
        assert score.components == {"final_state": 1.0, "answer": 1.0, "no_side_effects": 0.0}
        assert score.value == 0.0 and not score.success
        assert score.why == "no_side_effects: set_lamp in turn 0 changed lamps.other"
        assert played(task, call("set_lamp", lamp="other", level=1)).success  # changes nothing
        assert played(task, call("set_lamp", lamp="none", level=1)).success  # refused


def test_the_right_place_may_have_a_wrong_value_before() -> None:
    task = task_of(1)
    lamp = str(task.gold[0].calls[0].arguments["lamp"])
    assert played(task, call("set_lamp", lamp=lamp, level=1)).success


def test_what_the_demonstration_changes_on_its_way_may_change() -> None:
    task = task_of(2)
    assert task.goal.transient == (("at",),)
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert played(task, call("walk", room="cellar")).success
    walks = call("walk", room="cellar"), call("walk", room="hall")
    assert task_of(1).goal.transient == ()
    assert played(task_of(1), *walks).components["no_side_effects"] == 0.0


def test_a_world_says_what_may_be_undone() -> None:
    for level in Strolls.levels:
        task = task_of(level, Strolls.env_id)
        assert task.goal.transient == (("at",),)
        assert played(task, call("walk", room="cellar"), call("walk", room="hall")).success
    away = played(task_of(1, Strolls.env_id), call("walk", room="cellar"))
    assert away.components == {"final_state": 0.0, "answer": 1.0, "no_side_effects": 1.0}


def test_stored_evidence_is_judged_alike_and_older_evidence_hashes_alike() -> None:
    task = task_of(1)
    world = start(task, 9)
    done: list[dict[str, Any]] = [{"name": "walk", "arguments": {"room": r}} for r in ("x", "hall")]
    world.step({"calls": done, "message": ""})
    assert [c.changed for c in world.calls] == [(("at",),), (("at",),)]
    stored = Evidence.from_json(json.loads(json.dumps(world.evidence().to_json())))
    assert stored == world.evidence()
    assert world.verifier(stored, task.goal) == world.verifier(world.evidence(), task.goal)
    older = [ToolCall.from_json(c.link()) for c in world.calls]
    state = world.state_hash()
    assert world.hashes[1] == World.chain_hash(world.hashes[0], older, state)


def idle_tasks(env_id: str) -> list[Task]:
    """Tasks in which nothing is to be changed."""
    tasks = take([env_id], Split.TRAIN, 5, 60)
    return [task for task in tasks if task.goal.world == task.world]


def test_a_heater_set_and_set_back_loses_a_refusal() -> None:
    tried = 0
    for task in idle_tasks("tooldojo/Home-v0"):
        devices: Any = task.world["devices"]
        for name in (name for name, each in devices.items() if each["kind"] == "heater"):
            tried += 1
            before = devices[name]["level"]
            warm = call("set_device", device=name, level=before + 1)
            score = played(task, warm, call("set_device", device=name, level=before))
            assert score.components["final_state"] == 1.0 and score.value == 0.0
    assert tried > 0


@pytest.mark.usefixtures("bubblewrap")
def test_a_file_moved_out_of_the_vault_and_back_loses_a_refusal() -> None:
    tried = 0
    for task in idle_tasks("tooldojo/Files-v0"):
        files: Any = task.world["files"]
        for path in (path for path, each in files.items() if each["mode"] == "open"):
            tried += 1
            folder, _, name = path.rpartition("/")
            away = call("move_file", path=path, folder="elsewhere")
            score = played(task, away, call("move_file", path=f"elsewhere/{name}", folder=folder))
            assert score.components["final_state"] == 1.0 and score.value == 0.0
    assert tried > 0
