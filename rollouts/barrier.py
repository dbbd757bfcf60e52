"""Playing in lockstep, so that an engine sees the same batches whatever the timing: `TurnBarrier`.

Owns the order in which an engine gets turns: all of a round at once, by ordinal and member, and
none before every trajectory that still plays has asked for its next one. Refuses endings that a
clock decided: the groups are then played again, whole. Invariant: what is sampled depends on
tasks, seeds and policy alone, given an engine that computes the same bits for the same batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import FailureClass
from tooldojo.rollouts.host import Host
from tooldojo.rollouts.player import PlaySettings, all_or_bug, play_group
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest


class BatchSampler(Protocol):
    """A sampler that takes several turns as one batch."""

    @property
    def engine(self) -> EngineId:
        """Where the tokens come from."""
        ...

    def submit(self, requests: Sequence[SampleRequest]) -> Sequence[Awaitable[Sampled]]:
        """Answers to come, in the order of the requests, which is also the batch's."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A turn that waits for its round; answer: the engine's promise, once the round has begun."""

    request: SampleRequest
    answer: asyncio.Future[Awaitable[Sampled]]


class TurnBarrier:
    """A sampler for `playing` trajectories that holds each turn back until all have asked.

    A trajectory that has ended must say so by `leave`, or the others wait for it.
    """

    def __init__(self, sampler: BatchSampler, playing: int) -> None:
        self._sampler, self._playing = sampler, playing
        self._asked: list[_Asked] = []

    @property
    def engine(self) -> EngineId:
        """Where the tokens come from."""
        return self._sampler.engine

    async def sample(self, request: SampleRequest) -> Sampled:
        """One turn, sampled together with those of all other trajectories."""
        asked = _Asked(request, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        try:
            self._begin_round()
            promise = await asked.answer
        except asyncio.CancelledError:
            if asked in self._asked:
                self._asked.remove(asked)
            raise
        return await promise

    def leave(self) -> None:
        """One trajectory asks no more."""
        self._playing -= 1
        self._begin_round()

    def _begin_round(self) -> None:
        if not self._asked or len(self._asked) < self._playing:
            return
        asked, self._asked = sorted(self._asked, key=lambda each: each.request.place), []
        asked = [each for each in asked if not each.answer.done()]  # its deadline has just passed
        try:
            promises = self._sampler.submit([each.request for each in asked])
        except EngineLost as error:
            for each in asked:
                each.answer.set_exception(EngineLost(str(error)))
            return
        for each, promise in zip(asked, promises, strict=True):
            each.answer.set_result(promise)


async def play_together(
    issued: Sequence[IssuedTask],
    group_size: int,
    sampler: BatchSampler,
    chat: Chat,
    settings: PlaySettings,
    policy: PolicyRef,
    host: Host | None = None,
) -> tuple[Group, ...]:
    """Play several tasks in lockstep, each `group_size` times; groups in the order of the tasks.

    Raises:
        EngineLost: when a deadline or a lost engine decided something, so that another run may
        come out differently.
    """
    barrier = TurnBarrier(sampler, len(issued) * group_size)

    def group(index: int) -> Awaitable[Group]:
        one = issued[index]
        return play_group(one, group_size, barrier, chat, settings, policy, host, barrier.leave)

    groups = await all_or_bug(group, len(issued))
    for each in groups:
        _check_reproducible(each)
    return groups


def _check_reproducible(group: Group) -> None:
    """A trajectory that failed by a clock, or came through only when it was tried again, would not
    do so every time.
    """
    for trajectory in group.trajectories:
        lost = trajectory.ending.blame is FailureClass.INFRA
        lucky = trajectory.attempt > 0 and trajectory.failure is None
        if lost or lucky:
            why = trajectory.failure.message if trajectory.failure else "only a retry came through"
            raise EngineLost(
                f"trajectory {group.ordinal}.{trajectory.member} was decided by the clock "
                f"({trajectory.ending.stop.value}: {why}), which cannot be reproduced; if that "
                "happens again, raise rollout.deadline"
            )
