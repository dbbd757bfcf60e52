"""Both transports deliver, and a delivery that went wrong stops the run instead of passing
unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load, save

from tooldojo.rollouts.engine import VllmSampler
from tooldojo.rollouts.publish import (
    BASE,
    AdapterDelivery,
    MergedDelivery,
    Prover,
    Route,
    Transport,
    digest_of,
)
from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.updates import DeliveryError, PolicyUpdate, Probe

pytestmark = pytest.mark.engine


class DroppedSwap(MergedDelivery):
    """Claims to have delivered what it did not."""

    def deliver(self, engine, update: PolicyUpdate) -> str:
        self.current = update.ref
        assert update.merged_digest is not None
        return update.merged_digest


class WrongAdapter(AdapterDelivery):
    """Answers for the version before the newest."""

    def route(self, policy: PolicyRef) -> Route:
        held = [each for each in self._held if each.version < policy.version]
        right = super().route(policy)
        return replace(right, lora=self._held[held[-1]]) if held else right


class DroppedAdapter(AdapterDelivery):
    """Loads nothing and answers with what was there before."""

    def __init__(self, before: AdapterDelivery) -> None:
        super().__init__(keep=2)
        self._held = before._held

    def deliver(self, engine, update: PolicyUpdate) -> str:
        return update.ref.digest

    def route(self, policy: PolicyRef) -> Route:
        return Route(policy, next(iter(self._held.values())), None)


@pytest.fixture(scope="module", params=list(Transport))
def engine(request, start: Callable[..., AbstractContextManager[VllmSampler]]):
    with start(request.param, max_loras=2) as sampler:
        yield sampler


@pytest.fixture
def fresh(engine: VllmSampler) -> Iterator[VllmSampler]:
    """The module's engine with a delivery as if it had just started."""
    kinds: dict[Transport, Callable[[], MergedDelivery | AdapterDelivery]] = {
        Transport.MERGED: MergedDelivery,
        Transport.ADAPTER: lambda: AdapterDelivery(keep=2),
    }
    engine.delivery.close()
    made = engine.delivery = kinds[engine.spec.transport]()
    yield engine
    made.close()
    engine.delivery.close()
    if engine.spec.transport is Transport.ADAPTER:
        engine.loop.call(lambda e: [e.remove_lora(i) for i in e.list_loras()]).result()


async def test_each_version_plays_as_the_learner_has_it(fresh, learner, lab) -> None:
    for _ in range(3):
        update = learner.step()
        receipt = await fresh.publish(update)
        assert receipt.policy == update.ref
        assert receipt.error < 1e-4
        assert (receipt.stale is None) == (update.ref.version == 1)
        assert receipt.decisive == (update.ref.version > 1)
        prompts = [lab.ids(i, 60) for i in range(4)]
        requests = [lab.request(i, p, policy=update.ref) for i, p in enumerate(prompts)]
        answers = await asyncio.gather(*(fresh.sample(each) for each in requests))
        for prompt, answer in zip(prompts, answers, strict=True):
            expected = learner.logprobs(prompt + answer.ids)[-len(answer.ids) :]
            assert np.abs(np.subtract(answer.logprobs, expected)).max() < 1e-3
            assert answer.policy == update.ref


async def test_prefixes_of_another_version_are_not_reused(fresh, learner, lab) -> None:
    prompt = lab.ids(5, 320)
    for _ in range(2):
        update = learner.step()
        await fresh.publish(update)
        before = fresh.stats()
        answer = await fresh.sample(lab.request(1, prompt, policy=update.ref))
        assert fresh.stats().since(before).cached_tokens == 0
        expected = learner.logprobs(prompt + answer.ids)[-len(answer.ids) :]
        assert np.abs(np.subtract(answer.logprobs, expected)).max() < 1e-3


async def test_a_version_that_was_never_published_is_refused(fresh, learner, lab) -> None:
    await fresh.publish(learner.step())
    unknown = learner.step().ref
    with pytest.raises(DeliveryError, match=r"policy v2 .* asked for, but the engine holds"):
        await fresh.sample(lab.request(1, lab.ids(1, 20), policy=unknown))


async def test_publishing_again_is_harmless(fresh, learner) -> None:
    learner.step()
    update = learner.step()
    first, second = await fresh.publish(update), await fresh.publish(update)
    assert first.digest == second.digest
    assert second.error == pytest.approx(first.error, abs=1e-5)


