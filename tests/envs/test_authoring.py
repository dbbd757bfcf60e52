"""Worlds made of functions: the same schemas, calls and verdicts as a class, in few lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Literal

import pytest

from tooldojo import Draft, Split, ToolError, World, call, register, steps, tool, world
from tooldojo.envs.gates.check import check_world
from tooldojo.envs.source import take
from tooldojo.verifiers.criteria import Component
from tooldojo.verifiers.records import Evidence


@tool(mutates=False, idempotent=True, deadline=3)
async def look(state: dict[str, Any], shelf: str) -> int:
    """How many books a shelf has.

    Args:
        shelf: its name
    """
    if shelf not in state:
        raise ToolError(f"no shelf {shelf}")
    await asyncio.sleep(0)
    return state[shelf]


@tool(mutates=True)
def put(state: dict[str, Any], shelf: str, books: int, side: Literal["a", "b"] = "a") -> str:
    """Put books on a shelf."""
    state[shelf] = state.get(shelf, 0) + books  # before the refusal, which takes it back
    if state[shelf] > 100:
        raise ToolError(f"shelf {shelf} is full")
    return side


def draft(rng: Random, level: int) -> Draft:
    shelf, books = f"S{rng.randrange(10**6)}", rng.randint(1, 20)
    calls = call("look", shelf=shelf), call("put", shelf=shelf, books=books)
    gold = steps(*calls, say=f"Result: {shelf} {books + level}")
    prompt = f"Put {books} books on {shelf}, then tell {books} + {level}."
    return Draft(prompt, {shelf: rng.randint(0, 50)}, gold)


Shelves = register("test/Shelves-v0")(
    world("Shelves", draft=draft, tools=[look, put], levels=(1, 2), system_prompt="Keep shelves.")
)


def test_schemas_are_those_of_a_class() -> None:
    class Written(World):
        @tool(mutates=False, idempotent=True, deadline=3)
        async def look(self, shelf: str) -> int:
            """How many books a shelf has.

            Args:
                shelf: its name
            """
            return self.state[shelf]

        @tool(mutates=True)
        def put(self, shelf: str, books: int, side: Literal["a", "b"] = "a") -> str:
            """Put books on a shelf."""
            return side

    ours, theirs = Shelves.tool_specs(), Written.tool_specs()
    assert list(ours) == ["look", "put"]
    for name, spec in ours.items():
        assert spec == theirs[name]
        assert "state" not in spec.fields
    assert ours["look"].is_async and not ours["look"].mutates and ours["put"].mutates


def test_calls_change_the_state_and_refusals_do_not() -> None:
    (task,) = take(["test/Shelves-v0"], Split.TRAIN, 0, 1)
    shelves = Shelves()
    shelves.reset(options={"task": task})
    (shelf, books) = next(iter(task.world.items()))
    wanted = [("look", {"shelf": shelf}), ("put", {"shelf": shelf, "books": 7, "side": "b"})]
    wanted += [("put", {"shelf": shelf, "books": 999}), ("put", {"shelf": shelf, "books": "7"})]
    calls = [{"name": name, "arguments": arguments} for name, arguments in wanted]
    results = shelves.step({"calls": calls, "message": ""})[0]
    assert results[:3] == (str(books), "b", f'{{"error": "shelf {shelf} is full"}}')
    assert "valid integer" in results[3]
    assert shelves.state == {shelf: books + 7}  # type: ignore[operator]


def test_it_passes_the_checks_and_keeps_its_settings() -> None:
    assert (Shelves.levels, Shelves.system_prompt) == ((1, 2), "Keep shelves.")
    assert (Shelves.__name__, Shelves.__module__) == ("Shelves", __name__)
    assert check_world("test/Shelves-v0", tasks=4) == []


def test_a_criterion_of_ones_own_judges_what_was_gathered() -> None:
    def odd(evidence: Evidence) -> Component:
        return Component(float(evidence.gathered["sum"] == 8))

    made = register("test/Summed-v0")(
        world(
            "Summed",
            draft=lambda rng, level: Draft("Put 7.", {"x": 1, "n": rng.random()}, steps(
                call("put", shelf="x", books=7), say="Done.")),
            tools=[put],
            verifier=odd,
            gather=lambda state: {"sum": state["x"]},
        )
    )  # fmt: skip
    (task,) = take(["test/Summed-v0"], Split.TRAIN, 0, 1)
    assert made().replay_gold(task).components == {"solved": 1.0}
    idle = made()
    idle.reset(options={"task": task})
    assert idle.step({"calls": (), "message": "Done."})[1] == 0.0


def unmarked(state: dict) -> None:
    """Look."""


@tool(mutates=False)
def stateless() -> None:
    """Look."""


@tool(mutates=False)
def reset(state: dict) -> None:
    """A name that every World has."""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: world("No name", draft=draft, tools=[look]), "'No name' is no name for a world"),
        (lambda: world("X", draft=draft, tools=[unmarked]), "no tool; mark a function with @tool"),
        (lambda: world("X", draft=draft, tools=[stateless]), "'stateless' takes no state"),
        (lambda: world("X", draft=draft, tools=[look, look]), "'look' stands for two"),
        (lambda: world("X", draft=draft, tools=[look], level=(1,)), "did you mean 'levels'"),
        (lambda: world("X", draft=draft, tools=[look], state={}), "there are capabilities, "),
        (lambda: world("X", draft=draft, tools=[reset]).tool_specs(), "'reset', for that is some"),
        (lambda: world("X", draft=draft, tools=[]).tool_specs(), "X has no tools"),
    ],
)
def test_what_cannot_be_a_world_is_named(make: Callable[[], object], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        make()
