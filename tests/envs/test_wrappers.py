"""Wrapped worlds: the reference, what the model sees, what the verifier sees, and when."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from random import Random
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, tool, tool_spec
from tooldojo.envs.world import World
from tooldojo.envs.wrappers.flaky import with_failures
from tooldojo.envs.wrappers.names import SYNONYMS, renamed, rewriter
from tooldojo.envs.wrappers.reshaped import ReshapedSpec, Shape, reshape
from tooldojo.envs.wrappers.settings import Latency, Wrappers
from tooldojo.verifiers.criteria import call_match
from tooldojo.verifiers.records import CallOutcome, ExpectedCall, StopReason

TRAVEL, ORDERS = "tooldojo/Travel-v0", "tooldojo/Orders-v0"


def started(task: Task, **options: Any) -> World:
    world = world_class(task.env)()
    world.reset(options={"task": task, **options})
    return world


def turn(*calls: tuple[str, dict[str, Any]], message: str = "") -> dict:
    return {"calls": tuple({"name": n, "arguments": a} for n, a in calls), "message": message}


def calls_of(gold: Any) -> list[Call]:
    return [each for turn in gold for each in turn.calls]


# The reference


def test_one_world_has_one_id() -> None:
    world = world_class(f"{ORDERS}?seed=3&rename=1&flaky=0.20&nest=0")
    assert world.env_id == f"{ORDERS}?flaky=0.2&rename=1&seed=3"
    assert world_class(world.env_id) is world and issubclass(world, world_class(ORDERS))
    assert world_class(f"{ORDERS}?seed=3") is world_class(f"{ORDERS}?") is world_class(ORDERS)


@pytest.mark.parametrize(
    ("query", "error", "complaint"),
    [
        ("flakey=0.2", LookupError, "no wrapper 'flakey'; did you mean 'flaky'?"),
        ("x=1", LookupError, "There are flaky, rename, params, strings, nest, shuffle,"),
        ("flaky=0.95", ValueError, "wrapper flaky='0.95': it takes a number, 0 to 0.9"),
        ("flaky=nan", ValueError, "wrapper flaky='nan'"),
        ("rename=yes", ValueError, "wrapper rename='yes': it takes an integer, 0 or 1"),
        ("rename", ValueError, "wrapper rename=''"),
        ("turns=2.5", ValueError, "wrapper turns='2.5': it takes an integer, 0 to 100"),
        ("nest=1&nest=1", ValueError, "wrapper 'nest' is given twice"),
        ("latency=61", ValueError, "latency='61': it takes seconds, a mean of 0 to 60 or a range"),
        ("latency=2-0.2", ValueError, "such as 0.2-2 within 0 to 120"),
        ("latency=1-121", ValueError, "wrapper latency='1-121'"),
        ("latency=-1", ValueError, "wrapper latency='-1'"),
        ("latency=1-", ValueError, "wrapper latency='1-'"),
        ("latency=nan", ValueError, "wrapper latency='nan'"),
        ("distractors=99", ValueError, "distractors=99: other worlds have"),
    ],
)
def test_bad_wrappers_are_named(query: str, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint.replace("?", r"\?")):
        world_class(f"test/Valve-v0?{query}")


SECONDS = st.floats(0, 120).map(lambda x: round(x, 6))


@given(
    st.builds(
        Wrappers,
        flaky=st.floats(0, 0.9).map(lambda x: round(x, 6)),
        rename=st.booleans(),
        distractors=st.integers(0, 20),
        latency=st.tuples(SECONDS, SECONDS).map(lambda bounds: Latency(*sorted(bounds)))
        | st.builds(Latency, high=SECONDS),
        turns=st.integers(1, 100),
        seed=st.integers(0, 10**6 - 1),
    )
)
def test_the_spelling_reads_back(wrappers: Wrappers) -> None:
    assert Wrappers.parse(str(wrappers)) == wrappers


def test_another_process_builds_the_same_world_from_the_string() -> None:
    reference = f"{ORDERS}?flaky=0.3&rename=1&params=1&shuffle=1&distractors=2&seed=9"
    code = (
        "import json\nfrom tooldojo.envs.source import take\n"
        "from tooldojo.envs.registry import world_class\n"
        f"task = take([{reference!r}], 'train', 1, 1)[0]\n"
        f"names = [s.schema for s in world_class({reference!r}).tool_specs().values()]\n"
        "print(json.dumps([task.id, task.to_json(), names]))"
    ).replace("'train'", "__import__('tooldojo.envs.task', fromlist=['Split']).Split.TRAIN")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    task = take([reference], Split.TRAIN, 1, 1)[0]
    schemas = [spec.schema for spec in world_class(reference).tool_specs().values()]
    assert json.loads(done.stdout) == json.loads(json.dumps([task.id, task.to_json(), schemas]))


def test_tasks_are_those_of_the_base_under_another_id() -> None:
    wrapped = f"{TRAVEL}?flaky=0.3&rename=1&params=1&strings=1&nest=1&seed=2"
    for split in (Split.TRAIN, Split.TEST):
        for plain, other in zip(
            take([TRAVEL], split, 5, 9), take([wrapped], split, 5, 9), strict=True
        ):
            assert (plain.prompt, plain.world, plain.goal) == (
                other.prompt, other.world, other.goal,
            )  # fmt: skip
            assert (other.env, other.split) == (wrapped, split) and other.id != plain.id


def test_tasks_of_several_wrappings_mix() -> None:
    source = GeneratedTasks([ORDERS, f"{ORDERS}?rename=1"], Split.TRAIN, 0)
    assert [source.next().task.env for _ in range(4)] == [ORDERS, f"{ORDERS}?rename=1"] * 2


# Names


def test_renamed_tools_answer_only_to_their_new_names() -> None:
    world = world_class(f"{TRAVEL}?rename=1&seed=4")
    old, new = list(world_class(TRAVEL).tool_specs()), list(world.tool_specs())
    assert len(set(new)) == len(old) and not set(new) & set(old)
    task = next(t for t in take([world.env_id], Split.TRAIN, 0, 30) if calls_of(t.gold))
    played = started(task)
    assert played.step(turn((old[0], {})))[4]["outcomes"] == ["unknown_tool"]
    played.replay_gold(task)
    assert {c.name for c in played.calls} <= set(new)
    assert {c.name for c in played.evidence().calls} <= set(old)


def test_the_system_prompt_and_thoughts_speak_of_the_new_names() -> None:
    world = world_class("tooldojo/Database-v0?rename=1")
    names = dict(zip(world_class("tooldojo/Database-v0").tool_specs(), world.tool_specs(),
                     strict=True))  # fmt: skip
    assert f"call {names['describe_table']} before" in world.system_prompt
    said = world.system_prompt + "".join(
        turn.thought for t in take([world.env_id], Split.TRAIN, 0, 20) for turn in t.gold
    )
    assert not any(old in said for old in names)


@given(st.lists(st.sampled_from([*SYNONYMS, "get_order", "x"]), unique=True), st.integers(0, 99))
def test_a_renaming_is_one_to_one(names: list[str], seed: int) -> None:
    found = renamed(names, "use", seed)
    assert list(found) == names and len({*found.values(), *names}) == 2 * len(names)
    assert found == renamed(names, "use", seed)


def test_common_words_are_not_taken_for_names() -> None:
    rewrite = rewriter({"add": "append", "get_order": "read_sale"})
    assert rewrite("Add one, add two: `add`, add(1), get_order.") == (
        "Add one, add two: `append`, append(1), read_sale."
    )
    assert rewrite("The call of add timed out") == "The call of append timed out"


# Shapes


class Valve(World):
    """Tools with all kinds of parameters."""

    @tool(mutates=True)
    def turn_to(self, degrees: Annotated[int, Field(ge=0, le=90)], rate: float = 0.5) -> str:
        """Turn the valve."""
        self.state["degrees"] = degrees
        return f"{degrees} at {rate}"

    @tool(mutates=False)
    def check(self, names: list[str], strict: bool = False) -> str:
        """Check parts; call turn_to first."""
        raise ToolError("call turn_to first")

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        degrees, tag = rng.randrange(90), rng.randrange(10**6)
        gold = steps(call("turn_to", degrees=degrees), say=f"Result: {tag}")
        return Draft(f"Valve {tag}: {degrees}.", {"degrees": 91, "tag": tag}, gold)


register("test/Valve-v0")(Valve)
SHAPED = "test/Valve-v0?params=1&strings=1&nest=1&rename=1"


def test_a_goal_of_calls_is_judged_in_the_bases_terms() -> None:
    task, plain = (
        world_class(reference).make_task(0, Split.TRAIN, 1, 0)
        for reference in (SHAPED, "test/Valve-v0")
    )
    wanted, said = calls_of(plain.gold)[0], calls_of(task.gold)[0]
    assert list(said.arguments) == ["request"] and said.name != "turn_to"
    world = started(task)
    assert world.replay_gold(task).success and world.calls[0].arguments == said.arguments
    assert world.evidence().calls[0].arguments == wanted.arguments
    goal = replace(task.goal, calls=(ExpectedCall(wanted.name, wanted.arguments),))
    assert call_match(world.evidence(), goal).value == 1.0


def test_errors_speak_of_the_new_shape() -> None:
    world = started(world_class(SHAPED).make_task(0, Split.TRAIN, 1, 0))
    turn_to, check = world.tool_specs()
    inside = list(world.tool_specs()[turn_to].fields["request"]["properties"])  # type: ignore[arg-type]
    degrees = inside[0]
    for arguments, complaint in (
        ({}, "request: field required"),
        ({"request": 5}, "request: input should be an object"),
        ({"request": {}, "degrees": "5"}, "degrees: extra inputs are not permitted"),
        ({"request": {"degrees": "5"}}, "request.degrees: extra inputs are not permitted"),
        ({"request": {}}, f"request.{degrees}: field required"),
        ({"request": {degrees: 5}}, f"request.{degrees}: input should be a string that holds"),
        ({"request": {degrees: "5.5"}}, "string that holds a valid integer"),
        ({"request": {degrees: "91"}}, f"request.{degrees}: input should be less than or equal"),
    ):
        seen, *_, info = world.step(turn((turn_to, arguments)))
        assert complaint in seen[0] and info["outcomes"] == ["invalid_arguments"]
        world.turn = 0
    seen = world.step(turn((turn_to, {"request": {degrees: "5"}})))[0]
    assert seen == ("5 at 0.5",) and world.state["degrees"] == 5
    names = next(iter(world.tool_specs()[check].fields["request"]["properties"]))  # type: ignore[arg-type]
    seen = world.step(turn((check, {"request": {names: []}})))[0]
    assert json.loads(seen[0])["error"] == f"call {turn_to} first"
    assert turn_to in world.tool_specs()[check].description


def test_the_schema_shows_the_shape() -> None:
    shape = Shape("spin", {"degrees": "angle"}, strings=True, nest="request")
    spec = reshape(tool_spec(Valve.turn_to), shape, lambda text: text.replace("Turn", "Spin"))
    angle = {"maximum": 90, "minimum": 0, "type": "string", "format": "integer"}
    rate = {"default": "0.5", "type": "string", "format": "number"}
    inside = {"type": "object", "properties": {"angle": angle, "rate": rate}, "required": ["angle"]}
    assert spec.schema["function"] == {
        "name": "spin",
        "description": "Spin the valve.",
        "parameters": {"type": "object", "properties": {"request": inside},
                       "required": ["request"]},
    }  # fmt: skip


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(
    degrees=st.integers(0, 90),
    rate=st.none() | FINITE,
    names=st.lists(st.text(max_size=5), max_size=3),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_arguments_come_back(
    degrees: int, rate: float | None, names: list[str], flags: tuple[bool, bool, bool]
) -> None:
    params = {"degrees": "angle", "rate": "speed", "names": "titles"} if flags[0] else {}
    shape = Shape("other", params, flags[1], "request" if flags[2] else None)
    turning: dict[str, Any] = {"degrees": degrees} | ({} if rate is None else {"rate": rate})
    checking: dict[str, Any] = {"names": names}
    for function, arguments in ((Valve.turn_to, turning), (Valve.check, checking)):
        inner = tool_spec(function)
        spec: ReshapedSpec = reshape(inner, shape)
        outer = spec.outward(arguments)
        assert spec.inward(outer) == arguments
        assert spec.validate(outer) == inner.validate(arguments)


@pytest.mark.parametrize(
    ("rate", "text"),
    [(24.9, "24.9"), (5.0, "5"), (1e-7, "0.0000001"), (0.1 + 0.2, "0.30000000000000004")],
)
def test_numbers_are_spelled_as_short_as_they_can(rate: float, text: str) -> None:
    spec = reshape(tool_spec(Valve.turn_to), Shape("turn_to", {}, strings=True))
    assert spec.outward({"rate": rate}) == {"rate": text}


@pytest.mark.parametrize("digits", [310, 400])
def test_a_number_too_large_for_a_float_is_refused(digits: int) -> None:
    spec = reshape(tool_spec(Valve.turn_to), Shape("turn_to", {}, strings=True))
    with pytest.raises(ToolError, match="rate: input should be"):
        spec.validate({"degrees": "5", "rate": "9" * digits})


@register("test/Dam-v0")
class Dam(Valve):
    """Descriptions that name tools and parameters."""

    @tool(mutates=True)
    def open_gate(self, flow_rate: float, max_rate: float = 1.0) -> str:
        """Open as far as flow_rate says.

        Args:
            flow_rate: as read_flow gives it, at most max_rate
        """
        return f"{flow_rate} of {max_rate}"

    @tool(mutates=False)
    def read_flow(self) -> float:
        """The flow, for open_gate."""
        return 1.0


def test_descriptions_name_no_old_name() -> None:
    old = ("flow_rate", "max_rate", "open_gate", "read_flow")
    for query, gone in (("params=1", old[:2]), ("rename=1", old[2:]), ("params=1&rename=1", old)):
        specs = world_class(f"test/Dam-v0?{query}&nest=1").tool_specs().values()
        text = json.dumps([spec.schema for spec in specs])
        assert [name for name in old if not re.search(rf"\b{name}\b", text)] == list(gone)


# Failures, delays, limits, distractors


def test_flaky_gold_repeats_the_calls_that_fail() -> None:
    one, two = (GoldTurn("go", (Call("a", {"n": n}),)) for n in (1, 2))
    both = GoldTurn("", (Call("a", {"n": 3}), Call("b", {})))
    end = GoldTurn("", (), "Result: x")
    again = replace(one, thought="The call of a timed out, so I try the same call again.")
    gold = [one, again, two, both, end]  # the first call of `a` fails by the task itself
    for seed in range(60):
        timed = with_failures(gold, {"a": (0,)}, ["a", "b"], 0.4, 3, seed)
        calls = [c for each in timed.gold for c in each.calls]
        ran = {"a": 0, "b": 0}
        succeeded = []
        for each in calls:
            if ran[each.name] not in timed.faults.get(each.name, ()):
                succeeded.append(each)
            ran[each.name] += 1
        assert succeeded == [one.calls[0], two.calls[0], *both.calls]
        assert len(gold) <= len(timed.gold) <= len(gold) + 3 and 0 in timed.faults["a"]
    draws = [
        with_failures([end], {}, ["a"], 0.25, 0, seed).faults.get("a", ()) for seed in range(200)
    ]
    assert 0.22 < sum(map(len, draws)) / (200 * 32) < 0.28
    assert with_failures(gold, {"a": (0,)}, ["a", "b"], 0.0, 3, 1).gold == gold


def test_a_flaky_call_fails_before_anything_ran() -> None:
    task = next(
        t
        for t in take([f"{TRAVEL}?flaky=0.5&seed=1"], Split.TRAIN, 0, 60)
        if any(c.name == "book_flight" for c in calls_of(t.gold))
        if 0 in t.faults.get("book_flight", ())
    )
    world = started(task, max_turns=50)
    for played in task.gold:
        booking = [c for c in played.calls if c.name == "book_flight"]
        before = json.dumps(world.state)
        seen = world.step(turn(*((c.name, c.arguments) for c in played.calls)))[0]
        if booking:
            assert seen == ('{"error": "book_flight timed out, try again"}',)
            assert json.dumps(world.state) == before
            assert world.calls[-1].outcome is CallOutcome.TOOL_ERROR
            return
    raise AssertionError("the gold books nothing")


def test_latency_takes_time_and_holds_no_thread() -> None:
    world = world_class(f"{TRAVEL}?latency=0.05")
    assert all(spec.is_async for spec in world.tool_specs().values()) and not world.slow_tools
    task = take([world.env_id], Split.TRAIN, 0, 1)[0]
    reads = [("get_weather", {"city": "X", "date": str(n)}) for n in range(40)]
    played = started(task)
    began = time.perf_counter()
    played.step(turn(*reads))
    took = time.perf_counter() - began
    assert 0.05 < took < 1.5  # the longest of forty waits of 0.05 s on average, not their sum


@pytest.mark.parametrize(
    ("said", "spelled", "low", "high"),
    [
        ("0.20-2.0", "0.2-2", 0.2, 2.0),
        ("1.1", "1.1", 0.0, 2.2),
        ("0-2.2", "1.1", 0.0, 2.2),
        ("0-0.000003", "0.0000015", 0.0, 0.000003),
        ("5e-1", "0.5", 0.0, 1.0),
        ("3-3", "3-3", 3.0, 3.0),
    ],
)
def test_latency_is_a_mean_or_a_range(said: str, spelled: str, low: float, high: float) -> None:
    world = world_class(f"{ORDERS}?latency={said}")
    assert world.env_id == f"{ORDERS}?latency={spelled}"
    assert Latency.parse(said) == Latency.parse(spelled) == Latency(low, high)
    assert not Latency.parse("0") and world_class(f"{ORDERS}?latency=0-0") is world_class(ORDERS)


def test_latency_is_drawn_for_each_call_from_the_whole_range() -> None:
    latency, calls = Latency(0.2, 2.0), [{"id": str(n)} for n in range(2000)]
    drawn = [latency.seconds(0, "state", "look", each) for each in calls]
    assert drawn == [latency.seconds(0, "state", "look", each) for each in calls]
    assert 0.2 <= min(drawn) < 0.21 and 1.99 < max(drawn) <= 2.0
    assert sum(drawn) / len(drawn) == pytest.approx(1.1, abs=0.04)  # three standard errors
    changed = [(1, "state", "look"), (0, "other", "look"), (0, "state", "seek")]
    assert len({drawn[0], *(latency.seconds(*each, calls[0]) for each in changed)}) == 4


def test_a_call_takes_what_was_drawn_for_it() -> None:
    played = started(take([f"{ORDERS}?latency=0.2-0.4"], Split.TRAIN, 0, 1)[0])
    arguments = {"product": "x"}
    drawn = Latency(0.2, 0.4).seconds(0, played.hashes[-1], "get_product", arguments)
    began = time.perf_counter()
    played.step(turn(("get_product", arguments)))
    assert drawn <= time.perf_counter() - began < drawn + 1.0


def test_a_demonstration_does_not_wait() -> None:
    began = time.perf_counter()
    task = take([f"{ORDERS}?latency=60-60"], Split.TRAIN, 0, 1)[0]
    world = started(task)
    assert len(task.gold) > 1 and world.replay_gold(task).success and not world.proving
    assert time.perf_counter() - began < 60


def test_turns_hold_whatever_a_recipe_allows() -> None:
    world = world_class(f"{ORDERS}?turns=4")
    tasks = take([world.env_id], Split.TRAIN, 0, 40)
    assert world.max_turns == 4 and max(len(task.gold) for task in tasks) == 4
    played = started(tasks[0], max_turns=20)
    for number in range(4):
        truncated = played.step(turn(("get_product", {"product": "x"})))[3]
        assert truncated == (number == 3)
    assert played.stop is StopReason.MAX_TURNS
    with pytest.raises(
        LookupError, match=r"no task of level 3 can be done in 1 turns; raise turns"
    ):
        world_class(f"{ORDERS}?turns=1").draft(Random(0), 3)


def test_distractors_stand_among_the_tools_and_do_nothing() -> None:
    base = set(world_class(ORDERS).tool_specs())
    world = world_class(f"{ORDERS}?distractors=6&shuffle=1&seed=1")
    extra = [name for name in world.tool_specs() if name not in base]
    assert len(extra) == 6 and set(world.tool_specs()) >= base
    assert list(world.tool_specs())[7:] != extra
    played = started(take([world.env_id], Split.TRAIN, 0, 1)[0], max_turns=50)
    answers = set()
    for name in extra:
        fields = world.tool_specs()[name].fields
        arguments = {
            key: 1 if value.get("type") == "integer" else "x" for key, value in fields.items()
        }
        answers.add(played.step(turn((name, arguments)))[0][0].replace(name, "it"))
        assert not played.calls[-1].mutated
    assert answers == {"none", '{"error": "it is not available here"}'}
    assert played.state == played.task.world


def test_another_seed_is_another_wrapping() -> None:
    def seen(seed: int) -> list[str]:
        return list(world_class(f"{ORDERS}?rename=1&shuffle=1&seed={seed}").tool_specs())

    assert seen(1) == seen(1) and seen(1) != seen(2)


def test_distractors_come_from_fixed_worlds() -> None:
    donors = ("tooldojo/Orders-v0", "tooldojo/Travel-v0", "tooldojo/Database-v0")
    names = {name for donor in donors for name in world_class(donor).tool_specs()}
    world = world_class(f"test/Valve-v0?distractors={len(names)}")
    assert set(world.tool_specs()) == names | {"turn_to", "check"}
    with pytest.raises(ValueError, match=f"other worlds have {len(names)} tools"):
        world_class(f"test/Valve-v0?distractors={len(names) + 1}")
