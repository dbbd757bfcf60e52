"""Branches keep state and tokens, play on their own, and only their own turns train."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn, IssuedTask, Task
from tooldojo.rollouts.branch import BranchError, branch_point, play_branches
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Group, SpanKind
from tooldojo.rollouts.replay import transcript, verify
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.batch import members_of
from tooldojo.verifiers.reward import RewardShape


def settings(limits: Limits) -> PlaySettings:
    return PlaySettings(limits, RewardShape(), 3)


@pytest.fixture
def parent(chat: Chat, task: Task, limits: Limits) -> Group:
    sampler = ScriptedSampler(chat, "gold", 0)
    issued = IssuedTask(4, task)
    return asyncio.run(play_group(issued, 1, sampler, chat, settings(limits), BASE))


class Halfhearted:
    """Odd members play the demonstration, even ones add too much."""

    def __init__(self, chat: Chat) -> None:
        self.chat, self.seen = chat, list[SampleRequest]()
        self.engine = EngineId("half", "scripted", 1, "here")

    async def sample(self, request: SampleRequest) -> Sampled:
        self.seen.append(request)
        turn = request.task.gold[request.turn]
        if turn.calls and not request.place[1] % 2:
            turn = GoldTurn("", (Call("add", {"counter": "C1", "by": 100}),))
        ids = tuple(self.chat.gold_ids(turn))
        logprobs = tuple(-0.25 for _ in ids)
        return Sampled(ids, logprobs, "stop", request.policy, 0.0, 0.0)


def test_a_branch_goes_on_from_state_and_tokens(
    parent: Group, chat: Chat, task: Task, limits: Limits, tmp_path: Path
) -> None:
    (first,) = parent.trajectories
    point = branch_point(task, first, chat, 1)
    assert point.snapshot.turn == 1 and point.snapshot.hashes == first.hashes[:2]
    sampler = Halfhearted(chat)
    group = asyncio.run(play_branches(point, 4, sampler, chat, settings(limits), BASE))
    assert [t.score.success for t in group.trajectories if t.score] == [False, True, False, True]
    assert group.ordinal == point.ordinal != parent.ordinal
    start = first.segments[0].turns[1].start
    opening = next(r for r in sampler.seen if r.turn == 1)
    assert opening.results == (str(task.gold and point.snapshot.calls[0].result),)
    for branch in group.trajectories:
        (segment,) = branch.segments
        assert np.array_equal(segment.ids_T[:start], first.segments[0].ids_T[:start])
        assert (branch.prefix_turns, branch.prompt_tokens, branch.turns) == (1, start, 3)
        assert branch.hashes[:2] == first.hashes[:2] and len(branch.hashes) == 4
        own = sum(turn.end - turn.start for turn in segment.turns[1:])
        assert branch.sampled_tokens == own
        parts = transcript(branch, chat)
        assert {p.turn for p in parts if p.trained} == {1, 2}
    members = members_of([group], lambda rewards: rewards - rewards.mean())
    assert [member.advantage for member in members] == [-0.5, 0.5, -0.5, 0.5]
    for member in members:
        assert member.sequences[0].targets_N.min() == start
        assert np.isclose(member.sequences[0].old_N, -0.25).all()
    store = TrajectoryStore(tmp_path)
    store.append([group], "train", 0)
    assert [row.trajectory.prefix_turns for row in store.read()] == [1] * 4
    assert verify(store, chat).exact


def test_every_turn_can_be_branched(parent: Group, chat: Chat, task: Task, limits: Limits) -> None:
    (first,) = parent.trajectories
    for turn in range(first.turns):
        point = branch_point(task, first, chat, turn)
        sampler = ScriptedSampler(chat, "gold", 0)
        (again,) = asyncio.run(
            play_branches(point, 1, sampler, chat, settings(limits), BASE)
        ).trajectories
        assert again.score == first.score and again.hashes == first.hashes
        assert np.array_equal(again.segments[0].ids_T, first.segments[0].ids_T)
        kinds = again.segments[0].kinds_T
        assert (kinds == SpanKind.PROMPT).sum() == len(chat.task_prompt_ids(task))


def test_what_cannot_be_branched(
    parent: Group,
    chat: Chat,
    task: Task,
    limits: Limits,
    monkeypatch: pytest.MonkeyPatch,
    tasks: Callable[..., Task],
) -> None:
    (first,) = parent.trajectories
    with pytest.raises(BranchError, match="there is no turn 3; it has 0 to 2"):
        branch_point(task, first, chat, 3)
    with pytest.raises(BranchError, match="several segments"):
        branch_point(task, replace(first, segments=first.segments * 2), chat, 1)
    sampler = ScriptedSampler(chat, "gold", 0)
    point = branch_point(task, first, chat, 2)
    with pytest.raises(ValueError, match="turn 2 is beyond max_turns=2"):
        short = settings(replace(limits, max_turns=2))
        asyncio.run(play_branches(point, 1, sampler, chat, short, BASE))
    with pytest.raises(ValueError, match="in its own task"):
        other = replace(point, task=tasks(ordinal=1))
        asyncio.run(play_branches(other, 1, sampler, chat, settings(limits), BASE))
    monkeypatch.setattr(world_class(task.env), "state_hash", lambda self: "0")
    with pytest.raises(BranchError, match="differs from the stored one before 0"):
        branch_point(task, first, chat, 1)
