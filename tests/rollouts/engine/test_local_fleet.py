"""The fleet's face over samplers in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.local_fleet import LocalFleet, transformers_delivery, vllm_delivery
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.publish import BASE, Prover, Transport
from tooldojo.rollouts.sampler import Sampled
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.transformers_sampler import TransformersSampler
from tooldojo.rollouts.updates import DeliveryError, Probe
from tooldojo.verifiers.reward import RewardShape

SETTINGS = PlaySettings(Limits(max_turns=4, max_turn_tokens=64, max_context=2048), RewardShape(), 3)


def issue(lab, count: int) -> list[IssuedTask]:
    return [IssuedTask(i, t) for i, t in enumerate(take([lab.world], Split.TRAIN, 0, count))]


def test_gold_plays_to_full_scores(lab, chat) -> None:
    with LocalFleet(ScriptedSampler(chat, "gold", 0), chat, SETTINGS) as fleet:
        groups = list(fleet.play(iter(issue(lab, 6)), group_size=2))
    assert sorted(group.ordinal for group in groups) == list(range(6))
    assert all(t.score and t.score.success for g in groups for t in g.trajectories)


def test_a_script_takes_no_policy(lab, chat, learner) -> None:
    fleet = LocalFleet(ScriptedSampler(chat, "gold", 0), chat, SETTINGS)
    with pytest.raises(DeliveryError, match="scripted sampler takes no policies"):
        fleet.publish(learner.step())


def test_transformers_take_policies_with_proof(lab, chat, learner) -> None:
    sampler = TransformersSampler(lab.model(), chat)
    fleet = LocalFleet(sampler, chat, SETTINGS, deliver=transformers_delivery(sampler))
    first, second = learner.step(), learner.step()
    (receipt,) = fleet.publish(first)
    assert (receipt.policy, receipt.transport) == (first.ref, Transport.MERGED)
    with pytest.raises(DeliveryError, match="a stale or foreign file"):
        fleet.publish(replace(second, merged=first.merged))
    (receipt,) = fleet.publish(second)
    assert receipt.decisive
    assert receipt.error < 1e-5
    (group,) = fleet.play(issue(lab, 1), group_size=2)
    for trajectory in group.trajectories:
        assert trajectory.policy == second.ref
        segment = trajectory.segments[0]
        expected = np.array([np.nan, *learner.logprobs(segment.ids_T.tolist())])
        found = segment.logprobs_T[segment.sampled_T]
        assert np.abs(found - expected[segment.sampled_T]).max() < 1e-3


def test_a_turn_is_sampled_by_one_version(lab, chat, learner) -> None:
    sampler, begun = TransformersSampler(lab.model(), chat), threading.Event()
    fleet = LocalFleet(sampler, chat, SETTINGS, deliver=transformers_delivery(sampler))
    first, second = learner.step(), learner.step()
    fleet.publish(first)
    request = lab.request(1, lab.ids(1, 30), max_tokens=40, policy=first.ref)
    (alone,) = sampler.decode([request])

    def slowly(*_: object) -> None:
        begun.set()
        time.sleep(0.01)

    async def while_it_is_published() -> Sampled:
        turn = asyncio.ensure_future(sampler.sample(request))
        await asyncio.to_thread(begun.wait, 30)
        await asyncio.to_thread(fleet.publish, second)
        return await turn

    sampler.model.register_forward_hook(slowly)
    answer = asyncio.run(while_it_is_published())
    assert (answer.ids, answer.policy) == (alone.ids, first.ref)
    assert answer.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
    assert sampler.policy == second.ref


def test_a_first_swap_without_effect_is_caught_where_precision_is_coarse(learner) -> None:
    learner.step()
    update = learner.step()
    now = np.asarray(update.probe.now)
    near = Probe(update.probe.ids, update.probe.now, tuple(now + 1e-3))  # too near for bfloat16
    update = replace(update, probe=near)
    assert update.merged_digest is not None

    def proven(base: float, found: float) -> None:
        prover, answers = Prover("engine", "bfloat16"), {BASE: now + base, update.ref: now + found}
        prover.look(near, lambda policy, _: tuple(answers[policy]))
        prover.prove(
            update,
            Transport.MERGED,
            update.merged_digest or "",
            lambda policy, _: tuple(answers[policy]),
        )

    proven(base=0.03, found=0.02)
    with pytest.raises(DeliveryError, match="still plays the version before policy v2"):
        proven(base=0.02, found=0.02)


@pytest.mark.engine
def test_an_engine_in_this_process_plays_and_learns(lab, chat, learner, start) -> None:
    with start(Transport.MERGED, max_context=2048) as sampler:
        fleet = LocalFleet(sampler, chat, SETTINGS, deliver=vllm_delivery(sampler))
        update = learner.step()
        fleet.publish(update)
        groups = list(fleet.at(temperature=0.0).play(issue(lab, 2), group_size=2))
        assert {t.policy for g in groups for t in g.trajectories} == {update.ref}
        ids = [[t.segments[0].ids_T.tolist() for t in g.trajectories] for g in groups]
        assert all(first == second for first, second in ids)
