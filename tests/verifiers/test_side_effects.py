"""A change that nobody asked for costs the verdict, whatever is done about it afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tooldojo.verifiers.criteria import Component, MissingGoal
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Path, StopReason, ToolCall
from tooldojo.verifiers.side_effects import no_side_effects

BEFORE: dict[str, Any] = {"lamps": {"L1": 0, "L.2": 0}, "robot": {"room": "hall"}, "log": [1, 2]}
AFTER: dict[str, Any] = {"lamps": {"L1": 5, "L.2": 0}, "robot": {"room": "hall"}, "log": [1, 2]}


def happened(*changes: Path) -> Evidence:
    """Each change is one call's."""
    calls = tuple(
        ToolCall("set", {}, n, CallOutcome.OK, True, "", (p,)) for n, p in enumerate(changes)
    )
    return Evidence(BEFORE, AFTER, calls, "", StopReason.ANSWERED, len(calls))


def judged(goal: Goal, *changes: Path) -> Component:
    return no_side_effects(happened(*changes), goal)


def test_only_places_that_the_goal_changes_may_change() -> None:
    goal = Goal(world=AFTER)
    assert judged(goal) == judged(goal, ("lamps", "L1"), ("lamps", "L1")) == Component(1.0)
    stray = judged(goal, ("lamps", "L1"), ("lamps", "L.2"), ("lamps", "L.2"))
    assert stray == Component(0.0, "set in turn 1 changed lamps.L.2")
    assert judged(goal, ("lamps", "L1", "hue")).value == 1.0  # below a change
    assert judged(goal, ("lamps",)).value == 1.0  # around one
    assert judged(goal, ("lamps", "L3")).value == 0.0  # came and went


def test_where_nothing_is_to_change_no_call_may_change_anything() -> None:
    goal = Goal(world=BEFORE)
    assert judged(goal).value == 1.0
    for path in (("lamps", "L1"), ("log",), ("log", "0"), ("new",), ()):
        assert judged(goal, path).value == 0.0
    assert judged(goal, ()).why == "set in turn 0 changed state"


def test_lists_of_another_length_are_one_thing() -> None:
    goal = Goal(world={**BEFORE, "log": [1, 2, 3]})
    assert judged(goal, ("log",)).value == judged(goal, ("log", "0")).value == 1.0
    goal = Goal(world={**BEFORE, "log": [1, 3]})
    assert judged(goal, ("log",)).value == judged(goal, ("log", "1")).value == 1.0
    assert judged(goal, ("log", "0")).value == 0.0


def test_what_is_ignored_or_passes_may_change() -> None:
    goal = Goal(world=BEFORE, ignore=("lamps.*",), transient=(("robot", "room"),))
    assert judged(goal, ("lamps", "L.2"), ("lamps", "L1", "hue"), ("robot", "room")).value == 1.0
    assert judged(goal, ("lamps",)).value == 0.0  # more than is ignored
    assert judged(goal, ("robot", "arm")).value == 0.0
    assert judged(Goal(world=BEFORE, transient=(("lamps", "*"),)), ("lamps", "L.2")).value == 1.0


def test_truth_values_are_no_numbers_and_keys_are_text() -> None:
    before, after = {"on": 1, "n": {1: 0}}, {"on": True, "n": {1: 2}}
    found = replace(happened(("on",), ("n", "1")), world_before=before)
    assert no_side_effects(found, Goal(world=after)).value == 1.0


def test_without_a_record_of_what_changed_there_is_no_verdict() -> None:
    old = ToolCall("set", {}, 0, CallOutcome.OK, True, "")
    with pytest.raises(MissingGoal, match="where set changed the state"):
        no_side_effects(replace(happened(), calls=(old,)), Goal(world=AFTER))
    read = replace(old, mutated=False)
    assert no_side_effects(replace(happened(), calls=(read,)), Goal(world=AFTER)).value == 1.0
    with pytest.raises(MissingGoal, match=r"goal\.world"):
        judged(Goal())
