"""`RolloutWorker`: one engine and the coroutines that play on it; an async Ray actor.

Owns the engine, the chat and the loaded worlds of its process. Refuses to retry lost engines: it
says so and is replaced. Invariant: the engine lives in this process, so that killing the actor in
whatever way leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.barrier import play_together
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.engine import EngineSpec, VllmSampler
from tooldojo.rollouts.host import Host, ToolThreads
from tooldojo.rollouts.player import PlaySettings, all_or_bug, play_group
from tooldojo.rollouts.publish import DeliveryReceipt
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import EngineLost
from tooldojo.rollouts.simulated import SimulatedSampler, SimulatedSpec
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.rollouts.updates import PolicyUpdate


class RolloutWorker:
    """Plays groups on its own engine: any number is taken, `most` trajectories play at once."""

    def __init__(
        self, spec: EngineSpec | SimulatedSpec, call_format: str, worlds: Sequence[str], most: int
    ) -> None:
        for reference in worlds:
            world_class(reference)
        self._chat = Chat.load(spec.model, call_format)
        self._host = Host(ToolThreads(), None if spec.deterministic else most)
        self._sampler: VllmSampler | SimulatedSampler = spec.open(self._chat)

    async def ready(self) -> EngineId:
        """Answers when the engine can play.

        Raises:
            EngineLost: when it no longer can.
        """
        self._check()
        return self._sampler.engine

    async def under_way(self, longer: float) -> tuple[str, ...]:
        """What has waited for longer than so many seconds, a line each, longest first.

        Raises:
            EngineLost: when the engine can play no more.
        """
        self._check()
        return self._host.stuck(longer)

    async def play(
        self,
        issued: Sequence[IssuedTask],
        group_size: int,
        settings: PlaySettings,
        policy: PolicyRef,
    ) -> tuple[Group, ...]:
        """Play a group per task: in lockstep where the engine is deterministic, else each on its
        own.

        Raises:
            EngineLost: when the engine was lost meanwhile; the groups must be played elsewhere.
        """
        rest = (self._chat, settings, policy)
        if isinstance(self._sampler, VllmSampler) and self._sampler.spec.deterministic:
            groups = await play_together(issued, group_size, self._sampler, *rest, self._host)
        else:
            groups = await all_or_bug(
                lambda i: play_group(issued[i], group_size, self._sampler, *rest, self._host),
                len(issued),
            )
        self._check()
        return groups

    async def publish(self, update: PolicyUpdate) -> DeliveryReceipt:
        """Deliver a policy and prove it; raises `DeliveryError` when the proof fails."""
        return await self._sampler.publish(update)

    async def stats(self) -> EngineStats:
        """The engine's counters since it started."""
        return self._sampler.stats()

    async def stop(self) -> None:
        """Stop the engine and clean up on this node."""
        self._sampler.close()

    def _check(self) -> None:
        if self._sampler.lost is not None:
            raise EngineLost(f"{self._sampler.engine.engine}: {self._sampler.lost}")
