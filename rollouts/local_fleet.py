"""`LocalFleet`: one sampler in this process behind the same face as `Fleet`, without Ray.

For transformers, scripted policies, tests and debugging. Refuses nothing that `Fleet` takes, but a
policy can only be published to a sampler that has a delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from tooldojo.envs.task import IssuedTask
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import PlaySettings, play_group
from tooldojo.rollouts.publish import BASE, DeliveryReceipt, Prover, Transport, digest_of
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.sampler import Sampler
from tooldojo.rollouts.updates import DeliveryError, PolicyUpdate, Probe

if TYPE_CHECKING:
    from tooldojo.rollouts.engine import VllmSampler
    from tooldojo.rollouts.transformers_sampler import TransformersSampler

Deliver = Callable[[PolicyUpdate], DeliveryReceipt]
_TOOL_THREADS = 8


@dataclass(frozen=True, slots=True, eq=False)
class LocalView:
    """A local fleet under other settings."""

    fleet: LocalFleet
    settings: PlaySettings

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Iterator[Group]:
        """Groups as they finish, in any order."""
        return self.fleet.play_with(issued, group_size, self.settings)


class LocalFleet:
    """Plays groups with at most `max_inflight` trajectories under way.

    deliver: how the sampler takes a policy; None refuses to publish.
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
    ) -> None:
        self.sampler, self.chat, self.settings, self.policy = sampler, chat, settings, policy
        self.max_inflight, self._deliver = max_inflight, deliver

    @property
    def engines(self) -> tuple[EngineId, ...]:
        """Who plays."""
        return (self.sampler.engine,)

    def play(self, issued: Iterable[IssuedTask], group_size: int) -> Generator[Group, None, None]:
        """Groups as they finish, in any order; a bug in one ends all."""
        return self.play_with(issued, group_size, self.settings)

    def at(self, temperature: float | None = None, run_seed: int | None = None) -> LocalView:
        """The same sampler under another temperature or run seed."""
        settings = self.settings
        if temperature is not None:
            settings = replace(settings, limits=replace(settings.limits, temperature=temperature))
        if run_seed is not None:
            settings = replace(settings, run_seed=run_seed)
        return LocalView(self, settings)

    def play_with(
        self, issued: Iterable[IssuedTask], group_size: int, settings: PlaySettings
    ) -> Generator[Group, None, None]:
        """`play` under explicit settings."""
        room = max(1, self.max_inflight // group_size)
        tasks = iter(issued)
        with asyncio.Runner() as runner, ThreadPoolExecutor(_TOOL_THREADS, "tools") as threads:
            loop, running = runner.get_loop(), set[asyncio.Task[Group]]()
            while True:
                while len(running) < room and (task := next(tasks, None)) is not None:
                    group = self._group(task, group_size, settings, threads)
                    running.add(loop.create_task(group))
                if not running:
                    return
                first = asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                done, running = loop.run_until_complete(first)
                for each in done:
                    yield each.result()

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

    async def _group(
        self,
        issued: IssuedTask,
        group_size: int,
        settings: PlaySettings,
        threads: ThreadPoolExecutor,
    ) -> Group:
        return await play_group(
            issued,
            group_size,
            self.sampler,
            self.chat,
            settings,
            self.policy,
            threads,
        )


def transformers_delivery(sampler: TransformersSampler) -> Deliver:
    """Merged weights into the sampler's model, proven like an engine's."""
    prover = Prover(sampler.engine.engine, str(sampler.model.dtype).removeprefix("torch."))

    def deliver(update: PolicyUpdate) -> DeliveryReceipt:
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

    return deliver


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
