"""`check`: conformance of a world, as findings by name.

Invariant: a check never stops the others; what crashes is a finding like any other.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import gymnasium as gym
from gymnasium.utils.env_checker import check_env

from tooldojo.envs.blame import described
from tooldojo.envs.gates import conformance, fuzzing
from tooldojo.envs.gates.play import Finding
from tooldojo.envs.registry import gym_id, world_class
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split, Task
from tooldojo.envs.world import World

WorldCheck = Callable[[type[World]], Iterator[str]]
TaskCheck = Callable[[Task, Task], Iterator[str]]
SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)  # those that every world fills


def gymnasium_accepts_it(world: type[World]) -> Iterator[str]:
    """gymnasium's own checker has nothing to say, and the world runs as a vector env."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(gym_id(world.env_id)).unwrapped)
        envs = gym.make_vec(gym_id(world.env_id), num_envs=2, vectorization_mode="sync")
    observation, _ = envs.reset(seed=3)
    if len(observation) != 2:
        yield f"a vector env of two gives {len(observation)} observations"
    envs.action_space.seed(3)
    envs.step(envs.action_space.sample())
    envs.close()


def tasks_are_deterministic(world: type[World]) -> Iterator[str]:
    """A task depends on seed, split, level and ordinal alone, and differs from its neighbours."""
    for level in world.levels:
        first, again = (
            [world.make_task(5, Split.TRAIN, level, ordinal) for ordinal in range(4)]
            for _ in range(2)
        )
        if first != again:
            yield f"the same seed gives other tasks of level {level} the second time"
        if len({task.id for task in first}) == 1:
            yield f"four tasks of level {level} are all the same"


WORLD_CHECKS: dict[str, WorldCheck] = {
    check.__name__: check for check in (gymnasium_accepts_it, tasks_are_deterministic)
}
TASK_CHECKS: dict[str, TaskCheck] = {
    check.__name__: check
    for check in (
        conformance.gold_scores_one,
        conformance.constant_replies_score_zero,
        conformance.play_is_deterministic,
        conformance.global_generators_are_untouched,
        conformance.instances_are_isolated,
        conformance.snapshots_continue_identically,
        conformance.step_equals_astep,
        conformance.reads_do_not_disturb_each_other,
        conformance.tasks_survive_json,
        conformance.nothing_hidden_is_shown,
        conformance.rewards_are_finite,
        conformance.verdicts_are_pure,
        conformance.state_hash_is_canonical,
        fuzzing.random_calls_are_harmless,
        fuzzing.hostile_calls_are_refused_or_harmless,
    )
}


def sample_tasks(world: type[World], seed: int) -> Iterator[Task]:
    """Tasks without end: levels in equal shares, the three plain splits in turn."""
    sources = [GeneratedTasks([world.env_id], split, seed) for split in SPLITS]
    while True:
        for source in sources:
            yield source.next().task


def check_world(
    reference: str,
    tasks: int = 30,
    seed: int = 0,
    progress: Callable[[str], None] = lambda check: None,
) -> list[Finding]:
    """All checks of a world on `tasks` tasks (two at least); empty when it conforms.

    `progress` gets each check's name once it is done.
    """
    world = world_class(reference)
    found = []
    for name in WORLD_CHECKS:
        found += run_world_check(name, world)
        progress(name)
    try:
        drawn = list(islice(sample_tasks(world, seed), max(2, tasks)))
    except Exception as error:  # drafts and golds are under test, too
        return [*found, Finding("sample_tasks", "", _crash(error))]
    for name in TASK_CHECKS:
        found += run_task_check(name, drawn)
        progress(name)
    return found


def run_world_check(name: str, world: type[World]) -> list[Finding]:
    """The findings of one check on a world."""
    return _guarded(name, "", lambda: WORLD_CHECKS[name](world))


def run_task_check(name: str, tasks: Sequence[Task]) -> list[Finding]:
    """The findings of one check on each task, with the next one as the other."""
    others = [*tasks[1:], *tasks[:1]]
    return [
        finding
        for task, other in zip(tasks, others, strict=True)
        for finding in _guarded(name, task.id, lambda t=task, o=other: TASK_CHECKS[name](t, o))
    ]


def _guarded(name: str, task_id: str, complaints: Callable[[], Iterator[str]]) -> list[Finding]:
    found = []
    try:
        for what in complaints():
            found.append(Finding(name, task_id, what))
    except Exception as error:  # the world under test may raise anything; that is the finding
        found.append(Finding(name, task_id, _crash(error)))
    return found


def _crash(error: Exception) -> str:
    return f"crashed with {described(error)}"
