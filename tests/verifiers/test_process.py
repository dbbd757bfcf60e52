"""Process rewards: each share goes to the turn that earned it, and shares add up."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.binding import check_names, named_arguments
from tooldojo.verifiers.combine import Part, Verifier, all_of
from tooldojo.verifiers.criteria import Component, answer
from tooldojo.verifiers.judged import OPINIONS, Judged, MissingOpinion, opinion_on
from tooldojo.verifiers.process import (
    CALL_REWARDS,
    RewardPart,
    argument_accuracy,
    avoids,
    call_form,
    milestones,
    minefields,
    reaches,
    tool_selection,
)
from tooldojo.verifiers.records import (
    CallOutcome,
    Evidence,
    ExpectedCall,
    Goal,
    Score,
    StopReason,
    ToolCall,
)
from tooldojo.verifiers.reward import (
    RewardShape,
    component_names,
    process_rewards,
    shape_reward,
    weighing,
)

GOAL = Goal(answer="Result: 3", calls=(ExpectedCall("get", {"id": "A1"}), ExpectedCall("put", {})))


def called(
    name: str, turn: int, outcome: CallOutcome = CallOutcome.OK, **arguments: Any
) -> ToolCall:
    return ToolCall(name, arguments, turn, outcome, False, "")


def evidence(*calls: ToolCall, turns: int = 3, states: tuple = (), **more: Any) -> Evidence:
    return Evidence(
        {"n": 0}, {"n": 3}, calls, "Result: 3", StopReason.ANSWERED, turns, states=states, **more
    )


STATES = ({"n": 1}, {"n": 5}, {"n": 3})


# Arguments by name


def test_functions_get_what_they_name() -> None:
    seen = {}

    def curious(answer, calls, before, after, goal, states, stop, turns, messages, gathered):  # type: ignore[no-untyped-def]
        seen.update(locals())
        return True

    happened = evidence(called("get", 0), states=STATES)
    score = all_of(curious=curious)(happened, GOAL)
    assert score.success
    assert (seen["answer"], seen["before"], seen["after"]) == ("Result: 3", {"n": 0}, {"n": 3})
    assert (seen["calls"], seen["states"], seen["goal"]) == (happened.calls, STATES, GOAL)
    assert (seen["turns"], seen["stop"], seen["messages"], seen["gathered"]) == (
        *(3, StopReason.ANSWERED),
        *((), {}),
    )


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda anwser: 1.0, r"asks for 'anwser'; did you mean 'answer'\? it can have evidence, "),
        (lambda zzz: 1.0, r"asks for 'zzz'; it can have"),
        (lambda *calls: 1.0, r"\*calls has no name to be filled by"),
        (lambda **calls: 1.0, r"\*\*calls has no name to be filled by"),
    ],
)
def test_a_name_that_there_is_not_is_refused_at_once(function: Any, complaint: str) -> None:
    for build in (lambda: all_of(part=function), lambda: RewardPart("part", function)):
        with pytest.raises(ValueError, match=complaint):
            build()


def test_numbers_and_truth_values_are_verdicts() -> None:
    parts = (Part("half", lambda turns: 0.5), Part("yes", lambda turns: turns == 3))
    score = Verifier(parts)(evidence(), GOAL)
    assert (score.value, score.components) == (0.75, {"half": 0.5, "yes": 1.0})
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        all_of(much=lambda turns: turns)(evidence(), GOAL)


def test_names_have_suggestions() -> None:
    assert named_arguments(lambda state, goal=None: True, ("state", "goal")) == ("state", "goal")
    with pytest.raises(ValueError, match=r"unknown weight 'foo'; there are bar, baz"):
        check_names({"foo": 1}, ("baz", "bar"), "weight")
    with pytest.raises(ValueError, match=r"unknown weight 'baz1'; did you mean 'baz'\?"):
        check_names({"baz1": 1}, ("baz", "bar"), "weight")


# Milestones and minefields


def test_milestones_pay_the_first_turn_that_reaches_them() -> None:
    paid = milestones(
        one=lambda state: state["n"] >= 1,
        five=lambda state: state["n"] == 5,
        goal=lambda state, before: state["n"] > before["n"] + 8,
        start=lambda state: state["n"] >= 0,
    )
    part = RewardPart("milestones", paid)
    assert "states" in part.names
    assert part.shares(evidence(states=STATES), GOAL) == (0.25, 0.25, 0.0)
    assert part.shares(evidence(states=STATES[:1]), GOAL) == (0.25, 0.0, 0.0)


def test_minefields_cost_and_bar() -> None:
    checks = {"five": lambda state: state["n"] == 5, "nine": lambda state: state["n"] == 9}
    assert minefields(**checks)(evidence(states=STATES), GOAL, ()) == [0.0, -1.0, 0.0]
    verdict = avoids(**checks)(evidence(states=STATES), GOAL, ())
    assert verdict == Component(0.0, "five in turn 1")
    assert avoids(nine=checks["nine"])(evidence(states=STATES), GOAL, ()) == Component(1.0)
    assert reaches(**checks)(evidence(states=STATES), GOAL, ()) == Component(
        0.5, "never reached nine"
    )
    with pytest.raises(ValueError, match="asks for 'sate'; did you mean 'state'"):
        milestones(bad=lambda sate: True)
    with pytest.raises(ValueError, match="at least one check"):
        minefields()


# Calls


@pytest.mark.parametrize(
    ("calls", "selection", "accuracy", "form"),
    [
        ((), (0, 0, 0), (0, 0, 0), (0, 0, 0)),
        (
            (called("get", 0, id="A1"), called("put", 1)),
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
        ),
        (  # the better of two partners; the other one is too much
            (called("get", 0, id="A2"), called("get", 1, id="A1"), called("put", 2)),
            (1 / 3, 0, 1 / 3),
            (0, 1 / 3, 1 / 3),
            (1 / 3, 1 / 3, 1 / 3),
        ),
        ((called("get", 0, id="A1", more=2),), (0.5, 0, 0), (0.25, 0, 0), (1, 0, 0)),
        (
            (called("gte", 0, CallOutcome.UNKNOWN_TOOL), called("put", 1, CallOutcome.TOOL_ERROR)),
            (0, 1 / 3, 0),
            (0, 1 / 3, 0),
            (0, 0.5, 0),
        ),
        (  # what the user said and did is no call of the policy
            (
                *(called("user:said", 0), called("get", 0, id="A1")),
                *(called("user:set", 1, CallOutcome.TOOL_ERROR), called("put", 1)),
            ),
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
            (0.5, 0.5, 0),
        ),
        (  # but what the policy calls so is
            (called("user:said", 0, CallOutcome.UNKNOWN_TOOL), called("put", 1)),
            (0, 1 / 3, 0),
            (0, 1 / 3, 0),
            (0, 0.5, 0),
        ),
    ],
)
def test_call_rewards(calls: tuple, selection: tuple, accuracy: tuple, form: tuple) -> None:
    happened = evidence(*calls)
    assert tool_selection(happened, GOAL) == pytest.approx(selection)
    assert argument_accuracy(happened, GOAL) == pytest.approx(accuracy)
    assert call_form(happened, GOAL) == pytest.approx(form)


def test_calling_nothing_is_right_where_nothing_is_to_be_called() -> None:
    for function in (tool_selection, argument_accuracy, call_form):
        assert function(evidence(), Goal()) == [0.0, 0.0, 1.0]
        assert function(evidence(turns=0), Goal()) == [1.0]
        assert function(evidence(called("user:said", 0)), Goal()) == [0.0, 0.0, 1.0]


CALLS = st.lists(
    st.builds(
        called,
        st.sampled_from(["get", "put", "other"]),
        st.integers(0, 4),
        st.sampled_from(CallOutcome),
        id=st.sampled_from(["A1", "A2"]),
    ),
    max_size=6,
)


@given(CALLS, st.integers(0, 4))
def test_call_rewards_stay_within_0_and_1(calls: list[ToolCall], turns: int) -> None:
    happened = evidence(*calls, turns=turns)
    for part in CALL_REWARDS:
        shares = part.shares(happened, GOAL)
        assert len(shares) == max(1, turns) and min(shares) >= 0
        assert sum(shares) <= 1 + 1e-9
    accuracy, selection = (sum(f(happened, GOAL)) for f in (argument_accuracy, tool_selection))
    assert accuracy <= selection + 1e-9


# The sum


PARTS = (
    RewardPart("progress", milestones(five=lambda state: state["n"] == 5), 0.5),
    RewardPart("brief", lambda turns: 1 / turns),
)


def test_parts_enter_the_reward_with_the_weights_of_the_recipe() -> None:
    happened = evidence(called("get", 0, id="A1"), states=STATES)
    score = Score(True, 1.0, {"final_state": 1.0, "answer": 0.5})
    weights = {"success": 2.0, "brief": 0.0, "tool_selection": 0.4, "answer": 0.2}
    process = process_rewards(weighing(PARTS, weights), happened, GOAL)
    assert [part.name for part in process] == ["progress", "tool_selection"]
    reward = shape_reward(score, happened, RewardShape(weights=weights), False, process)
    assert reward.parts == pytest.approx(
        {"success": 2.0, "answer": 0.1, "progress": 0.5, "tool_selection": 0.2}
    )
    assert reward.turns == pytest.approx((0.2, 0.5, 2.1))
    assert reward.total == pytest.approx(2.8)
    assert score.value == 1.0  # the truth stays what it was


def test_parts_that_give_no_reward_fail() -> None:
    for bad, complaint in (
        (lambda turns: [0.0], "has 1 shares for 3 turns"),
        (lambda turns: math.nan, "is not finite"),
    ):
        with pytest.raises(ValueError, match=complaint):
            RewardPart("bad", bad).shares(evidence(), GOAL)


def test_a_name_stands_for_one_component() -> None:
    assert component_names(all_of(answer=answer), PARTS) == (
        *("success", "answer", "progress", "brief"),
        *("tool_selection", "argument_accuracy", "call_form"),
    )
    for name in ("answer", "success", "call_form", "truncated"):
        with pytest.raises(ValueError, match=f"two components are called {name!r}"):
            component_names(all_of(answer=answer), [RewardPart(name, lambda turns: 0.0)])


# Judged


def asked(answer: str | None) -> str:
    return f"Is {answer} polite?"


@pytest.mark.parametrize(
    ("opinions", "complaint"),
    [
        ({}, "nobody judged 'tone'"),
        ({OPINIONS: {"other": {"value": 1}}}, "nobody judged 'tone'"),
        ({OPINIONS: {"tone": {"value": 1.5}}}, "gave 1.5 for 'tone'"),
        ({OPINIONS: {"tone": {"value": "1"}}}, "gave '1' for 'tone'"),
        ({OPINIONS: {"tone": {"value": True}}}, "gave True for 'tone'"),
        ({OPINIONS: {"tone": {"value": math.nan}}}, "gave nan for 'tone'"),
    ],
)
def test_without_an_opinion_there_is_no_verdict(opinions: dict, complaint: str) -> None:
    verdict = all_of(tone=Judged(asked))
    with pytest.raises(MissingOpinion, match=complaint):
        verdict(evidence(gathered=opinions), GOAL)
    with pytest.raises(MissingOpinion, match=complaint):
        RewardPart("tone", Judged(asked)).shares(evidence(gathered=opinions), GOAL)


def test_an_opinion_is_a_component() -> None:
    happened = evidence(gathered={OPINIONS: {"tone": {"value": 0.5, "why": "curt"}}})
    assert opinion_on("tone", happened) == Component(0.5, "curt")
    assert all_of(tone=Judged(asked))(happened, GOAL).value == 0.5
    assert RewardPart("tone", Judged(asked)).shares(happened, GOAL) == (0.0, 0.0, 0.5)
    assert Judged(asked).question(happened, GOAL) == "Is Result: 3 polite?"
    with pytest.raises(ValueError, match="asks for 'reply'"):
        Judged(lambda reply: "")
