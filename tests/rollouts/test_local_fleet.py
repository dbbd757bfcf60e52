"""One sampler in this process: order, limits, early end, and bugs that propagate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.sampler import Sampled, Sampler, SampleRequest


class Counting:
    """Counts what is under way; raises on one task."""

    def __init__(self, inner: LocalFleet, bad: str | None = None) -> None:
        self.inner, self.bad = inner.sampler, bad
        self.engine = inner.sampler.engine
        self.now = self.most = 0

    async def sample(self, request: SampleRequest) -> Sampled:
        if request.task.id == self.bad:
            raise KeyError("a bug in a sampler")
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        return await self.inner.sample(request)


def issue(tasks: list[Task]) -> list[IssuedTask]:
    return [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]


def test_every_task_comes_back_once_within_the_limit(
    skilled: Callable[..., LocalFleet], heldout: Callable[[int], list[Task]]
) -> None:
    player = skilled(1.0, 1)
    player.sampler = counting = Counting(player)
    player.max_inflight = 6
    groups = list(player.play(issue(heldout(7)), 2))
    assert sorted(group.ordinal for group in groups) == list(range(7))
    assert all(len(group.trajectories) == 2 and group.dead for group in groups)
    assert 2 <= counting.most <= 6


class Waiting:
    """The first trajectory waits for the second group to begin."""

    def __init__(self, inner: Sampler) -> None:
        self.inner, self.engine, self.second = inner, inner.engine, asyncio.Event()

    async def sample(self, request: SampleRequest) -> Sampled:
        if request.place[0] == 1:
            self.second.set()
        if request.place == (0, 0):
            async with asyncio.timeout(5):
                await self.second.wait()
        return await self.inner.sample(request)


def test_places_of_members_that_ended_go_to_the_next_group(
    skilled: Callable[..., LocalFleet], heldout: Callable[[int], list[Task]]
) -> None:
    player = skilled(1.0, 1)
    player.sampler, player.max_inflight = Waiting(player.sampler), 2
    groups = list(player.play(issue(heldout(3)), 2))
    assert [len(group.scored) for group in groups] == [2, 2, 2]


def test_the_iterator_may_be_closed_early(
    skilled: Callable[..., LocalFleet], heldout: Callable[[int], list[Task]]
) -> None:
    groups = skilled(1.0, 1).play(issue(heldout(5)), 1)
    next(groups)
    groups.close()


def test_a_bug_propagates(
    skilled: Callable[..., LocalFleet],
    heldout: Callable[[int], list[Task]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    tasks = heldout(4)
    player = skilled(1.0, 1)
    player.sampler = Counting(player, bad=tasks[2].id)
    with pytest.raises(KeyError, match="a bug in a sampler"):
        list(player.play(issue(tasks), 1))
    assert "never retrieved" not in capfd.readouterr().err
