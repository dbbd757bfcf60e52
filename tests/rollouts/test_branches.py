"""Branches: the same state and tokens as the parent had, and what its turns were worth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tooldojo.envs.task import GoldTurn, IssuedTask, Task
from tooldojo.rollouts.branches import BranchError, branches_of, issue_branches, turn_advantages
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Group, SpanKind
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.verifiers.records import StopReason
from tooldojo.verifiers.reward import RewardShape


@dataclass
class Wavering:
    """Plays the gold, but members from `strays` on give up at turn `at`."""

    chat: Chat
    strays: int = 99
    at: int = 0
    engine: EngineId = field(default=EngineId("wavering", "scripted", 1, "here"))

    async def sample(self, request: SampleRequest) -> Sampled:
        gone = request.place[1] >= self.strays and request.turn >= self.at
        turn = GoldTurn("", (), "no") if gone else request.task.gold[request.turn]
        ids = tuple(self.chat.gold_ids(turn))
        return Sampled(ids, (-0.5,) * len(ids), "stop", request.policy, 0.0, 0.0)


Play = Callable[..., Group]


@pytest.fixture
def play(chat: Chat, limits: Limits) -> Play:
    def run(issued: IssuedTask, size: int, sampler: Wavering) -> Group:
        settings = PlaySettings(limits, RewardShape(), 3)
        return asyncio.run(play_group(issued, size, sampler, chat, settings, BASE))

    return run


def test_a_branch_ends_like_its_parent_when_it_goes_on_like_it(
    chat: Chat, tasks: Callable[..., Task], play: Play
) -> None:
    task = tasks(level=2)
    parent = play(IssuedTask(4, task), 1, Wavering(chat)).trajectories[0]
    issued = issue_branches(task, parent, chat)
    assert [each.branch.snapshot.turn for each in issued] == [0, 1, 2]
    assert len({each.ordinal for each in issued}) == 3
    for turn, each in enumerate(issued):
        for branch in play(each, 2, Wavering(chat)).trajectories:
            (mine,), (theirs,) = branch.segments, parent.segments
            assert np.array_equal(mine.ids_T, theirs.ids_T)
            assert branch.hashes == parent.hashes
            assert branch.score == parent.score and branch.reward == parent.reward
            assert [t.index for t in mine.turns] == list(range(turn, 3))
            assert branch.prompt_tokens == theirs.turns[turn].start
            assert set(mine.kinds_T[: branch.prompt_tokens]) == {SpanKind.PROMPT}
            assert not mine.sampled_T[: branch.prompt_tokens].any()
            assert np.array_equal(
                mine.sampled_T[branch.prompt_tokens :], theirs.sampled_T[branch.prompt_tokens :]
            )


def test_turn_advantages_share_out_the_reward(
    chat: Chat, tasks: Callable[..., Task], play: Play
) -> None:
    task = tasks(level=2)
    parent = play(IssuedTask(4, task), 1, Wavering(chat)).trajectories[0]
    issued = issue_branches(task, parent, chat)
    strays = (1, 2, 4)  # of 4 branches, 1, 2 and 4 succeed from turns 0, 1 and 2 on
    groups = {
        each.ordinal: play(each, 4, Wavering(chat, strays=count))
        for each, count in zip(issued, strays, strict=True)
    }
    assert turn_advantages(parent, issued, groups) == pytest.approx((0.25, 0.5, 0.0))
    start = groups[issued[0].ordinal]
    empty = replace(
        start, trajectories=tuple(replace(t, score=None, reward=None) for t in start.trajectories)
    )
    assert turn_advantages(parent, issued, groups | {start.ordinal: empty})[0] is None
    with pytest.raises(BranchError, match="no reward"):
        turn_advantages(replace(parent, reward=None), issued, groups)


@dataclass
class Stammering(Wavering):
    """Plays malformed calls until turn `at`, then the answer."""

    async def sample(self, request: SampleRequest) -> Sampled:
        said = request.task.gold[-1].message or ""
        ids = tuple(self.chat.turn_ids("<tool_call>" if request.turn < self.at else said))
        return Sampled(ids, (-0.5,) * len(ids), "stop", request.policy, 0.0, 0.0)


def test_a_branch_counts_the_malformed_turns_before_it(
    chat: Chat, tasks: Callable[..., Task], play: Play
) -> None:
    task = tasks(level=2)
    parent = play(IssuedTask(4, task), 1, Stammering(chat, at=3)).trajectories[0]
    branch = issue_branches(task, parent, chat)[3]
    assert parent.ending.stop is StopReason.ANSWERED  # three are allowed
    (again,) = play(branch, 1, Stammering(chat, at=9)).trajectories
    assert again.ending.stop is StopReason.MALFORMED and again.turns == 1


def test_what_cannot_be_branched_says_why(
    chat: Chat, tasks: Callable[..., Task], play: Play
) -> None:
    task = tasks(level=2)
    parent = play(IssuedTask(4, task), 1, Wavering(chat)).trajectories[0]
    with pytest.raises(BranchError, match="turn 1 finds another state"):
        list(branches_of(task, replace(parent, hashes=(parent.hashes[0], "x", "y", "z")), chat))
    branch = play(issue_branches(task, parent, chat)[1], 1, Wavering(chat)).trajectories[0]
    with pytest.raises(BranchError, match="is a branch itself"):
        list(branches_of(task, branch, chat))
