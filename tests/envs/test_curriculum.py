"""The curriculum prefers kinds of tasks whose groups disagree, in an order that resumes exactly."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from pytest import approx

from tooldojo.envs.curriculum import LearnableTasks, Tally, kind_of
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.verifiers.records import Score


def source() -> LearnableTasks:
    return LearnableTasks(GeneratedTasks(["tooldojo/Orders-v0"], Split.TRAIN, 3), 8)


def scores(successes: int, count: int = 8) -> list[Score]:
    return [Score(i < successes, float(i < successes), {}) for i in range(count)]


def settle(tasks: LearnableTasks, issued: list[IssuedTask], shuffle: Random | None = None) -> None:
    """Level 1 always succeeds, level 2 half of the time, level 3 never."""
    issued = list(issued)
    if shuffle:
        shuffle.shuffle(issued)
    for each in issued:
        tasks.feedback(each.ordinal, scores({1: 8, 2: 4, 3: 0}[each.task.level]))


def test_signal_is_the_chance_that_a_group_disagrees() -> None:
    assert Tally().signal(8) == 1 - 2 * 0.5**8
    learnt, hopeless = Tally(98, 98), Tally(0, 98)
    expected = approx(1 - 0.99**8 - 0.01**8)
    assert learnt.signal(8) == expected
    assert hopeless.signal(8) == expected


def test_kinds_without_signal_become_rare_and_never_vanish() -> None:
    tasks = source()
    for _ in range(8):
        settle(tasks, [tasks.next() for _ in range(24)])
    late = [tasks.next() for _ in range(100)]
    levels = Counter(each.task.level for each in late)
    assert levels[2] > 45
    assert levels[1] > 0
    assert levels[3] > 0
    assert [each.ordinal for each in late] == list(range(192, 292))
    assert len({kind_of(each.task) for each in late}) > 15


def test_order_of_feedback_and_a_resume_change_nothing() -> None:
    one, other = source(), source()
    for tasks, shuffle in ((one, None), (other, Random(1))):
        for _ in range(2):
            settle(tasks, [tasks.next() for _ in range(12)], shuffle)
    resumed = source()
    resumed.load_state_dict(json.loads(json.dumps(one.state_dict())))
    ahead = [one.next() for _ in range(10)]
    assert ahead == [other.next() for _ in range(10)] == [resumed.next() for _ in range(10)]
    assert one.state_dict() == resumed.state_dict()


def test_a_group_without_verdicts_counts_nothing() -> None:
    tasks = source()
    tasks.feedback(tasks.next().ordinal, [])
    tasks.next()
    assert [(t.successes, t.trajectories) for t in tasks.tallies.values()] == [(0.0, 0.0)]
