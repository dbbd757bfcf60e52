"""A dialogue against its reference, user turn by user turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.criteria import MissingGoal
from tooldojo.verifiers.records import (
    SAID,
    USER,
    CallOutcome,
    Evidence,
    Goal,
    Json,
    StopReason,
    ToolCall,
)
from tooldojo.verifiers.user_turns import by_user_turn, user_turns

REFERENCE: list[Json] = [
    {"results": ["a", "a"], "differs": []},
    {"results": [], "differs": ["Box.lid"]},
    {"results": ["b"], "differs": []},
]


def call(name: str, result: str = "", outcome: CallOutcome = CallOutcome.OK) -> ToolCall:
    return ToolCall(name, {}, 0, outcome, False, result)


def judged(
    turns: Sequence[Sequence[ToolCall]],
    reference: list[Json] = REFERENCE,
    stop: StopReason = StopReason.ANSWERED,
) -> tuple[float, str]:
    calls = [each for made in turns for each in (*made, call(SAID, "Go on."))][:-1]
    gathered: dict[str, Json] = {"user_turns": reference}
    evidence = Evidence({}, {}, tuple(calls), "Done.", stop, len(calls), gathered)
    found = user_turns(evidence, Goal())
    return found.value, found.why


def reads(*results: str) -> list[ToolCall]:
    return [call("read", result) for result in results]


def test_what_was_read_counts_from_the_beginning_and_as_often_as_asked() -> None:
    assert judged([reads("a", "a"), [], reads("b")]) == (1.0, "")
    assert judged([reads("b", "a", "x", "a"), [], reads("x")]) == (1.0, "")
    assert judged([reads("a"), [], reads("b")]) == (0.0, "user turn 1: never read 'a'")
    assert judged([reads("a", "a"), reads("b"), []]) == (0.0, "user turn 3: no call")


def test_a_state_that_differs_counts_where_the_reference_calls_something() -> None:
    apart = [*REFERENCE[:2], {"results": ["b"], "differs": ["Box.lid", "Box.key"]}]
    assert judged([reads("a", "a"), reads("b"), reads("b")]) == (1.0, "")
    assert judged([reads("a", "a"), [], reads("b")], apart) == (0.0, "user turn 3: another Box.lid")


def test_a_refused_call_is_a_call_and_a_malformed_one_is_none() -> None:
    refused = call("x", '{"error": "no"}', CallOutcome.UNKNOWN_TOOL)
    malformed = call("malformed", "", CallOutcome.MALFORMED)
    assert judged([reads("a", "a", "b"), [], [refused]]) == (1.0, "")
    assert judged([reads("a", "a", "b"), [], [malformed]]) == (0.0, "user turn 3: no call")


def test_a_dialogue_that_did_not_come_to_its_end_earns_nothing() -> None:
    turns = [reads("a", "a"), [], reads("b")]
    assert judged(turns[:2]) == (0.0, "ended in user turn 2 of 3")
    assert judged(turns, stop=StopReason.MAX_TURNS) == (0.0, "ended in user turn 3 of 3")


def test_only_replies_end_a_user_turn() -> None:
    deed = call(f"{USER}set")
    shouted = call(SAID, outcome=CallOutcome.UNKNOWN_TOOL)  # a policy's call of that name
    read = reads("a")[0]
    assert by_user_turn((read, deed, call(SAID), shouted)) == [[read], [shouted]]


@pytest.mark.parametrize("turns", [None, [], [{}], [{"results": [], "differs": []}], ["x"]])
def test_without_a_reference_that_calls_something_there_is_no_verdict(turns: Json) -> None:
    evidence = Evidence({}, {}, (), "", StopReason.ANSWERED, 1, {"user_turns": turns})
    with pytest.raises(MissingGoal, match=r"user.turn"):
        user_turns(evidence, Goal())


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_the_reference_passes_in_any_order_with_anything_beside(turns: list, rng) -> None:
    reference: list[Json] = [{"results": list(each), "differs": []} for each in turns]
    made = [[*each, rng.choice("abcd")] for each in turns]
    for each in made:
        rng.shuffle(each)
    assert judged([reads(*each) for each in made], reference) == (1.0, "")
