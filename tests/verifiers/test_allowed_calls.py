"""Calls against allowed values: equality of JSON values, nested options, matching."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.allowed_calls import (
    AllowedCall,
    allowed_calls,
    allows,
    matching_refusal,
    refusal,
    same_loosely,
)
from tooldojo.verifiers.criteria import MissingGoal
from tooldojo.verifiers.records import (
    CallOutcome,
    Evidence,
    Goal,
    Json,
    StopReason,
    ToolCall,
)

AREA = AllowedCall("area", {"base": [10], "height": [5, 5.5], "unit": ["cm", ""]})
scalars = st.sampled_from([True, False, 0, 1, -2, 1.5, "", "a", "A", "1", None])


@pytest.mark.parametrize(
    ("options", "value", "right"),
    [
        ([1], 1.0, True),
        ([1.5], 1.5, True),
        ([True], 1, False),
        ([1], True, False),
        (["1"], 1, False),
        (["Paris"], "paris", False),
        ([[1, 2]], [1, 2], True),
        ([[1, 2]], [2, 1], False),
        ([[1, 2], [2, 1]], [2, 1], True),
        ([{"a": [1, 2], "b": ["x", ""]}], {"a": 2}, True),
        ([{"a": [1, 2], "b": ["x", ""]}], {"b": "x"}, False),
        ([{"a": [1]}], {"a": 1, "c": 1}, False),
        ([[{"a": [1, 3]}, {"a": [2]}]], [{"a": 3}, {"a": 2}], True),
        ([[{"a": [1, 3]}, {"a": [2]}]], [{"a": 2}, {"a": 2}], False),
        ([{"a": 1}], {"a": 1}, True),
        (["a"], ["a"], False),
        ([None], None, True),
    ],
)
def test_a_value_is_one_of_the_options(options: list[Json], value: Json, right: bool) -> None:
    assert allows(options, value) is right


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("New York, NY", "newyork ny", True),
        ("it's", 'it"s', True),
        ("a!b", "ab", False),
        ("5", 5, False),
        (5.0, 5, True),
    ],
)
def test_loose_equality_is_of_letters(one: Json, other: Json, same: bool) -> None:
    assert same_loosely(one, other) is same


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("area", {"base": 10, "height": 5}, ""),
        ("area", {"base": 10, "height": 5.5, "unit": "cm"}, ""),
        ("volume", {"base": 10, "height": 5}, "volume instead of area"),
        ("area", {"base": 11, "height": 5}, "area gets base=11"),
        ("area", {"base": 10}, "area lacks height"),
        ("area", {"base": 10, "height": 5, "x": 1}, "area gets x, which nobody asked for"),
        ("area", {"base": 10, "height": 5, "unit": ""}, ""),
    ],
)
def test_a_refusal_says_why(name: str, arguments: dict[str, Json], why: str) -> None:
    assert refusal(name, arguments, AREA) == why


def test_matching_finds_a_pairing_that_greed_misses() -> None:
    wanted = [AllowedCall("f", {"x": [1, 2]}), AllowedCall("f", {"x": [1]})]
    assert matching_refusal([("f", {"x": 1}), ("f", {"x": 2})], wanted) == ""
    assert (
        matching_refusal([("f", {"x": 2}), ("f", {"x": 2})], wanted)
        == "f is one call too many of its kind"
    )
    assert matching_refusal([("f", {"x": 1})], wanted) == "1 calls instead of 2"
    twice = [AllowedCall("f", {"x": [1]}), AllowedCall("g", {})]
    why = matching_refusal([("f", {"x": 1}), ("f", {"x": 1})], twice)
    assert why == "f is one call too many of its kind"


@given(
    st.lists(st.dictionaries(st.sampled_from("xy"), scalars), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_what_was_asked_for_matches_in_any_order(calls: list[dict[str, Json]], seed: int) -> None:
    wanted = [AllowedCall("f", {k: [v] for k, v in each.items()}) for each in calls]
    shuffled = Random(seed).sample(calls, len(calls))
    assert matching_refusal([("f", each) for each in shuffled], wanted) == ""
    more = [("f", each) for each in [*shuffled, shuffled[0]]]
    assert matching_refusal(more, wanted) != ""


def evidence(*calls: ToolCall, listed: Json) -> Evidence:
    gathered: dict[str, Json] = {} if listed is None else {"allowed_calls": listed}
    return Evidence({}, {}, calls, "Done.", StopReason.ANSWERED, 1, gathered)


def test_the_criterion_counts_refused_calls() -> None:
    listed: Json = [{"area": {"base": [10]}}]
    right = ToolCall("area", {"base": 10}, 0, CallOutcome.OK, False, "ok")
    wrong = ToolCall("area", {"base": "x"}, 0, CallOutcome.INVALID_ARGUMENTS, False, "")
    assert allowed_calls(evidence(right, listed=listed), Goal()).value == 1.0
    assert allowed_calls(evidence(listed=listed), Goal()).why == "0 calls instead of 1"
    both = allowed_calls(evidence(wrong, right, listed=listed), Goal())
    assert (both.value, both.why) == (0.0, "area: invalid_arguments")


@pytest.mark.parametrize("listed", [None, [], [{"a": 1}], [{"a": {}, "b": {}}], [3]])
def test_without_a_list_there_is_no_verdict(listed: Json) -> None:
    with pytest.raises(MissingGoal):
        allowed_calls(evidence(listed=listed), Goal())
