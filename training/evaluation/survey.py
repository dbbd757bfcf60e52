"""What a world pays before anybody trains on it: floors, oracle, and what a policy earns.

Floors are policies that do not solve tasks; the oracle replays demonstrations. Reads scores only.
Invariant: all policies of a survey play the same tasks; a trajectory without a verdict is in no
rate and is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import comb

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Task
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.scripted import Script
from tooldojo.training.scripted_play import play_script
from tooldojo.verifiers.intervals import Proportion, wilson

FLOORS = ("do_nothing", "constant_reply", "random_tool", "nearest_demonstration", "guess")
ORACLE = "gold"


@dataclass(frozen=True, slots=True)
class Earnings:
    """What a scripted policy earned: success, and the mean of the scores' values.

    calling: success on the tasks whose demonstration calls a tool or asks a user; idle: on the
    others, where calling nothing is right. None where there is no such task.
    """

    policy: str
    success: Proportion
    value: float
    calling: Proportion | None
    idle: Proportion | None


@dataclass(frozen=True, slots=True)
class PolicySurvey:
    """What a model earned with several samples a task.

    pass_at: by k, the chance that one of k samples succeeds, averaged over tasks. dead_groups: by
    group size, the expected share of groups whose members all succeed or all fail. tokens, seconds,
    turns: means of a trajectory; seconds are those of the engine at hand, several at once. failed:
    trajectories without a verdict.
    """

    policy: str
    tasks: int
    samples: int
    success: Proportion
    pass_at: dict[int, float]
    dead_groups: dict[int, float]
    tokens: float
    turns: float
    seconds: float
    failed: int


def earnings(
    policy: str,
    tasks: Sequence[Task],
    demonstrations: Sequence[Task],
    seed: int,
    progress: Callable[[object], None] = lambda played: None,
) -> Earnings:
    """Play each task once with a script, within its world's limit on turns; no demonstration is one
    of the tasks.
    """
    ids = {task.id for task in tasks}
    script = Script(policy, seed, [task for task in demonstrations if task.id not in ids])
    values: list[float] = []
    solved: dict[bool, list[bool]] = {True: [], False: []}  # by whether the demonstration calls
    for task in tasks:
        played = play_script(task, script, seed, world_class(task.env).max_turns)
        values.append(played.value or 0.0)
        solved[len(task.gold) > 1].append(bool(played.success))
        progress(played)
    calling, idle = (_share(solved[calls]) for calls in (True, False))
    success = wilson(sum(map(sum, solved.values())), len(tasks))
    return Earnings(policy, success, math.fsum(values) / len(tasks), calling, idle)


def _share(solved: Sequence[bool]) -> Proportion | None:
    return wilson(sum(solved), len(solved)) if solved else None


def survey_policy(policy: str, groups: Iterable[Group], sizes: Sequence[int]) -> PolicySurvey:
    """The figures of a policy from groups of equal size; `sizes`: the k and group sizes wanted.

    Raises:
        ValueError: when no trajectory has a verdict.
    """
    played = list(groups)
    scored = [t for group in played for t in group.scored]
    if not scored:
        raise ValueError(f"{policy} has no trajectory with a verdict; see `tooldojo rollout`")
    tallies = [(sum(t.score.success for t in g.scored if t.score), len(g.scored)) for g in played]
    passed, dead = {}, {}
    for size in sizes:
        fits = [(solved, trials) for solved, trials in tallies if trials >= size]
        if fits:
            passed[size] = math.fsum(pass_at_k(*each, size) for each in fits) / len(fits)
            dead[size] = math.fsum(dead_share(*each, size) for each in fits) / len(fits)
    every = sum(len(group.trajectories) for group in played)
    return PolicySurvey(
        policy,
        len(played),
        max(len(group.trajectories) for group in played),
        wilson(sum(solved for solved, _ in tallies), len(scored)),
        passed,
        dead,
        sum(t.sampled_tokens for t in scored) / len(scored),
        sum(t.turns for t in scored) / len(scored),
        math.fsum(t.seconds for t in scored) / len(scored),
        every - len(scored),
    )


def pass_at_k(solved: int, trials: int, k: int) -> float:
    """Unbiased chance that one of k samples succeeds (Chen et al. 2021, arXiv:2107.03374).

    Raises:
        ValueError: for more samples than there were trials.
    """
    _check(solved, trials, k)
    return 1 - comb(trials - solved, k) / comb(trials, k)


def dead_share(solved: int, trials: int, size: int) -> float:
    """Unbiased chance that a group of `size` has one outcome only: p^G + (1 - p)^G.

    Raises:
        ValueError: for larger groups than there were trials.
    """
    _check(solved, trials, size)
    return (comb(solved, size) + comb(trials - solved, size)) / comb(trials, size)


def _check(solved: int, trials: int, size: int) -> None:
    if not 0 <= solved <= trials or not 1 <= size <= trials:
        raise ValueError(f"{size} of {trials} trials with {solved} successes cannot be drawn")
