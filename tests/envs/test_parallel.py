"""Several calls in one turn: results in call order, reads that overlap, writes that do not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World, WorldCrash
from tooldojo.verifiers.records import CallOutcome


@register("test/Ledger-v0")
class Ledger(World):
    """A number, with tools that note what else is running. `ticks` are turns of the event loop."""

    def on_load(self) -> None:
        self.running = 0
        self.log: list[str] = []

    async def busy(self, name: str, ticks: int) -> None:
        self.running += 1
        self.log.append(f"+{name}")
        for _ in range(ticks):
            await asyncio.sleep(0)
        self.log.append(f"-{name}")
        self.running -= 1

    @tool(mutates=False)
    async def read(self, name: str, ticks: int) -> int:
        """Read the number, slowly."""
        seen = self.state["number"]
        await self.busy(name, ticks)
        if name == "bug":
            raise KeyError("a bug")
        return seen

    @tool(mutates=False)
    def glance(self) -> int:
        """Read the number at once."""
        return self.state["number"]

    @tool(mutates=True)
    async def add(self, name: str, amount: int, ticks: int) -> int:
        """Add to the number, slowly; 13 is refused after the fact."""
        before = self.state["number"]
        await self.busy(name, ticks)
        self.state["number"] = before + amount
        if amount == 13:
            raise ToolError("13 is refused")
        return self.state["number"]

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        number = rng.randrange(10**6)
        gold = steps(call("add", name="a", amount=1, ticks=0), say=f"Result: {number + 1}")
        return Draft(f"Add 1 to {number}.", {"number": number}, gold)


TASK = replace(Ledger.make_task(0, Split.TRAIN, 1, 0), world={"number": 5})


def started(task: Task = TASK) -> Ledger:
    world = Ledger()
    world.reset(options={"task": task, "max_turns": 99})
    return world


def asked(tool_name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"name": tool_name, "arguments": arguments}


def turn(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"calls": calls, "message": ""}


def test_reads_overlap_and_answer_in_call_order() -> None:
    world = started()
    reads = [asked("read", name=n, ticks=t) for n, t in (("a", 3), ("b", 2), ("c", 1))]
    seen = world.step(turn(*reads, asked("glance")))[0]
    assert seen == ("5", "5", "5", "5")
    assert world.log == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert [c.arguments.get("name") for c in world.calls] == ["a", "b", "c", None]


def test_writes_are_barriers() -> None:
    world = started()
    seen = world.step(
        turn(
            asked("read", name="a", ticks=4),
            asked("add", name="w", amount=2, ticks=3),
            asked("read", name="b", ticks=2),
            asked("read", name="c", ticks=1),
            asked("add", name="x", amount=1, ticks=1),
            asked("add", name="y", amount=1, ticks=0),
        )
    )[0]
    assert seen == ("5", "7", "7", "7", "8", "9")
    in_phases = ["+a", "-a", "+w", "-w", "+b", "+c", "-c", "-b", "+x", "-x", "+y", "-y"]
    assert world.log == in_phases


def test_time_outs_are_counted_in_call_order() -> None:
    world = started(replace(TASK, faults={"read": (1, 2)}))
    reads = [asked("read", name=n, ticks=2) for n in "abcd"]
    world.step(turn(reads[0], asked("read", name="x"), *reads[1:]))
    ok, late, invalid = CallOutcome.OK, CallOutcome.TOOL_ERROR, CallOutcome.INVALID_ARGUMENTS
    assert [c.outcome for c in world.calls] == [ok, invalid, late, late, ok]
    assert world.log == ["+a", "+d", "-a", "-d"]


def test_a_crash_among_reads_leaves_none_running() -> None:
    world = started()
    with pytest.raises(WorldCrash, match="tool 'read' failed: KeyError: 'a bug'"):
        world.step(turn(asked("read", name="bug", ticks=0), asked("read", name="b", ticks=5)))
    assert world.log[-1] == "-b" and world.running == 0


@register("test/Slow-v0")
class Slow(Ledger):
    """Writes in two halves, and a write that Python's == does not see."""

    @tool(mutates=True)
    async def move(self, amount: int) -> None:
        """Take from the number, and much later note it."""
        self.state["number"] -= amount
        await asyncio.sleep(0)
        self.state["moved"] = amount

    @tool(mutates=True)
    def spell(self, word: bool) -> None:
        """Set the number to 1, or to true."""
        self.state["number"] = True if word else 1


def slow(number: int) -> Slow:
    world = Slow()
    world.reset(options={"task": replace(TASK, env=Slow.env_id, world={"number": number})})
    return world


def test_a_write_that_is_cut_off_leaves_no_half() -> None:
    closed = slow(5)
    step = closed.astep(turn(asked("move", amount=2)))
    step.send(None)
    assert closed.state == {"number": 3}
    step.close()
    assert closed.state == {"number": 5} and closed.calls == []

    async def cancelled() -> World:
        world = slow(5)
        step = asyncio.create_task(world.astep(turn(asked("move", amount=2))))
        await asyncio.sleep(0)
        assert world.state == {"number": 3}
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        return world

    assert asyncio.run(cancelled()).state == {"number": 5}


def test_a_change_from_1_to_true_is_a_change() -> None:
    world = slow(1)
    hashes = [world.state_hash()]
    for word in (False, True, True):
        world.step(turn(asked("spell", word=word)))
        hashes.append(world.state_hash())
    assert [call.mutated for call in world.calls] == [False, True, False]
    assert hashes[0] == hashes[1] != hashes[2] == hashes[3]


TICKS = st.integers(0, 3)
CALLS = st.one_of(
    st.builds(lambda ticks: asked("read", name="r", ticks=ticks), TICKS),
    st.builds(
        lambda amount, ticks: asked("add", name="w", amount=amount, ticks=ticks),
        st.sampled_from([1, 2, 13]),
        TICKS,
    ),
    st.sampled_from([asked("glance"), asked("read", name="r"), asked("nothing")]),
)


@settings(max_examples=60, deadline=None)
@given(calls=st.lists(CALLS, max_size=8))
def test_a_turn_equals_its_calls_one_by_one(calls: list[dict[str, Any]]) -> None:
    task = replace(TASK, faults={"read": (1,), "add": (0, 2)})
    together, alone = started(task), started(task)
    seen = together.step(turn(*calls, asked("glance")))[0]
    one_by_one = [alone.step(turn(each))[0][0] for each in (*calls, asked("glance"))]
    assert list(seen) == one_by_one
    assert together.state == alone.state
    assert [replace(c, turn=0) for c in together.calls] == [replace(c, turn=0) for c in alone.calls]
