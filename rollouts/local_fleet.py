"""`LocalFleet`: samplers in this process behind the same face as `Fleet`, without Ray.

For transformers, scripted and simulated policies, tests and debugging. Refuses nothing that `Fleet`
takes, but a policy can only be published to a sampler that has a delivery. Engines rest while the
caller is away: one thread does it all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.host import Host, ToolThreads
from tooldojo.rollouts.player import PlaySettings, play_group
from tooldojo.rollouts.publish import BASE, DeliveryReceipt, Prover, Transport, digest_of
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import Sampler
from tooldojo.rollouts.scheduler import Job, Scheduler
from tooldojo.rollouts.stream import WAITING, FleetView, GroupStream, play_through
from tooldojo.rollouts.updates import DeliveryError, PolicyUpdate, Probe

if TYPE_CHECKING:
    from tooldojo.rollouts.engine import VllmSampler
    from tooldojo.rollouts.transformers_sampler import TransformersSampler

Deliver = Callable[[PolicyUpdate], DeliveryReceipt]


class LocalFleet:
    """Plays groups with at most `max_inflight` trajectories under way.

    others: further engines beside `sampler`, for simulations. deliver: how the sampler takes a
    policy; None refuses to publish.
    """

    def __init__(
        self,
        sampler: Sampler,
        chat: Chat,
        settings: PlaySettings,
        *,
        policy: PolicyRef = BASE,
        max_inflight: int = 32,
        deliver: Deliver | None = None,
        others: Sequence[Sampler] = (),
    ) -> None:
        self.sampler, self.chat, self.settings, self.policy = sampler, chat, settings, policy
        self.max_inflight, self._deliver, self.others = max_inflight, deliver, tuple(others)

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """All engines."""
        return (self.sampler, *self.others)

    @property
    def engines(self) -> tuple[EngineId, ...]:
        """Who plays."""
        return tuple(sampler.engine for sampler in self.samplers)

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Generator[Group, None, None]:
        """Groups as they finish, in any order; a bug in one ends all."""
        return play_through(self.stream(group_size), issued)

    def at(self, temperature: float | None = None, run_seed: int | None = None) -> FleetView:
        """The same sampler under another temperature or run seed."""
        return FleetView.of(self, temperature, run_seed)

    def stream(
        self, group_size: int, settings: PlaySettings | None = None, ahead: bool = False
    ) -> GroupStream:
        """Groups from tasks that are put in over time; see `Fleet.stream`."""
        limit = None if ahead else WAITING * self.max_inflight
        return GroupStream(_LocalEngines(self), group_size, settings or self.settings, limit)

    def publish(self, update: PolicyUpdate) -> tuple[DeliveryReceipt, ...]:
        """Deliver a policy to the sampler and prove it.

        Raises:
            DeliveryError: when the sampler does not hold it, or cannot take any.
        """
        if self._deliver is None:
            raise DeliveryError(
                f"the {self.sampler.engine.kind} sampler takes no policies; give LocalFleet a "
                "`deliver`, such as transformers_delivery(sampler)"
            )
        receipt = self._deliver(update)
        self.policy = update.ref
        return (receipt,)

    def close(self) -> None:
        """Nothing to stop."""

    def __enter__(self) -> LocalFleet:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _LocalEngines:
    """The event loop of one stream, opened by its first job; it runs while the caller waits."""

    def __init__(self, fleet: LocalFleet) -> None:
        self._fleet = fleet
        self._scheduler: Scheduler[asyncio.Task[Group]] = Scheduler(len(fleet.samplers))
        self._hosts: list[Host] = []
        self._finished: asyncio.Queue[asyncio.Task[Group]] = asyncio.Queue()
        self._runner: asyncio.Runner | None = None

    def start(self, job: Job) -> None:
        """Give a job to the least loaded engine."""
        if self._runner is None:
            self._runner, samplers = asyncio.Runner(), len(self._fleet.samplers)
            most = -(-self._fleet.max_inflight // samplers)
            self._hosts = [Host(ToolThreads(), most) for _ in range(samplers)]
        seat = self._scheduler.least_loaded()
        ticket = self._runner.get_loop().create_task(self._play(job, seat))
        ticket.add_done_callback(self._finished.put_nowait)
        self._scheduler.started(ticket, job, seat)

    async def _play(self, job: Job, seat: int) -> Group:
        fleet, (issued,) = self._fleet, job.issued
        sampler, host = fleet.samplers[seat], self._hosts[seat]
        return await play_group(
            issued, job.group_size, sampler, fleet.chat, job.settings, fleet.policy, host
        )

    def pump(self, wait: bool) -> None:
        """Let the engines play; `wait`: until a job is done."""
        if self._runner is None or not self._scheduler.tickets:
            return
        first = self._finished.get() if wait else asyncio.sleep(0)
        done = [self._runner.get_loop().run_until_complete(first)]
        while not self._finished.empty():
            done.append(self._finished.get_nowait())
        for each in filter(None, done):
            self._scheduler.ended(each).done.append(each.result())

    def abandon(self, done: deque[Group]) -> None:
        """End the stream's jobs and its loop."""
        if self._runner is None:
            return
        left = self._scheduler.abandon(done)
        self._runner.get_loop().run_until_complete(_cancelled(left))
        self._runner.close()
        self._runner = None


async def _cancelled(tasks: Sequence[asyncio.Task[Group]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def transformers_delivery(sampler: TransformersSampler) -> Deliver:
    """Merged weights into the sampler's model, proven like an engine's; a turn that is being
    sampled ends under the version that began it.
    """
    prover = Prover(sampler.engine.engine, str(sampler.model.dtype).removeprefix("torch."))

    def swap(update: PolicyUpdate) -> DeliveryReceipt:
        began = perf_counter()
        digest = _load_merged(sampler, update)
        sampler.policy = update.ref
        swapped = perf_counter()
        error, stale, decisive = prover.prove(
            update, Transport.MERGED, digest, lambda _, probe: _logprobs(sampler, probe)
        )
        return DeliveryReceipt(
            sampler.engine.engine,
            update.ref,
            Transport.MERGED,
            digest,
            error,
            stale,
            decisive,
            swapped - began,
            perf_counter() - swapped,
        )

    return lambda update: sampler.between_batches(lambda: swap(update))


def vllm_delivery(sampler: VllmSampler) -> Deliver:
    """For an engine in this process."""
    return lambda update: asyncio.run(sampler.publish(update))


def _load_merged(sampler: TransformersSampler, update: PolicyUpdate) -> str:
    """Copy the weights into the model; the digest is of what the model then holds."""
    import torch
    from safetensors.torch import load

    if update.merged is None:
        raise DeliveryError(
            f"{update.ref.name} v{update.ref.version} carries no merged weights; "
            "set rollout.transport='merged'"
        )
    tensors, held = load(update.merged), dict(sampler.model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            held[name].copy_(tensor)
    return digest_of({name: held[name] for name in tensors})


def _logprobs(sampler: TransformersSampler, probe: Probe) -> tuple[float, ...]:
    import torch

    ids = torch.tensor([probe.ids], device=sampler.model.device)
    with torch.no_grad():
        scores = sampler.model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
    return tuple(scores.gather(1, ids[0, 1:, None])[:, 0].tolist())
