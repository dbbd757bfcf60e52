"""Lockstep: an engine sees the same whatever the timing; what a clock decided does not count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import pytest

from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.task import Call, GoldTurn, IssuedTask, Task
from tooldojo.rollouts.barrier import play_together
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest
from tooldojo.verifiers.reward import RewardShape

BASE = PolicyRef("base", 0, "base")
ADD = GoldTurn("", (Call("add", {"counter": "C1", "by": 1}),))
TURNS = 4


@dataclass
class Batched:
    """Its logprobs depend on a turn's place in the batch, as an engine's last bits do; it answers
    after random waits. Members play different numbers of turns.
    """

    chat: Chat
    luck: Random
    engine: EngineId = field(default=EngineId("batched", "scripted", 1, "here"))
    batches: list[list[tuple[int, ...]]] = field(default_factory=list)
    hangs_at: int | None = None  # the batch whose last turn is never answered
    lost_at: int | None = None

    def submit(self, requests: Sequence[SampleRequest]) -> list[Awaitable[Sampled]]:
        if len(self.batches) == self.lost_at:
            raise EngineLost("gone")
        self.batches.append([(*request.place, request.turn) for request in requests])
        waits = [self.luck.random() / 100 for _ in requests]
        if len(self.batches) - 1 == self.hangs_at:
            waits[-1] = 3600.0
        return [
            self._answer(each, place / len(requests), wait)
            for place, (each, wait) in enumerate(zip(requests, waits, strict=True))
        ]

    async def _answer(self, request: SampleRequest, share: float, wait: float) -> Sampled:
        await asyncio.sleep(wait)
        turns = 1 + derive_seed(*request.place) % TURNS
        turn = ADD if request.turn + 1 < turns else GoldTurn("", (), "done")
        ids = tuple(self.chat.gold_ids(turn))
        return Sampled(ids, tuple(-share - i for i in range(len(ids))), "stop", BASE, 0, 0)


Play = Callable[..., tuple[Group, ...]]


@pytest.fixture
def play(chat: Chat, tasks: Callable[..., Task], limits: Limits) -> Play:
    def run(sampler: Batched, deadline: float = 5.0) -> tuple[Group, ...]:
        issued = [IssuedTask(7 - i, tasks(ordinal=i)) for i in range(3)]
        settings = PlaySettings(replace(limits, deadline=deadline), RewardShape(), 3)
        work = play_together(issued, 4, sampler, chat, settings, BASE)
        return asyncio.run(work)

    return run


def logprobs(groups: Sequence[Group]) -> list[np.ndarray]:
    return [t.segments[0].logprobs_T for g in groups for t in g.trajectories]


def test_batches_are_whole_and_in_order_whatever_the_timing(chat: Chat, play: Play) -> None:
    first, second = Batched(chat, Random(1)), Batched(chat, Random(2))
    played, again = play(first), play(second)
    assert first.batches == second.batches
    assert all(batch == sorted(batch) for batch in first.batches)
    assert [{turn for *_, turn in batch} for batch in first.batches] == [{i} for i in range(TURNS)]
    assert len(first.batches[0]) == 12 > len(first.batches[-1]) > 0
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(logprobs(played), logprobs(again), strict=True)
    )
    assert [group.ordinal for group in played] == [7, 6, 5]
    assert all([t.member for t in group.trajectories] == [0, 1, 2, 3] for group in played)


@pytest.mark.parametrize("fault", [{"hangs_at": 1}, {"lost_at": 2}])
def test_what_a_clock_decided_is_not_returned(chat: Chat, play: Play, fault: dict) -> None:
    sampler = Batched(chat, Random(1), **fault)
    with pytest.raises(EngineLost, match="decided by the clock"):
        play(sampler, deadline=0.2)
