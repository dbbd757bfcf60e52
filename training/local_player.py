"""`LocalPlayer`: one sampler in this process behind the same `play` as a fleet of engines.

For scripted policies, baselines and small models; refuses engines that need a process of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, play_group
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.sampler import Sampler
from tooldojo.verifiers.reward import RewardShape


class LocalPlayer:
    """Plays groups with at most `max_inflight` trajectories under way."""

    def __init__(
        self,
        sampler: Sampler,
        chat: Chat,
        limits: Limits,
        run_seed: int,
        policy: PolicyRef,
        shape: RewardShape | None = None,
        max_inflight: int = 32,
    ) -> None:
        self.sampler, self.chat, self.limits, self.run_seed = sampler, chat, limits, run_seed
        self.policy, self.shape = policy, shape or RewardShape()
        self.max_inflight = max_inflight

    def play(self, issued: Sequence[IssuedTask], group_size: int) -> Generator[Group, None, None]:
        """Groups as they finish, in any order; a bug in one ends all."""
        at_once = max(1, self.max_inflight // group_size)
        waiting = list(reversed(issued))
        running: set[asyncio.Task[Group]] = set()
        with asyncio.Runner() as runner, ThreadPoolExecutor(8) as threads:
            loop = runner.get_loop()
            try:
                while waiting or running:
                    while waiting and len(running) < at_once:
                        group = self._group(waiting.pop(), group_size, threads)
                        running.add(loop.create_task(group))
                    first = asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for done in loop.run_until_complete(first)[0]:
                        yield done.result()
                        running.discard(done)
            finally:
                runner.run(_abandon(running))

    async def _group(self, issued: IssuedTask, size: int, threads: ThreadPoolExecutor) -> Group:
        return await play_group(
            issued,
            size,
            self.sampler,
            self.chat,
            self.limits,
            self.shape,
            self.run_seed,
            self.policy,
            threads,
        )


async def _abandon(running: set[asyncio.Task[Group]]) -> None:
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
