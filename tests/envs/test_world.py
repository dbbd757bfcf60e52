"""The base of all worlds: transactions, time-outs, endings, errors, worlds from a user's file."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.digest import state_digest
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.snapshot import clone
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import HELD, World, WorldCrash
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import CallOutcome, Score, StopReason


@register("test/Counter-v0")
class Counter(World):
    """A row of counters whose tools misbehave on demand."""

    system_prompt = "Count. Close with `Result: <counter> <value>`."
    levels = (1, 2)

    def on_load(self) -> None:
        self.total = sum(self.state["counters"].values())

    @tool(mutates=True)
    def add(self, counter: str, amount: int) -> int:
        """Add to a counter."""
        self.state["counters"][counter] += amount
        self.total += amount
        if amount == 13:
            raise ToolError("13 is refused, after the fact")
        if amount == 99:
            raise KeyError("a bug")
        return self.state["counters"][counter]

    @tool(mutates=False)
    def read(self, counter: str) -> int:
        """Read a counter."""
        return self.state["counters"][counter]

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        name, value, more = f"K{rng.randrange(1000)}", rng.randrange(50), rng.randrange(2, 9)
        gold = steps(call("add", counter=name, amount=more), say=f"Result: {name} {value + more}")
        world: dict[str, Any] = {"counters": {name: value}}
        return Draft(f"Add {more} to {name}.", world, gold, "add", "", rng.randrange(3))


class Waiting(Counter):
    """The same with a tool that waits."""

    env_id = "test/Waiting-v0"

    @tool(mutates=True)
    async def later(self, counter: str) -> str:
        """Count one, later."""
        await asyncio.sleep(0.001)
        self.state["counters"][counter] += 1
        return "done"


TASK = Counter.make_task(0, Split.TRAIN, 1, 0)
NAME = next(iter(TASK.world["counters"]))  # type: ignore[arg-type]


def turn(*calls: tuple[str, dict[str, Any]], message: str = "") -> dict:
    return {
        "calls": tuple({"name": name, "arguments": arguments} for name, arguments in calls),
        "message": message,
    }


def add(amount: int) -> tuple[str, dict[str, Any]]:
    return "add", {"counter": NAME, "amount": amount}


def started(task: Task = TASK, **options: Any) -> Counter:
    world = Counter()
    world.reset(options={"task": task, **options})
    return world


def value(world: Counter) -> int:
    return world.state["counters"][NAME]


def test_a_refused_call_is_rolled_back() -> None:
    world = started()
    before, total = value(world), world.total
    seen, reward, *_ = world.step(turn(add(13)))
    assert seen == ('{"error": "13 is refused, after the fact"}',)
    assert (value(world), world.total, reward) == (before, total, 0.0)
    assert world.calls[-1].outcome is CallOutcome.TOOL_ERROR
    assert not world.calls[-1].mutated


def test_a_bug_in_a_tool_is_a_crash_and_is_rolled_back() -> None:
    world = started()
    before = value(world)
    with pytest.raises(WorldCrash, match="tool 'add' failed: KeyError: 'a bug'"):
        world.step(turn(add(99)))
    assert value(world) == before


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1, 2}, b"bytes"])
@pytest.mark.parametrize("name", ["add", "no_such_tool"])
def test_arguments_that_are_no_json_are_refused(name: str, value: Any) -> None:
    world = started()
    before = world.state_hash()
    seen, *_ = world.step(turn((name, {"counter": NAME, "amount": value})))
    assert seen == ('{"error": "arguments: should be JSON, with finite numbers"}',)
    assert world.calls[-1].outcome is CallOutcome.INVALID_ARGUMENTS
    assert world.calls[-1].arguments == {} and world.state_hash() == before


@pytest.mark.parametrize("depth", [32, 500, 100_000])
def test_arguments_that_are_nested_too_deep_are_refused(depth: int) -> None:
    world = started()
    value: Any = []
    for _ in range(depth):
        value = [value]
    seen, *_ = world.step(turn(("add", {"counter": NAME, "amount": value})))
    assert seen == ('{"error": "arguments: nested deeper than 32; give them flatter"}',)
    assert world.calls[-1].outcome is CallOutcome.INVALID_ARGUMENTS
    assert world.calls[-1].arguments == {}
    world.step({"calls": (), "message": "Result: no"})
    assert world.score is not None and world.score.value == 0.0
    world.process_rewards({"argument_accuracy": 1.0})  # compares what is on record


def test_calls_of_a_turn_run_in_order() -> None:
    world = started()
    before = value(world)
    seen, *_, info = world.step(turn(add(1), ("read", {"counter": NAME}), add(13), add(2)))
    assert [seen[0], seen[1], seen[3]] == [str(before + 1), str(before + 1), str(before + 3)]
    assert info["outcomes"] == ["ok", "ok", "tool_error", "ok"]
    assert [c.mutated for c in world.calls] == [True, False, False, True]
    assert {c.turn for c in world.calls} == {0}


def test_a_time_out_happens_once() -> None:
    task = replace(TASK, faults={"add": (1,)})
    world = started(task)
    before = value(world)
    assert world.step(turn(add(1)))[0] == (str(before + 1),)
    invalid = world.step(turn(("add", {"counter": NAME})))  # does not count as a call of `add`
    assert "amount: field required" in invalid[0][0]
    assert world.step(turn(add(1)))[0] == ('{"error": "add timed out, try again"}',)
    assert value(world) == before + 1
    assert world.step(turn(add(1)))[0] == (str(before + 2),)
    assert task.id != TASK.id


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 14)), max_size=7), st.booleans())
def test_members_of_a_group_play_as_if_alone(
    played: list[tuple[int, int]], travelled: bool
) -> None:
    snapshot = started().snapshot()
    start = clone(snapshot.state)
    members, alone = [Counter() for _ in range(3)], [started() for _ in range(3)]
    for member in members:
        member.restore(pickle.loads(pickle.dumps(snapshot)) if travelled else snapshot)
    for who, amount in played:  # 13 is refused after it was added
        assert members[who].step(turn(add(amount))) == alone[who].step(turn(add(amount)))
        for member, other in zip(members, alone, strict=True):
            assert member.hashes == other.hashes and member.state == other.state
            assert member.state_hash() == state_digest(clone(member.state))
    assert snapshot.state == start == TASK.world


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.integers())))
def test_an_id_is_the_hash_of_the_content_and_taken_once(state: dict[str, Any]) -> None:
    task = replace(TASK, world=state)
    expected = content_hash([task.env, task.prompt, state, {}, task.goal.to_json()])
    assert task.id == task.id == expected
    for same in (replace(task), Task.from_json(task.to_json()), pickle.loads(pickle.dumps(task))):
        assert same == task and same.id == expected and repr(same) == repr(task)
    assert replace(task, prompt="another").id != expected
    assert replace(task, lineage="another").id == expected


def test_the_answer_ends_the_task() -> None:
    world = started()
    for gold in TASK.gold[:-1]:
        world.step(turn(*((c.name, c.arguments) for c in gold.calls)))
    seen, reward, terminated, truncated, info = world.step(
        turn(message=TASK.gold[-1].message or "")
    )
    assert (seen, reward, terminated, truncated) == ((), 1.0, True, False)
    assert Score.from_json(info["score"]) == world.score
    assert info["stop"] == "answered"
    assert f"answer: {TASK.goal.answer}" in world.render()
    with pytest.raises(RuntimeError, match="has ended"):
        world.step(turn(message="again"))


def test_too_many_turns_truncate() -> None:
    world = started(max_turns=2)
    world.step(turn(add(1)))
    _, reward, terminated, truncated, info = world.step(turn(add(1), message="Result: x"))
    assert (reward, terminated, truncated, info["stop"]) == (0.0, False, True, "max_turns")
    assert world.evidence().answer is None
    world.reset(options={"task": TASK})
    assert world.turn_limit == Counter.max_turns  # the limit held for one task only


def test_finish_judges_what_is_there() -> None:
    world = started()
    assert world.finish(StopReason.CONTEXT_FULL).value == 0.0
    assert world.evidence().stop is StopReason.CONTEXT_FULL


def test_asynchronous_tools_run_in_both_ways() -> None:
    def outcome(world: World) -> tuple:
        return world.state, world.hashes

    task = replace(TASK, env="test/Waiting-v0")
    action = turn(("later", {"counter": NAME}), add(2))
    worlds = Waiting(), Waiting()
    for world in worlds:
        world.reset(options={"task": task})
    first = worlds[0].step(action)
    second = asyncio.run(worlds[1].astep(action))
    assert first == second
    assert outcome(worlds[0]) == outcome(worlds[1])


def test_resets_without_a_task_are_seeded() -> None:
    world = Counter(level=2)
    prompts = [world.reset(seed=seed)[0] for seed in (1, 1, 2)]
    assert prompts[0] == prompts[1] != prompts[2]
    assert world.task.level == 2
    assert world.reset(seed=1)[1] == {
        "task_id": world.task.id,
        "system_prompt": world.system_prompt,
    }


def test_wrong_uses_are_named() -> None:
    with pytest.raises(ValueError, match="Counter has no level 7; it has 1, 2"):
        Counter(level=7)
    with pytest.raises(ValueError, match="a task of 'x/Y-v0' cannot be played in 'test/Counter"):
        started(replace(TASK, env="x/Y-v0"))
    with pytest.raises(NotImplementedError, match="write a classmethod draft"):
        World.draft(Random(0), 1)
    with pytest.raises(TypeError, match="World has no tools"):
        World.tool_specs()


@pytest.mark.parametrize(
    ("gold", "complaint"),
    [
        ([GoldTurn("", (Call("nothing", {}),))], "unplayable gold: .*nothing"),
        ([GoldTurn("", (Call("read", {}),))], "unplayable gold"),
        ([GoldTurn("", (Call("read", {"counter": NAME}),))], "does not end with a message"),
        ([], "does not end with a message"),
    ],
)
def test_bad_demonstrations_fail_when_the_task_is_made(
    gold: list[GoldTurn], complaint: str
) -> None:
    class Bad(Counter):
        env_id = "test/Bad-v0"

        @classmethod
        def draft(cls, rng: Random, level: int) -> Draft:
            return Draft(f"{rng.random()}", {"counters": {NAME: 1}}, gold, answer="Result: x")

    with pytest.raises(WorldCrash, match=complaint):
        Bad.make_task(0, Split.TRAIN, 1, 0)


def test_a_task_without_an_answer_cannot_be_made() -> None:
    class Mute(Counter):
        env_id = "test/Mute-v0"

        @classmethod
        def draft(cls, rng: Random, level: int) -> Draft:
            return Draft(f"{rng.random()}", {"counters": {}}, [GoldTurn("", (), " ")])

    with pytest.raises(WorldCrash, match=r"answer needs goal\.answer"):
        Mute.make_task(0, Split.TRAIN, 1, 0)


def test_tasks_come_in_a_fixed_order_and_equal_levels() -> None:
    source = GeneratedTasks(["test/Counter-v0"], Split.TRAIN, 4)
    issued = [source.next() for _ in range(10)]
    assert [each.ordinal for each in issued] == list(range(10))
    assert sorted(each.task.level for each in issued) == [1] * 5 + [2] * 5
    later = GeneratedTasks(["test/Counter-v0"], Split.TRAIN, 4)
    later.load_state_dict({"ordinal": 7})
    assert [later.next() for _ in range(3)] == issued[7:]
    assert later.state_dict() == source.state_dict() == {"ordinal": 10}
    assert GeneratedTasks(["test/Counter-v0"], Split.TRAIN, 5).next() != issued[0]


def test_sources_name_what_they_lack() -> None:
    with pytest.raises(ValueError, match="at least one world"):
        GeneratedTasks([], Split.TRAIN, 0)
    with pytest.raises(LookupError, match="no level of"):
        take(["test/Counter-v0"], Split.TRAIN, 0, 1, [3])
    with pytest.raises(LookupError, match="no task of level 1 for the split 'test_combos'"):
        take(["test/Counter-v0"], Split.TEST_COMBOS, 0, 1, [1])


BEACONS = """
from tooldojo import Draft, ToolError, World, call, steps, tool

