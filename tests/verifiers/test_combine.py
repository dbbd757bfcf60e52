"""Verifiers: gates multiply, weights average, nothing passes by omission."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.verifiers.combine import (
    Criterion,
    Part,
    Verifier,
    all_of,
    state_and_answer,
)
from tooldojo.verifiers.criteria import Component
from tooldojo.verifiers.records import Evidence, Goal, Score, ScoreStatus, StopReason

GOAL = Goal(world={"n": 1}, answer="Result: done 1")
VALUES = st.floats(0, 1)


def evidence(answer: str | None, after: int = 1) -> Evidence:
    return Evidence({"n": 0}, {"n": after}, (), answer, StopReason.ANSWERED, 1)


def constant(value: float, why: str = "") -> Criterion:
    return lambda evidence, goal: Component(value, why)


def fails(evidence: Evidence, goal: Goal) -> Component:
    raise RuntimeError("the grader is broken")


@pytest.mark.parametrize(
    ("answer", "after", "components"),
    [
        ("Result: done 1", 1, (1.0, 1.0, 1.0)),
        ("Result: done 2", 1, (1.0, 0.0, 1.0)),
        ("Result: done 1", 2, (0.0, 1.0, 1.0)),
        (None, 0, (0.0, 0.0, 1.0)),
    ],
)
def test_the_usual_verdict(answer: str | None, after: int, components: tuple) -> None:
    score = state_and_answer()(evidence(answer, after), GOAL)
    assert tuple(score.components.values()) == components
    assert score.success == (components == (1.0, 1.0, 1.0))
    assert score.value == float(score.success)
    assert score.status is ScoreStatus.SCORED
    assert bool(score.why) != score.success
    assert Score.from_json(score.to_json()) == score


def test_weights_average_and_gates_multiply() -> None:
    verifier = Verifier(
        (
            Part("a", constant(1.0), weight=3),
            Part("b", constant(0.5, "half")),
            Part("gate", constant(0.5, "ajar"), gate=True),
        )
    )
    score = verifier(evidence(None), GOAL)
    assert score.value == pytest.approx((3 * 1 + 1 * 0.5) / 4 * 0.5)
    assert score.components == {"a": 1.0, "b": 0.5, "gate": 0.5}
    assert score.why == "b: half; gate: ajar"
    assert not score.success


@given(st.lists(st.tuples(VALUES, st.floats(0.1, 10), st.booleans()), min_size=1, max_size=5))
def test_values_stay_between_0_and_1(parts: list[tuple[float, float, bool]]) -> None:
    verifier = Verifier(
        tuple(
            Part(str(place), constant(value), weight, gate)
            for place, (value, weight, gate) in enumerate(parts)
        )
    )
    score = verifier(evidence(None), GOAL)
    assert -1e-9 <= score.value <= 1 + 1e-9
    assert score.success == all(value == 1 for value, _, _ in parts)
    if score.success:
        assert score.value == pytest.approx(1)


def test_success_needs_every_component_even_without_weight() -> None:
    parts = Part("main", constant(1.0)), Part("extra", constant(0.0), weight=0)
    score = Verifier(parts)(evidence(None), GOAL)
    assert (score.value, score.success) == (1.0, False)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ((), "at least one criterion"),
        ((Part("a", constant(1)), Part("a", constant(1))), "names must differ"),
        ((Part("a", constant(1), -1),), "weights must be"),
        ((Part("a", constant(1), 0),), "weights must be"),
    ],
)
def test_verifiers_that_cannot_judge_cannot_be_built(
    parts: tuple[Part, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Verifier(parts)


def test_a_broken_criterion_is_no_zero() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        all_of(good=constant(0), bad=fails)(evidence(None), GOAL)
