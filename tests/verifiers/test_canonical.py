"""Canonical form, hash and differences agree with each other, whatever the state."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.canonical import canonical, canonical_text, content_hash, differences

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
STATES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """The same state with its keys in another order."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: random.Random(key).random())
        return {key: shuffled(value[key]) for key in keys}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(STATES)
def test_canonical_form_is_stable(state: Any) -> None:
    once = canonical(state)
    assert canonical_text(once) == canonical_text(state) == canonical_text(shuffled(state))
    assert content_hash(json.loads(canonical_text(state))) == content_hash(state)
    assert not list(differences(once, state))


@given(STATES, STATES)
def test_states_differ_exactly_where_their_hashes_do(first: Any, second: Any) -> None:
    differ = bool(list(differences(first, second)))
    assert differ == (canonical_text(first) != canonical_text(second))
    assert differ == (content_hash(first) != content_hash(second))


def test_numbers_have_one_spelling() -> None:
    assert canonical_text([2.0, -0.0, 0.1 + 0.2, 1e-12, 30 - 4e-15]) == "[2,0,0.3,0,30]"
    assert content_hash({"a": 1}) == content_hash({"a": 1.0}) != content_hash({"a": True})
    assert content_hash("1") != content_hash(1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_without_json_form_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="only finite numbers"):
        canonical({"deep": [bad]})


@pytest.mark.parametrize("bad", [{1, 2}, b"x", object()])
def test_live_objects_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"state holds a .*; use dict, list"):
        canonical([bad])


def test_hash_is_pinned() -> None:
    """Task ids and stored trajectories rest on this value."""
    assert content_hash({"b": [1, 2.5, None], "a": "é"}) == "4d2328535ef93808"


def test_differences_name_path_and_values() -> None:
    actual = {"orders": {"W1": {"status": "open", "tags": [1, 2]}, "W2": {}}, "n": 1}
    expected = {"orders": {"W1": {"status": "closed", "tags": [1, 3]}, "W3": {}}, "n": True}
    assert list(differences(actual, expected)) == [
        "n: 1, expected True",
        "orders.W1.status: 'open', expected 'closed'",
        "orders.W1.tags.1: 2, expected 3",
        "orders.W2: unexpected",
        "orders.W3: missing",
    ]
    assert list(differences([1], [1, 2])) == ["state: [1], expected [1, 2]"]


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        (["orders.*.note"], ["orders.W1.status"]),
        (["orders.W1"], ["orders.W2.note"]),
        (["orders.*.*"], []),
        (["orders.*"], []),
        (["orders.W1.note", "orders.W1.status"], ["orders.W2.note"]),
        (["*"], []),
        (["note", "orders"], []),
        (["*.note"], ["orders.W1.note", "orders.W1.status", "orders.W2.note"]),
    ],
)
def test_ignored_paths(ignore: list[str], left: list[str]) -> None:
    actual: Any = {"orders": {"W1": {"status": "open", "note": "x"}, "W2": {"note": "y"}}}
    expected: Any = {"orders": {"W1": {"status": "closed", "note": "z"}, "W2": {}}}
    found = [line.split(":")[0] for line in differences(actual, expected, ignore)]
    assert found == left


@given(STATES)
def test_ignoring_all_ignores_all(state: Any) -> None:
    assert not list(differences({"top": state}, {"top": "other"}, ["top"]))
