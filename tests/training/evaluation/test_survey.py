"""Surveys: unbiased estimates with exact values, and what scripts earn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.training.evaluation.survey import (
    FLOORS,
    dead_share,
    earnings,
    pass_at_k,
    survey_policy,
)


@pytest.mark.parametrize(("solved", "trials"), [(0, 4), (1, 4), (3, 5), (5, 5)])
def test_estimates_are_means_over_all_draws(solved: int, trials: int) -> None:
    outcomes = [True] * solved + [False] * (trials - solved)
    for size in range(1, trials + 1):
        draws = list(combinations(outcomes, size))
        passed = sum(any(draw) for draw in draws) / len(draws)
        dead = sum(len(set(draw)) == 1 for draw in draws) / len(draws)
        assert pass_at_k(solved, trials, size) == pytest.approx(passed)
        assert dead_share(solved, trials, size) == pytest.approx(dead)
    for function in (pass_at_k, dead_share):
        with pytest.raises(ValueError, match="cannot be drawn"):
            function(solved, trials, trials + 1)


def test_floors_earn_nothing_and_the_oracle_everything() -> None:
    world = "tooldojo/Travel-v0"
    tasks = take([world], Split.TEST, 0, 6)
    demonstrations = take([world], Split.TRAIN, 0, 10)
    for name in set(FLOORS) - {"guess"}:
        row = earnings(name, tasks, demonstrations, 0)
        assert (row.success.successes, row.success.trials, row.value) == (0, 6, 0.0)
    assert earnings("gold", tasks, (), 0).success.rate == 1.0


def test_a_guess_earns_only_where_nothing_need_be_called() -> None:
    world = "tooldojo/Travel-v0"
    demonstrations = take([world], Split.TRAIN, 0, 100, [1])
    tasks = take([world], Split.TEST, 0, 300, [1])
    chosen = [task for task in tasks if len(task.gold) == 1][:12]
    chosen += [task for task in tasks if len(task.gold) > 1][:12]
    row = earnings("guess", chosen, demonstrations, 0)
    assert row.calling is not None and row.idle is not None
    assert (row.calling.successes, row.calling.trials, row.idle.trials) == (0, 12, 12)
    assert row.idle.successes == row.success.successes >= 6
    assert earnings("guess", chosen[:12], demonstrations, 0).calling is None


def test_a_policy_is_counted_by_task(
    skilled: Callable[..., LocalFleet], heldout: Callable[[int], list[Task]]
) -> None:
    issued = [IssuedTask(place, task) for place, task in enumerate(heldout(12))]
    groups = list(skilled(0.5, 0).play(issued, 4))
    solved = sum(all(t.score is not None and t.score.success for t in g.scored) for g in groups)
    found = survey_policy("half", groups, (1, 4, 8))
    assert 0 < solved < 12  # this sampler solves a task always or never
    assert found.pass_at == {1: solved / 12, 4: solved / 12}
    assert found.dead_groups == {1: 1.0, 4: 1.0}
    assert (found.tasks, found.samples, found.failed) == (12, 4, 0)
    assert found.success.trials == 48 and found.tokens > 10 and found.turns >= 1
    with pytest.raises(ValueError, match="no trajectory with a verdict"):
        survey_policy("none", [], (1,))
