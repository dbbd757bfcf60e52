"""Home: what its tools promise, and that its tasks can be solved by the policy and by nothing
cheaper.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random

import pytest

from tooldojo.envs import making
from tooldojo.envs.draft import Draft
from tooldojo.envs.gates.mutants import make_case
from tooldojo.envs.gates.operators import drop_all_calls
from tooldojo.envs.gates.play import play, play_task, start
from tooldojo.envs.home import chains
from tooldojo.envs.home.scene import Scene
from tooldojo.envs.home.tasks import TEMPLATES
from tooldojo.envs.home.wordings import WORDINGS
from tooldojo.envs.home.world import Home
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.templates import Sketch
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import CallOutcome

COUNT = 100
NAMED = re.compile(r"[CIRW]\d{4}|[a-z]+ \d\d\b")


def _room(**changes: object) -> dict:
    room = {"temp": 18, "light": 40, "humidity": 55, "people": "empty", "clean": False}
    return room | changes


def _world() -> Home:
    world = Home()
    world.state = {
        "rooms": {"den 11": _room(), "loft 22": _room(people="asleep"), "snug 33": _room()},
        "devices": {
            "C1000": {"kind": "lamp", "room": "den 11", "level": 30},
            "I2000": {"kind": "heater", "room": "den 11", "level": 20},
            "W3000": {"kind": "lock", "room": "loft 22", "level": "locked"},
        },
        "scenes": {"dusk 44": {"C1000": 5, "I2000": 17}},
        "timers": {},
        "items": {"teapot 55": "snug 33", "tray 66": "den 11"},
        "robot": {"room": "den 11", "holds": "nothing"},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Home.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Home.levels for task in _tasks(level)]


def _play(task: Task, turns: tuple[GoldTurn, ...]) -> Home:
    world = start(task, len(turns) + 1)
    play(world, turns)
    assert isinstance(world, Home)
    return world


def _value(task: Task, turns: tuple[GoldTurn, ...]) -> float:
    return play_task(task, turns).score.value


def test_reads_name_first_then_facts() -> None:
    world = _world()
    assert world.read_sensors("loft 22") == "temp 18, light 40, humidity 55, people asleep"
    assert world.room_devices("den 11") == "C1000: lamp, 30; I2000: heater, 20"
    assert world.room_devices("snug 33") == ""
    assert world.scene_levels("dusk 44") == "C1000: 5; I2000: 17"
    assert world.where_is("teapot 55") == "snug 33"
    assert world.state == _world().state


def test_devices_locks_timers_and_scenes() -> None:
    world = _world()
    world.set_device("C1000", 75)
    assert world.state["devices"]["C1000"]["level"] == 75
    world.play_scene("dusk 44")
    assert world.state["devices"]["C1000"]["level"] == 5
    assert world.state["devices"]["I2000"]["level"] == 17
    world.set_timer("I2000", "07:30", 21)
    assert world.state["timers"] == {"I2000": {"07:30": 21}}
    world.set_lock("W3000", "open")
    assert world.state["devices"]["W3000"]["level"] == "open"


def test_the_robot_carries_and_cleans() -> None:
    world = _world()
    world.robot_go("snug 33")
    world.robot_take("teapot 55")
    assert world.where_is("teapot 55") == "robot"
    with pytest.raises(ToolError, match="holds teapot 55"):
        world.robot_clean()
    world.robot_go("den 11")
    assert world.robot_drop() == "teapot 55 is in den 11"
    world.robot_clean()
    assert world.state["rooms"]["den 11"]["clean"]
    assert world.state["robot"] == {"room": "den 11", "holds": "nothing"}
    with pytest.raises(ToolError, match="den 11 is clean already"):
        world.robot_clean()


def test_a_lock_stops_the_robot_on_both_sides_until_it_is_open() -> None:
    world = _world()
    with pytest.raises(ToolError, match="W3000 of loft 22 is locked"):
        world.robot_go("loft 22")
    world.set_lock("W3000", "open")
    world.robot_go("loft 22")
    world.set_lock("W3000", "locked")
    with pytest.raises(ToolError, match="W3000 of loft 22 is locked"):
        world.robot_go("den 11")


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("read_sensors", {"room": "den 99"}, "no room den 99"),
        ("room_devices", {"room": "den 99"}, "den 99"),
        ("set_device", {"device": "C9999", "level": 5}, "no device C9999"),
        ("set_device", {"device": "C1000", "level": 101}, "a lamp takes 0 to 100, not 101"),
        ("set_device", {"device": "I2000", "level": 31}, "a heater takes 5 to 30, not 31"),
        ("set_device", {"device": "W3000", "level": 1}, "W3000 is a lock"),
        ("set_lock", {"lock": "C1000", "state": "open"}, "C1000 is a lamp"),
        ("set_lock", {"lock": "W3000", "state": "locked"}, "W3000 is locked already"),
        ("set_timer", {"device": "C1000", "time": "24:00", "level": 5}, "no time 24:00"),
        ("set_timer", {"device": "C9999", "time": "07:30", "level": 5}, "C9999"),
        ("scene_levels", {"scene": "dawn 10"}, "dawn 10"),
        ("play_scene", {"scene": "dawn 10"}, "dawn 10"),
        ("where_is", {"item": "jug 10"}, "jug 10"),
        ("robot_go", {"room": "den 11"}, "is in den 11 already"),
        ("robot_take", {"item": "teapot 55"}, "no teapot 55 in den 11"),
        ("robot_drop", {}, "holds nothing"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert _value(task, (GoldTurn("", (), ""),)) == 0.0
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert _value(task, near.gold) == 0.0, (task.prompt, near.prompt)


def test_what_is_not_done_is_closed_by_the_first_name() -> None:
    codes = ("refused", "unsupported", "unknown", "none", "kept")
    seen = Counter()
    for task in _all():
        code, _, rest = (task.goal.answer or "").removeprefix("Result: ").partition(" ")
        if code in codes:
            name = NAMED.findall(task.prompt)[0]
            assert rest.endswith(name) if code == "kept" else rest == name, task.prompt
            assert rest != name or code != "kept"
            seen[code] += 1
    assert set(seen) == set(codes)


def test_refused_calls_are_recovered_from() -> None:
    recovered = Counter()
    for task in _tasks(3):
        world = _play(task, task.gold)
        for call in world.calls:
            if call.outcome is CallOutcome.TOOL_ERROR and "timed out" not in call.result:
                recovered[task.template, task.condition] += 1
    assert recovered["fetch", "locked"] and recovered["fetch", "holding"]
    assert recovered["clean_either", "locked"]


def test_cleaning_is_preceded_by_a_look_at_the_room() -> None:
    looked = 0
    for task in _all():
        world = _play(task, task.gold)
        for place, call in enumerate(world.calls):
            if call.name == "robot_clean":
                room = world.state["robot"]["room"]
                reads = [c for c in world.calls[:place] if c.name == "read_sensors"]
                mine = [c for c in reads if c.arguments == {"room": room}]
                assert mine and "asleep" not in mine[-1].result
                looked += 1
    assert looked > 5


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    declined = [t for t in tasks if not any(turn.calls for turn in t.gold)]
    assert 0.07 < len(declined) / len(tasks) < 0.15
    assert 0.1 < sum(bool(t.faults) for t in tasks) / len(tasks) < 0.21
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) == 5
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) >= 0.55 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    assert len(Home.system_prompt.split()) <= 130


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Home.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Home.make_task(1, split, level, 0).split is split


def _drafted(template: Callable[[Scene, str], Sketch], condition: str, seed: int) -> Task:
    """A task of one template and condition, its demonstration proven."""
    scene = Scene(Random(seed))
    sketch = template(scene, condition)
    prompt = WORDINGS[template.__name__][0].format(**sketch.fields)
    draft = Draft(prompt, scene.world(), sketch.gold, ignore=sketch.ignore)
    return making.complete(Home, draft, Split.TRAIN, 3, "")


def test_a_thing_that_is_gone_may_be_asked_for_first() -> None:
    for seed in range(5):
        task = _drafted(chains.carry, "gone", seed)
        item = (task.goal.answer or "").removeprefix("Result: none ")
        where = str(task.world["items"][item])  # type: ignore[index, call-overload]
        ask = GoldTurn("", (Call("where_is", {"item": item}),))
        assert _value(task, (ask, task.gold[-1])) == 1.0
        look = GoldTurn("", (Call("robot_go", {"room": where}),))
        assert _value(task, (ask, look, task.gold[-1])) == 1.0
        take = GoldTurn("", (Call("robot_take", {"item": item}),))
        assert _value(task, (ask, look, take, task.gold[-1])) == 0.0


def test_what_the_robot_holds_may_be_dropped_before_it_goes() -> None:
    for seed in range(5):
        task = _drafted(chains.fetch, "holding", seed)
        where, go, refused, drop, take, done = task.gold
        assert (refused.calls[0].name, drop.calls[0].name) == ("robot_take", "robot_drop")
        assert _value(task, (where, drop, go, take, done)) == 1.0
        assert _value(task, (where, drop, go, done)) == 0.0


def test_what_no_tool_can_do_is_asked_for_after_the_room() -> None:
    """The line names the first of what the house has, so a wished thing may not come before it."""
    for template in ("unsupported", "unsupported_plan"):
        for wording in WORDINGS[template]:
            assert 0 <= wording.find("{room}") < wording.find("{thing}"), wording
    assert "(first device, room, scene or thing of the house named)" in Home.system_prompt


def test_of_two_timers_the_line_tells_that_of_the_room_named_last() -> None:
    timed = [task for task in _tasks(3) if task.template == "timers"]
    for task in timed:
        device = (task.goal.answer or "").removeprefix("Result: timed ")
        rooms = [call.arguments["room"] for turn in task.gold for call in turn.calls
                 if call.name == "room_devices"]  # fmt: skip
        devices: dict = task.world["devices"]  # type: ignore[assignment]
        assert devices[device]["room"] == max(map(str, rooms), key=task.prompt.rfind)
    assert timed and "of two the last named" in Home.system_prompt


def test_requests_for_two_devices_say_which_is_the_last() -> None:
    for wording in WORDINGS["comfort"]:
        assert re.search(r"\{one\}.*\bthen\b.*\{two\}", wording), wording


def test_no_work_is_claimed_where_only_the_robot_moved_and_need_not() -> None:
    cases = [make_case(task, task, Random(0)) for task in _all() if task.goal.ignore]
    idle = [case for case in cases if {at.call.name for at in case.writes} == {"robot_go"}]
    assert idle and not any(map(drop_all_calls, idle))
    assert all(map(drop_all_calls, (case for case in cases if case.writes and case not in idle)))