class Beacons(World):
    system_prompt = "You switch lamps. Close with one line: Result: <lamp> is <on|off>."

    @tool(mutates=True)
    def set_lamp(self, lamp: str, power: str) -> str:
        "Switch one lamp on or off."
        if lamp not in self.state["lamps"]:
            raise ToolError(f"no lamp {lamp!r}")
        self.state["lamps"][lamp] = power
        return "done"

    @classmethod
    def draft(cls, rng, level):
        lamp, power = f"L{rng.randrange(10, 99)}", rng.choice(["on", "off"])
        other = {"on": "off", "off": "on"}[power]
        gold = steps(call("set_lamp", lamp=lamp, power=power), say=f"Result: {lamp} is {power}")
        return Draft(f"Switch lamp {lamp} {power}.", {"lamps": {lamp: other}}, gold)
"""


def test_a_users_file_is_a_world(tmp_path: Path) -> None:
    path = tmp_path / "beacons.py"
    path.write_text(BEACONS)
    beacons = world_class(f"{path}:Beacons")
    assert beacons.env_id == "user/Beacons-v0"
    assert world_class(f"{path}:Beacons") is world_class("user/Beacons-v0") is beacons
    for task in take([f"{path}:Beacons"], Split.TRAIN, 0, 5):
        assert beacons().replay_gold(task).success
    with pytest.raises(LookupError, match="has no World named 'Lamps'"):
        world_class(f"{path}:Lamps")


def test_two_files_cannot_have_worlds_of_one_name(tmp_path: Path) -> None:
    """They would share an id, and tasks of the one would be played in the other."""
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    for path in (one, two):
        path.write_text(BEACONS.replace("class Beacons", "class Lanterns"))
    lanterns = world_class(f"{one}:Lanterns")
    with pytest.raises(LookupError, match=r"one\.py and .*two\.py both have .* rename one class"):
        world_class(f"{two}:Lanterns")
    assert world_class("user/Lanterns-v0") is world_class(f"{one}:Lanterns") is lanterns
    one.unlink()  # as if it had been moved
    assert world_class(f"{two}:Lanterns").env_id == "user/Lanterns-v0"


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("tooldojo/Order-v0", "did you mean 'tooldojo/Orders-v0'"),
        ("nothing/like-it", "no world 'nothing/like-it'"),
        ("no/such/file.py:World", "no file 'no/such/file.py'"),
        ("tooldojo.envs.task:Task", "has no World named 'Task'"),
    ],
)
def test_unknown_worlds_are_named(reference: str, complaint: str) -> None:
    with pytest.raises(LookupError, match=complaint):
        world_class(reference)


def test_messages_beside_calls_are_evidence_and_survive_a_snapshot() -> None:
    world = world_class("tooldojo/Privacy-v0")()
    world.reset(seed=3)
    call = {"name": "find_chart", "arguments": {"name": "x"}}
    world.step({"calls": (call,), "message": "one moment"})
    other = type(world)()
    other.restore(world.snapshot())
    other.step({"calls": (call,), "message": ""})
    other.step({"calls": (), "message": "the end"})
    assert other.evidence().messages == ("one moment",)
    assert other.evidence().answer == "the end"
    assert world.evidence().messages == ("one moment",)


@pytest.mark.parametrize("name", ["step", "state", "calls", "gather", "close"])
def test_a_tool_may_not_hide_what_every_world_has(name: str) -> None:
    def work(self: World) -> str:
        """Do something."""
        return "done"

    hiding = type("Hiding", (Counter,), {name: tool(mutates=False)(work)})
    with pytest.raises(TypeError, match=rf"^Hiding: no tool can be called '{name}'.*rename it"):
        hiding.tool_specs()


def test_all_that_an_instance_holds_is_known() -> None:
    world = Counter()
    world.reset(seed=0)
    own = {name for name in vars(world) if not name.startswith("_")}
    assert own - HELD <= set(vars(World)) | set(dir(World)) | {"total"}
    assert own >= HELD - set(dir(World))


def test_a_class_of_a_user_that_builds_on_another_world_has_its_own_id(tmp_path: Path) -> None:
    path = tmp_path / "derived.py"
    path.write_text(
        "from tooldojo.envs.orders.world import Orders\n\n\nclass Stricter(Orders):\n    pass\n"
    )
    derived = world_class(f"{path}:Stricter")
    assert derived.env_id == "user/Stricter-v0"
    assert world_class("tooldojo/Orders-v0").env_id == "tooldojo/Orders-v0"
    task = take([f"{path}:Stricter"], Split.TRAIN, 0, 1)[0]
    assert task.env == derived.env_id and derived().replay_gold(task).success
