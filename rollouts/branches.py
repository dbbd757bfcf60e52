"""Branches: groups that begin in the middle of a trajectory, and the values that they estimate.

Owns the way from a finished trajectory to `Branch` (the world's snapshot and the tokens before a
turn) and from played branches to Monte-Carlo advantages per turn. Refuses trajectories whose
context was rewritten, and worlds that do not replay. Invariant: a branch's state is the one that
the parent's hash chain names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import action_of
from tooldojo.rollouts.records import Branch, Group, IssuedBranch, Trajectory


class BranchError(ValueError):
    """A trajectory that cannot be branched; the message says why."""


def branches_of(task: Task, parent: Trajectory, chat: Chat) -> Iterator[Branch]:
    """The branches before each turn of a trajectory, from the first turn on.

    Raises:
        BranchError: where the parent cannot be played again as it was.
    """
    where = f"trajectory {parent.ordinal}.{parent.member} of {parent.env}"
    kind = world_class(task.env)
    if len(parent.segments) != 1 or not kind.capabilities.replayable:
        raise BranchError(f"{where} cannot be branched: its context or its world does not replay")
    (segment,) = parent.segments
    if segment.turns and segment.turns[0].index:
        raise BranchError(f"{where} is a branch itself; branch the trajectory that it came from")
    world = kind()
    world.reset(options={"task": task, "max_turns": parent.turns + 1})
    for turn in segment.turns:
        if world.hashes[-1] != parent.hashes[turn.index]:
            raise BranchError(f"{where} does not replay: turn {turn.index} finds another state")
        yield Branch(world.snapshot(), tuple(segment.ids_T[: turn.start].tolist()))
        if turn is not segment.turns[-1]:
            ids = segment.ids_T[turn.start : turn.end].tolist()
            world.step(action_of(chat.parse(ids)))


def issue_branches(task: Task, parent: Trajectory, chat: Chat) -> list[IssuedBranch]:
    """A task for each turn of a trajectory, to be played from just before that turn.

    Their ordinals are hashes of run, ordinal, member and turn, far above those that training
    counts.
    """
    place = (parent.seed, "branch", parent.ordinal, parent.member)
    return [
        IssuedBranch(derive_seed(*place, turn) | 1 << 62, task, branch)
        for turn, branch in enumerate(branches_of(task, parent, chat))
    ]


def turn_advantages(
    parent: Trajectory, issued: Sequence[IssuedTask], groups: Mapping[int, Group]
) -> tuple[float | None, ...]:
    """What each turn of a trajectory was worth: V(after) - V(before), in units of reward.

    V before a turn is the mean reward of the branches from there, V after the last one the
    trajectory's own reward (VinePPO, arXiv 2410.01679). issued: of `issue_branches`; groups:
    by ordinal. None where branches have no verdict. The advantages add up to reward - V(start).

    Raises:
        BranchError: for a parent without a reward.
    """
    if parent.reward is None:
        raise BranchError(f"trajectory {parent.ordinal}.{parent.member} has no reward to share out")
    values = [_value(groups[each.ordinal]) for each in issued]
    return tuple(
        None if before is None or after is None else after - before
        for before, after in pairwise([*values, parent.reward.total])
    )


def _value(group: Group) -> float | None:
    return fmean(group.rewards) if group.rewards else None
