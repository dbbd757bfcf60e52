"""Branches: further attempts from the middle of a trajectory, with its state and its tokens.

Owns going back to the beginning of a turn. Refuses a trajectory that does not replay up to there.
Invariant: every member of a branch group starts from the same world, the same tokens and the same
hash chain as the trajectory that it branches from; what was sampled before does not train again.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace

from tooldojo.envs.judging import recorded
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.snapshot import Snapshot
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import PlaySettings, Start, action_of, play_group
from tooldojo.rollouts.records import Group, PolicyRef, Segment, Trajectory
from tooldojo.rollouts.sampler import Sampler


class BranchError(ValueError):
    """A trajectory cannot be branched there; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class BranchPoint:
    """The beginning of a turn: the world's snapshot, and all tokens up to there.

    ordinal: of the branch group, a hash of where it branches, so that its seeds are its own.
    """

    task: Task
    ordinal: int
    snapshot: Snapshot
    prefix: Segment


def branch_point(task: Task, played: Trajectory, chat: Chat, turn: int) -> BranchPoint:
    """Where turn `turn` of a trajectory began, reached by replaying its tokens.

    Raises:
        BranchError: for a turn that was not played, a folded context, or a world that takes another
        course than the stored hash chain; it then names the first turn that differs.
    """
    if len(played.segments) != 1:
        raise BranchError(f"{task.id}: a trajectory of several segments has no one prefix")
    if not 0 <= turn < played.turns:
        raise BranchError(f"{task.id}: there is no turn {turn}; it has 0 to {played.turns - 1}")
    world = world_class(task.env)()
    world.judge = recorded(played.evidence) if played.evidence is not None else None
    world.reset(options={"task": task, "max_turns": turn + 1})
    (segment,) = played.segments
    for number in range(turn + 1):
        if world.hashes[-1] != played.hashes[number]:
            raise BranchError(f"{task.id}: the world differs from the stored one before {number}")
        if number < turn:
            at = segment.turns[number]
            world.step(action_of(chat.parse(segment.ids_T[at.start : at.end].tolist())))
    ordinal = derive_seed("branch", task.id, played.ordinal, played.member, turn) | 1 << 62
    return BranchPoint(task, ordinal, world.snapshot(), _prefix(segment, turn))


def _prefix(segment: Segment, turn: int) -> Segment:
    end = segment.turns[turn].start
    arrays = ("ids_T", "kinds_T", "call_T", "logprobs_T", "versions_T")
    cut = {name: getattr(segment, name)[:end].copy() for name in arrays}
    return replace(segment, **cut, turns=segment.turns[:turn])


async def play_branches(
    point: BranchPoint,
    group_size: int,
    sampler: Sampler,
    chat: Chat,
    settings: PlaySettings,
    policy: PolicyRef,
    threads: Executor | None = None,
) -> Group:
    """Play the rest of a trajectory `group_size` times; the mean of the rewards is a Monte-Carlo
    estimate of the value of the state (VinePPO: Kazemnejad et al. 2024, arXiv:2410.01679).
    """
    issued = IssuedTask(point.ordinal, point.task)
    start = Start(point.snapshot, point.prefix)
    return await play_group(
        issued, group_size, sampler, chat, settings, policy, threads, start=start
    )
