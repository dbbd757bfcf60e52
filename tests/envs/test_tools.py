"""Tools: schemas from hints and docstrings, strict validation, and samples that always validate."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.orders.world import Orders
from tooldojo.envs.spaces import Message, ToolCallSpace, sample_arguments
from tooldojo.envs.tools import ToolError, ToolSpec, tool, tool_spec


class Mode(StrEnum):
    SLOW = "slow"
    FAST = "fast"


class Point(pydantic.BaseModel):
    x: int
    label: Literal["a", "b"] | None = None


class Bench:
    """Carries one tool for each kind of parameter."""

    @tool(mutates=True, idempotent=True)
    def plain(self, name: str, count: int, ratio: float = 0.5, loud: bool = False) -> str:
        """Do something plain.

        More words that the model need not read.

        Args:
            name: what it is called
            count: how often
        """
        return name * count

    @tool(mutates=False)
    def rich(
        self,
        kind: Literal["red", "blue"],
        mode: Mode,
        level: Annotated[int, pydantic.Field(ge=1, le=3)],
        points: list[Point],
        note: str | None = None,
    ) -> int:
        """Do something rich."""
        return level

    @tool(mutates=False)
    async def slow(self) -> str:
        """Take a while."""
        return "done"

    @tool(mutates=False)
    def when(self, day: date) -> str:
        """Say the day."""
        return day.isoformat()


PLAIN, RICH, SLOW, WHEN = map(tool_spec, (Bench.plain, Bench.rich, Bench.slow, Bench.when))
SPECS = [PLAIN, RICH, SLOW, *Orders.tool_specs().values()]


def test_schema_is_short_and_complete() -> None:
    assert PLAIN.schema == {
        "type": "function",
        "function": {
            "name": "plain",
            "description": "Do something plain.",
            "parameters": {
                "type": "object",
                "properties": {
                    "name": {"description": "what it is called", "type": "string"},
                    "count": {"description": "how often", "type": "integer"},
                    "ratio": {"default": 0.5, "type": "number"},
                    "loud": {"default": False, "type": "boolean"},
                },
                "required": ["name", "count"],
            },
        },
    }
    assert (PLAIN.mutates, PLAIN.idempotent, PLAIN.is_async) == (True, True, False)
    assert SLOW.is_async and SLOW.parameters == {"type": "object", "properties": {}}


def test_orders_schema_names_the_reasons() -> None:
    properties = Orders.tool_specs()["refund_item"].parameters["properties"]
    assert isinstance(properties, dict)
    assert properties["reason"] == {"enum": ["damaged", "unwanted"], "type": "string"}


def test_defaults_are_filled_in() -> None:
    checked = PLAIN.validate({"name": "a", "count": 2})
    assert checked == {"name": "a", "count": 2, "ratio": 0.5, "loud": False}
    assert PLAIN.validate({"name": "a", "count": 2, "ratio": 1})["ratio"] == 1.0


def test_json_spells_enums_dates_and_models() -> None:
    arguments = {"kind": "red", "mode": "fast", "level": 2, "points": [{"x": 1}]}
    checked = RICH.validate(arguments)  # type: ignore[arg-type]
    assert checked["mode"] is Mode.FAST
    assert checked["points"] == [Point(x=1)]
    assert WHEN.validate({"day": "2024-02-29"}) == {"day": date(2024, 2, 29)}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"name": "a"}, "count: field required"),
        ({"name": "a", "count": "2"}, "count: input should be a valid integer"),
        ({"name": "a", "count": 2.5}, "count: input should be a valid integer"),
        ({"name": "a", "count": True}, "count: input should be a valid integer"),
        ({"name": 1, "count": 2}, "name: input should be a valid string"),
        ({"name": None, "count": 2}, "name: input should be a valid string"),
        ({"name": "a", "count": 2, "size": 3}, "size: extra inputs are not permitted"),
        ({"name": "a", "count": 2, "loud": "yes"}, "loud: input should be a valid boolean"),
        ({"name": "\ud800", "count": 2}, "invalid json"),
        ([], "arguments: input should be an object"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        PLAIN.validate(arguments)


def test_limits_and_choices_hold() -> None:
    good = {"kind": "red", "mode": "fast", "level": 2, "points": []}
    for name, value in {
        "kind": "green",
        "mode": "warp",
        "level": 4,
        "points": [{"x": "1"}],
    }.items():
        with pytest.raises(ToolError, match=f"^{name}"):
            RICH.validate({**good, name: value})  # type: ignore[dict-item]


def test_a_tool_must_explain_itself() -> None:
    @tool(mutates=False)
    def silent(self: object, name: str) -> str:
        return name

    @tool(mutates=False)
    def vague(self, name) -> str:  # type: ignore[no-untyped-def]
        """Say it."""
        return name

    with pytest.raises(TypeError, match="'silent' has no docstring"):
        tool_spec(silent)
    with pytest.raises(TypeError, match="'vague': parameter 'name' lacks a type hint"):
        tool_spec(vague)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(SPECS), st.integers(0, 2**32 - 1))
def test_samples_validate(spec: ToolSpec, seed: int) -> None:
    arguments = sample_arguments(spec.parameters, np.random.default_rng(seed))
    assert {*spec.validate(arguments), "other"} == set(names_of(spec))


def names_of(spec: ToolSpec) -> list[str]:
    properties = spec.parameters["properties"]
    assert isinstance(properties, dict)
    return [*properties, "other"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(SPECS), st.data())
def test_any_arguments_validate_or_are_refused(spec: ToolSpec, data: st.DataObject) -> None:
    arguments = data.draw(st.dictionaries(st.sampled_from(names_of(spec)), VALUES, max_size=4))
    space = ToolCallSpace([spec])
    try:
        spec.validate(arguments)
    except ToolError as error:
        assert str(error)
        assert not space.contains({"name": spec.name, "arguments": arguments})
    else:
        assert space.contains({"name": spec.name, "arguments": arguments})


def test_call_space() -> None:
    space = ToolCallSpace(SPECS, seed=4)
    drawn = [space.sample() for _ in range(100)]
    assert all(space.contains(call) for call in drawn)
    assert {str(call["name"]) for call in drawn} == {spec.name for spec in SPECS}
    again = ToolCallSpace(SPECS, seed=4)
    assert space == again and drawn == [again.sample() for _ in range(100)]
    for wrong in (None, {}, {"name": "slow"}, {"name": "fast", "arguments": {}}):
        assert not space.contains(wrong)
    assert not space.contains({"name": "slow", "arguments": []})
    assert not space.contains({"name": "slow", "arguments": {"x": 1}})


def test_message_space() -> None:
    space = Message(max_length=30, seed=1)
    assert all(space.contains(space.sample()) for _ in range(100))
    assert space.contains("two words, 漢字 and a\nline")
    assert not space.contains("x" * 31)
    assert not space.contains(3)
    assert space == Message(30) != Message(31)