async def test_requests_under_way_survive_a_publish(fresh, learner, lab) -> None:
    first, second = learner.step(), learner.step()
    await fresh.publish(first)
    long = [lab.request(i, lab.ids(i, 30), max_tokens=300, policy=first.ref) for i in range(3)]
    running = [asyncio.create_task(fresh.sample(each)) for each in long]
    await asyncio.sleep(0.1)
    await fresh.publish(second)
    answers = await asyncio.gather(*running)
    assert {answer.policy for answer in answers} == {first.ref}
    assert {len(answer.ids) for answer in answers} == {300}
    after = await fresh.sample(lab.request(9, lab.ids(9, 30), policy=second.ref))
    assert after.policy == second.ref


async def test_old_adapters_leave_memory_and_disk(fresh, learner, lab) -> None:
    if fresh.spec.transport is Transport.MERGED:
        pytest.skip("one version only")
    updates = [learner.step() for _ in range(4)]
    for update in updates:
        await fresh.publish(update)
    homes = [Path(fresh.delivery.route(u.ref).lora.lora_path) for u in updates[2:]]
    assert sorted(homes[0].parent.iterdir()) == sorted(homes)
    loaded = fresh.loop.call(lambda e: e.list_loras()).result()
    assert loaded == {fresh.delivery.route(u.ref).lora.lora_int_id for u in updates[2:]}
    with pytest.raises(DeliveryError, match="engine holds policy v3"):
        await fresh.sample(lab.request(1, lab.ids(1, 20), policy=updates[0].ref))


# What goes wrong


async def test_a_dropped_publish_is_caught(fresh, learner) -> None:
    first, second = learner.step(), learner.step()
    await fresh.publish(first)
    merged = fresh.spec.transport is Transport.MERGED
    fresh.delivery = DroppedSwap() if merged else DroppedAdapter(fresh.delivery)
    with pytest.raises(DeliveryError, match="still plays the version before policy v2"):
        await fresh.publish(second)


async def test_a_first_publish_that_is_dropped_is_caught(fresh, learner, monkeypatch) -> None:
    if fresh.spec.transport is Transport.ADAPTER:
        pytest.skip("one way is enough")
    learner.step()
    update = learner.step()
    held = await fresh.logprobs(BASE, update.probe.ids)
    near = Probe(update.probe.ids, held, tuple(x + 1e-6 for x in held))  # nothing else can tell
    monkeypatch.setattr(fresh, "_prover", Prover(fresh.engine.engine, "float32"))
    fresh.delivery = DroppedSwap()
    with pytest.raises(DeliveryError, match="still plays the version before policy v2"):
        await fresh.publish(replace(update, probe=near))


async def test_a_stale_file_is_caught_by_its_digest(fresh, learner) -> None:
    first, second = learner.step(), learner.step()
    await fresh.publish(first)
    stale = replace(second, adapter=first.adapter, merged=first.merged)
    with pytest.raises(DeliveryError, match="a stale or foreign file"):
        await fresh.publish(stale)


async def test_a_stale_file_with_the_right_digest_is_caught_by_the_probe(fresh, learner) -> None:
    first, second = learner.step(), learner.step()
    await fresh.publish(first)
    forged = replace(
        second,
        ref=replace(second.ref, digest=first.ref.digest),
        adapter=first.adapter,
        merged=first.merged,
        merged_digest=first.merged_digest,
    )
    with pytest.raises(DeliveryError, match="still plays the version before policy v2"):
        await fresh.publish(forged)


async def test_the_wrong_adapter_is_caught(fresh, learner) -> None:
    if fresh.spec.transport is Transport.MERGED:
        pytest.skip("no adapters")
    first, second = learner.step(), learner.step()
    fresh.delivery = WrongAdapter(keep=2)
    await fresh.publish(first)
    with pytest.raises(DeliveryError, match="still plays the version before policy v2"):
        await fresh.publish(second)


async def test_another_base_model_is_caught(fresh, learner) -> None:
    update = learner.step()
    elsewhere = replace(update.probe, now=tuple(x - 0.05 for x in update.probe.now))
    with pytest.raises(DeliveryError, match="engine and learner run different models"):
        await fresh.publish(replace(update, probe=elsewhere))


async def test_half_a_fused_module_is_refused(fresh, learner) -> None:
    if fresh.spec.transport is Transport.ADAPTER:
        pytest.skip("adapters have no fused weights")
    update = learner.step()
    half = {k: t for k, t in load(update.merged).items() if "k_proj" not in k}
    partial = replace(update, merged=save(half), merged_digest=digest_of(half))
    with pytest.raises(DeliveryError, match="needs q_proj, k_proj, v_proj together"):
        await fresh.publish(partial)
    with pytest.raises(DeliveryError, match="carries no merged weights"):
        await fresh.publish(replace(update, merged=None))


def test_base_is_what_an_engine_starts_with() -> None:
    assert MergedDelivery().route(BASE).policy == BASE
