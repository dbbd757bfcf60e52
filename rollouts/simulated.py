"""Engines without a model: `SimulatedSampler` gives scripted turns after the time that a real
engine would take, so that driver, scheduler and store can be measured and broken on any machine.

Owns the latency model and the faults that can be ordered. Invariant: what is sampled depends on
task, ordinal, member and turn alone, never on the timing or on an engine that was lost before.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import GoldTurn
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.publish import BASE, DeliveryReceipt, Transport
from tooldojo.rollouts.records import EngineId
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.rollouts.updates import PolicyUpdate

ENGINE_FAULTS = ("engine_crash", "engine_hang", "worker_exit")


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """step: seconds of one decode step with up to `width` sequences; with more it grows in
    proportion. prefill: seconds per prompt token.

    The defaults are those of the default policy on two CPU cores: 64 sequences at 8,300 tokens a
    second (vLLM, eager, merged weights); its prefill was not measured apart.
    """

    step: float = 64 / 8300
    width: int = 64
    prefill: float = 0.0

    def decode(self, tokens: int, running: int) -> float:
        """Seconds to sample so many tokens beside `running` - 1 other sequences."""
        return tokens * self.step * max(1.0, running / self.width)


@dataclass(frozen=True, slots=True)
class SimulatedSpec:
    """Everything that decides how a simulated engine behaves.

    model: whose tokenizer and template are used. skill: share of trajectories that play the gold;
    the others say nothing. faults: a directory; a file in it named after a fault (see
    `ENGINE_FAULTS`) is taken away by the first engine that sees it, which then fails that way.
    """

    model: str
    latency: LatencyModel = LatencyModel()
    skill: float = 0.5
    faults: str = ""
    deterministic: bool = False

    def environment(self) -> dict[str, str]:
        """Nothing special."""
        return {}

    def open(self, chat: Chat) -> SimulatedSampler:
        """An engine in this process."""
        return SimulatedSampler(self, chat)


class SimulatedSampler:
    """One simulated engine; any number fit into a process."""

    def __init__(self, spec: SimulatedSpec, chat: Chat) -> None:
        self.spec, self._chat = spec, chat
        name = f"simulated-{uuid.uuid4().hex[:8]}"
        self.engine = EngineId(name, "simulated", os.getpid(), platform.node())
        self.lost: str | None = None
        self._running, self._held = 0, BASE
        self._began, self._stats = time.monotonic(), EngineStats()

    async def sample(self, request: SampleRequest) -> Sampled:
        """The next turn, after its time.

        Raises:
            EngineLost: once the engine has been told to crash.
        """
        if self.lost is not None:
            raise EngineLost(self.lost)
        await self._fail_if_told()
        ids = self._turn(request)[: request.sampling.max_tokens]
        finish = "stop" if ids[-1] in request.sampling.stop_ids else "length"
        prefill = len(request.ids) * self.spec.latency.prefill
        self._running += 1
        decode = self.spec.latency.decode(len(ids), self._running)
        try:
            await asyncio.sleep(prefill + decode)
        finally:
            self._running -= 1
        past = self._stats
        self._stats = replace(
            past,
            requests=past.requests + 1,
            prompt_tokens=past.prompt_tokens + len(request.ids),
            sampled_tokens=past.sampled_tokens + len(ids),
        )
        older = request.policy.version < self._held.version
        policy = self._held if older else request.policy
        return Sampled(tuple(ids), (0.0,) * len(ids), finish, policy, prefill, decode)

    async def publish(self, update: PolicyUpdate) -> DeliveryReceipt:
        """Take a version at once; there is nothing to prove."""
        self._held = update.ref
        digest = update.merged_digest or update.ref.digest
        name, transport = self.engine.engine, Transport.MERGED
        return DeliveryReceipt(name, update.ref, transport, digest, 0.0, None, False, 0.0, 0.0)

    def stats(self) -> EngineStats:
        """Counters since the start; there are no steps."""
        return replace(self._stats, seconds=time.monotonic() - self._began)

    def close(self) -> None:
        """Nothing to stop."""

    def _turn(self, request: SampleRequest) -> list[int]:
        gold, turn = request.task.gold, request.turn
        luck = derived_random("skill", *request.place).random()
        said = gold[turn] if luck < self.spec.skill and turn < len(gold) else GoldTurn("", (), "")
        return self._chat.gold_ids(said)

    async def _fail_if_told(self) -> None:
        told = next((f for f in ENGINE_FAULTS if take_fault(self.spec.faults, f)), None)
        if told == "worker_exit":
            os._exit(1)
        if told == "engine_hang":
            await asyncio.sleep(3600)
        if told == "engine_crash":
            self.lost = f"{self.engine.engine} was told to crash"
            raise EngineLost(self.lost)


def take_fault(directory: str, fault: str) -> bool:
    """Whether a fault was ordered and nobody else has taken it."""
    if not directory:
        return False
    try:
        (Path(directory) / fault).unlink()
    except FileNotFoundError:
        return False
    return True
