"""Self-play tasks: proven, of known parents, at the edge of what the solver can, resumable."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from random import Random

from tooldojo.envs.curriculum import kind_of
from tooldojo.envs.registry import world_class
from tooldojo.envs.selfplay import POOL, SelfPlayTasks, harden, join, vary
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.verifiers.records import Score

WORLD = "tooldojo/Orders-v0"


def source() -> SelfPlayTasks:
    return SelfPlayTasks(GeneratedTasks([WORLD], Split.TRAIN, 3))


def scores(successes: int, count: int = 4) -> list[Score]:
    return [Score(i < successes, float(i < successes), {}) for i in range(count)]


def successes(task: Task) -> int:
    """Level 1 always, level 2 half of the time, what is joined or harder never."""
    return 0 if "+" in task.template else {1: 4, 2: 2, 3: 0}[task.level]


def settle(tasks: SelfPlayTasks, issued: list[IssuedTask], shuffle: Random | None = None) -> None:
    issued = list(issued)
    if shuffle:
        shuffle.shuffle(issued)
    for each in issued:
        tasks.feedback(each.ordinal, scores(successes(each.task)))


def proven(task: Task) -> bool:
    return world_class(task.env)().replay_gold(task).success


def test_a_variation_is_another_task_of_the_same_kind() -> None:
    parent = take([WORLD], Split.TRAIN, 0, 1, [2])[0]
    made = next(filter(None, (vary(parent, Random(seed)) for seed in range(9))))
    assert made.id != parent.id and kind_of(made) == kind_of(parent)
    assert made.lineage.startswith(f"vary of {parent.id}: seed=") and proven(made)


def test_a_harder_task_is_of_the_next_level() -> None:
    for parent in take([WORLD], Split.TRAIN, 0, 6, [1]):
        made = harden(parent, Random(1))
        if made is not None:
            assert (made.level, made.template) == (2, parent.template) and proven(made)
            assert made.lineage.startswith(f"harden of {parent.id}")
    top = take([WORLD], Split.TRAIN, 0, 1, [3])[0]
    assert harden(top, Random(1)) is None


def test_joined_tasks_ask_for_both_and_are_proven() -> None:
    tasks = [t for t in take([WORLD], Split.TRAIN, 0, 30, [1]) if not t.faults]
    pairs = [(a, b) for a in tasks for b in tasks if a.id < b.id][:60]
    made = [(a, b, task) for a, b in pairs if (task := join(a, b)) is not None]
    assert made
    for a, b, task in made:
        assert a.prompt in task.prompt and b.prompt in task.prompt
        assert task.lineage == f"join of {a.id} {b.id}" and task.split is Split.TRAIN
        assert len(task.gold) == len(a.gold) - 1 + len(b.gold) and proven(task)
        assert task.goal.answer == b.goal.answer
        assert not proven(replace(task, gold=b.gold))  # the second request alone


def test_contradicting_records_are_not_joined() -> None:
    a, b = take([WORLD], Split.TRAIN, 0, 2, [1])
    changed = json.loads(json.dumps(a.world))
    table = next(name for name, rows in changed.items() if isinstance(rows, dict) and rows)
    changed[table][next(iter(changed[table]))] = "something else"
    assert join(a, replace(b, world=changed)) is None


def test_the_edge_is_played_again_and_what_was_made_names_its_parents() -> None:
    tasks = source()
    seen: list[IssuedTask] = []
    for _ in range(6):
        issued = [tasks.next() for _ in range(12)]
        seen += issued
        settle(tasks, issued)
    assert [each.ordinal for each in seen] == list(range(72))
    made = [each.task for each in seen if " of " in each.task.lineage]
    ids = {each.task.id for each in seen}
    assert made and all(proven(task) for task in made)
    for task in made:
        how, _, rest = task.lineage.partition(" of ")
        parents = rest.partition(":")[0].split()
        assert how in ("vary", "harden", "join") and set(parents) <= ids
    assert {successes(task) for task in tasks.edge.values()} == {2}
    assert {successes(task) for task in tasks.solved.values()} == {4}
    again = Counter(each.task.id for each in seen)
    assert max(again.values()) > 1
    assert all(successes(e.task) == 2 for e in seen if again[e.task.id] > 2)


def test_order_of_feedback_and_a_resume_change_nothing() -> None:
    one, other = source(), source()
    for tasks, shuffle in ((one, None), (other, Random(1))):
        for _ in range(2):
            settle(tasks, [tasks.next() for _ in range(10)], shuffle)
    resumed = source()
    resumed.load_state_dict(json.loads(json.dumps(one.state_dict())))
    ahead = [one.next() for _ in range(10)]
    assert ahead == [other.next() for _ in range(10)] == [resumed.next() for _ in range(10)]
    assert one.state_dict() == resumed.state_dict()


def test_a_resume_with_groups_under_way_hears_how_they_went() -> None:
    one, resumed = source(), source()
    settle(one, [one.next() for _ in range(10)])
    issued = [one.next() for _ in range(10)]
    settle(one, issued[:3])
    resumed.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for tasks in (one, resumed):
        settle(tasks, issued[3:])
    assert [one.next() for _ in range(10)] == [resumed.next() for _ in range(10)]
    assert one.state_dict() == resumed.state_dict()


def test_pools_are_bounded_and_groups_without_verdicts_say_nothing() -> None:
    tasks = source()
    drawn = take([WORLD], Split.TRAIN, 9, POOL + 5)
    tasks.feedback(tasks.next().ordinal, [])
    tasks.next()
    assert not tasks.edge and not tasks.solved
    for ordinal, task in enumerate(drawn, 100):
        tasks._open[ordinal] = task
        tasks.feedback(ordinal, scores(2))
    tasks.state_dict()
    assert list(tasks.edge) == [task.id for task in drawn[5:]]
