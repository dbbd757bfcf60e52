"""One contract for every native world, bare and wrapped: a new world gets these tests by being
registered.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from random import Random

import pytest

from tooldojo.envs.draft import Draft
from tooldojo.envs.gates.audit import MAX_EQUIVALENT, audit_world
from tooldojo.envs.gates.check import (
    TASK_CHECKS,
    WORLD_CHECKS,
    run_task_check,
    run_world_check,
)
from tooldojo.envs.gates.play import play_task
from tooldojo.envs.gates.realisability import is_known, unknown_values
from tooldojo.envs.registry import NATIVE, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.wrappers.wrapped import Wrapped
from tooldojo.verifiers.canonical import differences

AUDITED = 300  # trajectories a world
DRAFTS = 600  # per level; a draft costs a tenth of a task
PER_SPLIT = 20  # times five splits: 100 tasks a level
FEW = 4  # instead, for a wrapped world: its tasks are those of its base
UNREAD_TASKS = 200  # a level
MOST_UNREAD = {  # measured, where a level has more than a quarter
    (
        "tooldojo/Orders-v0",
        1,
    ): 0.62,  # each request without a tool; policy words
    (
        "tooldojo/Travel-v0",
        1,
    ): 0.48,  # refusals; full, unknown, missing
}
WRAPPERS = (
    "flaky=0.3",
    "rename=1",
    "params=1",
    "strings=1",
    "nest=1",
    "shuffle=1",
    "distractors=4",
    "latency=0.0002",
    "turns=7",
)
ALL_WRAPPERS = "&".join([*WRAPPERS, "seed=3"])
WRAPPED = [pytest.param(f"{world}?{ALL_WRAPPERS}", id=f"{world}?all") for world in NATIVE]
ONE_BY_ONE = [
    pytest.param(f"{world}?{each}", id=f"{world}?{each}", marks=pytest.mark.slow)
    for world in ("tooldojo/Orders-v0", "tooldojo/Database-v0")
    for each in WRAPPERS
]
every_world = pytest.mark.parametrize("env_id", [*NATIVE, *WRAPPED, *ONE_BY_ONE])
every_native_world = pytest.mark.parametrize("env_id", NATIVE)


@cache
def tasks_of(env_id: str, level: int) -> tuple[Task, ...]:
    """Tasks of a level, from all five splits."""
    found: list[Task] = []
    count = PER_SPLIT if env_id in NATIVE else FEW
    for split in Split:
        try:
            found += take([env_id], split, 11, count, [level])
        except LookupError as error:
            assert split is Split.TEST_COMBOS, error
            assert f"no task of level {level}" in str(error)
    return tuple(found)


def all_tasks(env_id: str) -> list[Task]:
    return [task for level in world_class(env_id).levels for task in tasks_of(env_id, level)]


@cache
def train_drafts(env_id: str) -> tuple[Draft, ...]:
    """Drafts of all levels that belong to the training split."""
    world, rng = world_class(env_id), Random(3)
    drafts = [world.draft(rng, level) for level in world.levels for _ in range(DRAFTS)]
    return tuple(draft for draft in drafts if world.split_of(draft) is Split.TRAIN)


def some_tasks(env_id: str, count: int = 30) -> list[Task]:
    """Tasks of all levels and splits, evenly drawn."""
    tasks = all_tasks(env_id)
    return tasks[:: max(1, len(tasks) // count)]


@every_world
@pytest.mark.parametrize("name", WORLD_CHECKS)
def test_the_world_conforms(env_id: str, name: str) -> None:
    assert run_world_check(name, world_class(env_id)) == []


@every_world
@pytest.mark.parametrize("name", TASK_CHECKS)
def test_its_tasks_conform(env_id: str, name: str) -> None:
    assert run_task_check(name, some_tasks(env_id)) == []


@every_world
def test_every_demonstration_succeeds(env_id: str) -> None:
    assert run_task_check("gold_scores_one", all_tasks(env_id)) == []


@every_world
def test_demonstrations_say_only_what_can_be_known(env_id: str) -> None:
    assert [what for task in some_tasks(env_id, 120) for what in unknown_values(task)] == []


@every_native_world
def test_the_verifier_passes_its_audit(env_id: str) -> None:
    report = audit_world(env_id, AUDITED, seed=7)
    assert report.findings == [] and report.passed
    assert report.trajectories == AUDITED
    assert all(row.equivalent_share <= MAX_EQUIVALENT for row in report.rows)


def test_a_verifier_in_all_wrappers_passes_its_audit() -> None:
    report = audit_world(f"tooldojo/Privacy-v0?{ALL_WRAPPERS}", AUDITED, seed=7)
    assert report.findings == [] and report.trajectories == AUDITED


@every_world
def test_every_level_fills_every_split(env_id: str) -> None:
    for level in world_class(env_id).levels:
        tasks = tasks_of(env_id, level)
        splits = [task.split for task in tasks]
        needed = set(Split) if level > 1 else set(Split) - {Split.TEST_COMBOS}
        assert needed <= set(splits)
        assert len({task.id for task in tasks}) == len(tasks)
        assert {task.level for task in tasks} == {level}


@every_world
def test_splits_are_disjoint(env_id: str) -> None:
    world = world_class(env_id)
    others = [t for split in Split for t in take([env_id], split, 12, 15, world.levels[-1:])]
    home: dict[str, Split] = {}
    for task in [*all_tasks(env_id), *others]:
        assert home.setdefault(task.id, task.split) is task.split
        combo = (task.template, task.condition) in world.unseen_combos
        assert combo == (task.split is Split.TEST_COMBOS)
        wording = task.wording in world.unseen_wordings
        assert wording == (task.split is Split.TEST_WORDINGS)


@every_world
def test_unseen_combinations_are_made_of_seen_parts(env_id: str) -> None:
    world = world_class(env_id)
    train = train_drafts(env_id)
    templates = {draft.template for draft in train}
    conditions = {draft.condition for draft in train}
    parts = {part for condition in conditions for part in condition.split("_")}
    assert world.unseen_combos
    for template, condition in world.unseen_combos:
        assert template in templates
        assert condition in conditions or set(condition.split("_")) <= parts
    wordings = {draft.wording for draft in train}
    assert 0.1 <= len(world.unseen_wordings) / (len(wordings) + len(world.unseen_wordings)) <= 0.34


@every_world
def test_there_is_enough_variety(env_id: str) -> None:
    drafts, world = train_drafts(env_id), world_class(env_id)
    idle = world.interface.distractors if issubclass(world, Wrapped) else set()
    assert len({draft.template for draft in drafts}) >= 8
    assert len(world.tool_specs()) >= 5
    used = {call.name for draft in drafts for turn in draft.gold for call in turn.calls}
    assert used == set(world.tool_specs()) - idle
    faulty = sum(bool(draft.faults) for draft in drafts) / len(drafts)
    assert 0.08 <= faulty <= 0.25 or "flaky" in env_id
    assert 0.06 <= sum(len(draft.gold) == 1 for draft in drafts) / len(drafts) <= 0.16


@every_native_world
def test_declining_unread_seldom_pays(env_id: str) -> None:
    """Few tasks of a level leave the state as it was and take a line that the request gives away.

    They are what a policy that never calls a tool can hope for.
    """
    world = world_class(env_id)
    for level in world.levels:
        tasks = take([env_id], Split.TRAIN, 13, UNREAD_TASKS, [level])
        unread = [task for task in tasks if _needs_no_reading(task, world.system_prompt)]
        share = len(unread) / len(tasks)
        kinds = Counter((task.template, task.condition) for task in unread)
        assert share <= MOST_UNREAD.get((env_id, level), 0.25), (level, share, kinds)


@every_native_world
def test_the_right_line_alone_is_paid_where_nothing_need_be_called(env_id: str) -> None:
    if env_id == "tooldojo/Maths-v0":
        pytest.skip("sums can be done in the head; docs/worlds.md says so")
    for task in some_tasks(env_id):
        paid = play_task(task, task.gold[-1:]).score.success
        assert paid or len(task.gold) > 1
        assert not paid or len(task.gold) == 1 or "refused" in (task.goal.answer or "")


def _needs_no_reading(task: Task, policy: str) -> bool:
    if any(differences(task.goal.world, task.world, task.goal.ignore)):
        return False
    line = (task.goal.answer or "").partition(":")[2]
    rules = re.sub(r"(?m)^\d+\.", "", policy)  # their numbers are no values
    return is_known(line, f"{task.prompt}\n{rules}")
