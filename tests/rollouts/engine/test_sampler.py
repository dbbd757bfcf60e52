"""The vLLM sampler against transformers: same tokens, same logprobs, seeds that hold, no lost
futures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch

from tooldojo.rollouts.engine import VllmSampler
from tooldojo.rollouts.publish import Transport
from tooldojo.rollouts.sampler import EngineLost, Sampled

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def engine(start: Callable[..., AbstractContextManager[VllmSampler]]) -> Iterator[VllmSampler]:
    with start(Transport.MERGED) as sampler:
        yield sampler


@pytest.fixture(scope="module")
def model(lab) -> torch.nn.Module:
    return lab.model()


async def sample_all(engine: VllmSampler, requests) -> list[Sampled]:
    return list(await asyncio.gather(*(engine.sample(each) for each in requests)))


async def test_logprobs_are_those_of_a_plain_forward_pass(engine, lab, model, forward) -> None:
    prompts = [lab.ids(i, 40 + 7 * i) for i in range(12)]
    answers = await sample_all(engine, [lab.request(i, p) for i, p in enumerate(prompts)])
    for prompt, answer in zip(prompts, answers, strict=True):
        expected = forward(model, prompt + answer.ids)[-len(answer.ids) :]
        assert np.abs(np.array(answer.logprobs) - expected).max() < 1e-3
        assert (len(answer.ids), answer.finish) == (24, "length")
        assert answer.prefill > 0
        assert answer.decode > 0


@pytest.mark.parametrize("temperature", [0.5, 1.7])
async def test_logprobs_are_those_of_the_sampling_distribution(
    engine, lab, model, temperature
) -> None:
    prompt = lab.ids(3, 50)
    answer = await engine.sample(lab.request(1, prompt, temperature=temperature))
    ids = torch.tensor([prompt + answer.ids])
    with torch.no_grad():
        scores = (model(ids).logits[0, :-1] / temperature).log_softmax(-1)
    expected = scores.gather(1, ids[0, 1:, None])[-len(answer.ids) :, 0].numpy()
    assert np.abs(np.array(answer.logprobs) - expected).max() < 1e-3


async def test_tokens_follow_the_distribution(engine, lab, model) -> None:
    prompt, draws = lab.ids(4, 30), 1500
    requests = [lab.request(i, prompt, max_tokens=1) for i in range(draws)]
    answers = await sample_all(engine, requests)
    with torch.no_grad():
        expected = model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy() * draws
    found = np.bincount([a.ids[0] for a in answers], minlength=len(expected))
    common = expected > 5
    left = [found[~common].sum()], [expected[~common].sum()]
    found, expected = np.append(found[common], left[0]), np.append(expected[common], left[1])
    chi2 = ((found - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    assert freedom > 5
    assert chi2 < freedom + 5 * np.sqrt(2 * freedom)


async def test_greedy_is_that_of_transformers(engine, lab, model) -> None:
    prompts = [lab.ids(20 + i, 33) for i in range(4)]
    requests = [lab.request(i, p, temperature=0.0, max_tokens=16) for i, p in enumerate(prompts)]
    for prompt, answer in zip(prompts, await sample_all(engine, requests), strict=True):
        ids = torch.tensor([prompt])
        expected = model.generate(  # type: ignore[operator]
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            do_sample=False,
            eos_token_id=-1,
            pad_token_id=0,
        )
        assert answer.ids == tuple(expected[0, len(prompt) :].tolist())


async def test_the_stop_id_is_part_of_the_answer(engine, lab) -> None:
    prompt = lab.ids(5, 40)
    free = await engine.sample(lab.request(7, prompt))
    stop = free.ids[5]
    first = free.ids.index(stop)
    stopped = await engine.sample(lab.request(7, prompt, stop_ids=(stop,)))
    assert stopped.ids == free.ids[: first + 1]
    assert stopped.finish == "stop"
    assert len(stopped.logprobs) == first + 1


async def test_seeds_decide_whatever_the_company(engine, lab) -> None:
    prompt = lab.ids(6, 40)
    alone = await engine.sample(lab.request(11, prompt))
    crowd = await sample_all(engine, [lab.request(i, prompt) for i in range(24)])
    assert crowd[11].ids == alone.ids
    assert len({answer.ids for answer in crowd}) == 24


async def test_more_prompts_than_a_step_prefills(engine, lab) -> None:
    prompts = [lab.ids(50 + i, 900) for i in range(8)]
    answers = await sample_all(engine, [lab.request(i, p) for i, p in enumerate(prompts)])
    alone = await engine.sample(lab.request(7, prompts[7]))
    assert answers[7].ids == alone.ids


async def test_later_turns_reuse_the_prefix(engine, lab, model, forward) -> None:
    prompt = lab.ids(8, 200)
    first = await engine.sample(lab.request(1, prompt))
    before = engine.stats()
    longer = prompt + first.ids + lab.ids(81, 20)
    second = await engine.sample(lab.request(2, longer))
    spent = engine.stats().since(before)
    assert spent.prompt_tokens == len(longer)
    assert spent.cached_tokens >= 192
    assert spent.sampled_tokens == len(second.ids)
    expected = forward(model, longer + second.ids)[-len(second.ids) :]
    assert np.abs(np.array(second.logprobs) - expected).max() < 1e-3


async def test_a_full_context_is_refused_and_a_nearly_full_one_is_cut(engine, lab) -> None:
    with pytest.raises(ValueError, match="1024 tokens, which leaves no room"):
        await engine.sample(lab.request(1, lab.ids(1, 1024)))
    answer = await engine.sample(lab.request(1, lab.ids(1, 1020)))
    assert (len(answer.ids), answer.finish) == (4, "length")


async def test_a_cancelled_request_leaves_the_engine(engine, lab) -> None:
    asked = asyncio.create_task(engine.sample(lab.request(1, lab.ids(1, 20), max_tokens=1000)))
    await asyncio.sleep(0.05)
    asked.cancel()
    steps = engine.stats().steps
    await asyncio.sleep(0.5)
    settled = engine.stats().steps
    await asyncio.sleep(0.2)
    assert engine.stats().steps == settled
    assert settled - steps < 500
    assert len((await engine.sample(lab.request(1, lab.ids(1, 20)))).ids) == 24


# Engines of their own: the end of one breaks the module's, as vLLM's distributed state is global


async def test_a_small_cache_costs_time_only(engine, start, lab) -> None:
    requests = [lab.request(i, lab.ids(i, 100), max_tokens=250) for i in range(24)]
    expected = await sample_all(engine, requests)
    with start(Transport.MERGED, kv_cache_gib=0.002) as small:  # 4096 tokens for 8400
        answers = await sample_all(small, requests)
    assert [a.ids for a in answers] == [e.ids for e in expected]
    differences = [
        np.subtract(a.logprobs, e.logprobs) for a, e in zip(answers, expected, strict=True)
    ]
    assert np.abs(differences).max() < 1e-3


async def test_a_hanging_engine_is_lost_not_waited_for(start, lab) -> None:
    with start(Transport.MERGED, deadline=1.0) as engine:
        engine.loop.call(lambda _: time.sleep(4))
        with pytest.raises(EngineLost, match="no progress for"):
            await engine.sample(lab.request(1, lab.ids(1, 20)))
        with pytest.raises(EngineLost):
            await engine.sample(lab.request(2, lab.ids(1, 20)))


async def test_a_dying_engine_fails_every_waiting_request(start, lab) -> None:
    def die(engine) -> None:
        engine.engine_core.engine_core.model_executor.execute_model = None

    with start(Transport.MERGED) as engine:
        requests = [lab.request(i, lab.ids(i, 20), max_tokens=900) for i in range(4)]
        asked = [asyncio.create_task(engine.sample(each)) for each in requests]
        await asyncio.sleep(0.2)
        engine.loop.call(die)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, EngineLost) for each in answers)
        assert "died" in str(answers[0])
        with pytest.raises(EngineLost):
            await engine.sample(replace(requests[0], key="late"))
