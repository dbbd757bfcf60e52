"""Records survive JSON, so that a stored trajectory can be judged again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.combine import state_and_answer
from tooldojo.verifiers.records import (
    CallOutcome,
    Evidence,
    ExpectedCall,
    Goal,
    Score,
    ScoreStatus,
    StopReason,
    ToolCall,
)

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DICTS = st.dictionaries(st.text(), VALUES, max_size=3)
PATHS = st.lists(st.lists(st.text(), max_size=2).map(tuple), max_size=2).map(tuple)
CALLS = st.builds(
    ToolCall,
    st.text(),
    DICTS,
    st.integers(0),
    st.sampled_from(CallOutcome),
    st.booleans(),
    st.text(),
    st.none() | PATHS,
)
EVIDENCE = st.builds(
    Evidence,
    DICTS,
    DICTS,
    st.lists(CALLS, max_size=3).map(tuple),
    st.none() | st.text(),
    st.sampled_from(StopReason),
    st.integers(0),
    DICTS,
    st.lists(st.text(), max_size=2).map(tuple),
)
EXPECTED = st.builds(ExpectedCall, st.text(), DICTS)
GOALS = st.builds(
    Goal,
    st.none() | DICTS,
    st.none() | st.text(),
    st.lists(EXPECTED, max_size=2).map(tuple),
    st.lists(st.text(), max_size=2).map(tuple),
    st.lists(st.text(), max_size=2).map(tuple),
    PATHS,
)
SCORES = st.builds(
    Score,
    st.booleans(),
    st.floats(0, 1),
    st.dictionaries(st.text(), st.floats(0, 1)),
    st.sampled_from(ScoreStatus),
    st.text(),
)


def again(record: Any) -> Any:
    return type(record).from_json(json.loads(json.dumps(record.to_json())))


@given(CALLS | EVIDENCE | GOALS | SCORES)
def test_json_round_trip(record: Any) -> None:
    assert again(record) == record


def test_a_stored_trajectory_can_be_judged_again() -> None:
    call = ToolCall("add", {"n": 1}, 0, CallOutcome.OK, True, "2", (("n",),))
    happened = Evidence({"n": 1}, {"n": 2}, (call,), "Result: n 2", StopReason.ANSWERED, 2)
    goal = Goal({"n": 2}, "Result: n 2")
    verdict = state_and_answer()(again(happened), again(goal))
    assert verdict.success
    assert verdict == state_and_answer()(happened, goal)


def test_where_a_call_changed_the_state_is_stored_and_no_part_of_its_link() -> None:
    old = ToolCall("add", {}, 0, CallOutcome.OK, True, "2")
    new = ToolCall("add", {}, 0, CallOutcome.OK, True, "2", (("n", "0"),))
    assert "changed" not in old.to_json() and new.to_json()["changed"] == [["n", "0"]]
    assert old.link() == new.link() == old.to_json()
    assert ToolCall.from_json(old.to_json()).changed is None
    assert "transient" not in Goal().to_json()
