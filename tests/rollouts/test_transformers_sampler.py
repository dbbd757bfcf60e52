"""A tiny random Qwen3 behind the sampler: exact seeds, exact logprobs, whatever the batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.sampler import Sampled, SampleRequest, SamplingSpec
from tooldojo.rollouts.transformers_sampler import TransformersSampler
from tooldojo.verifiers.reward import RewardShape

BASE = PolicyRef("base", 0, "base")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(chat: Chat) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(chat.tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
    )
    made = Qwen3ForCausalLM(config).float()
    with torch.no_grad():
        made.lm_head.weight.mul_(15)  # neither uniform nor certain
    return made


@pytest.fixture
def requests(chat: Chat, task: Task) -> list[SampleRequest]:
    def request(index: int, temperature: float) -> SampleRequest:
        text = "count " * (3 * index) + "é漢"
        return SampleRequest(
            key=str(index),
            ids=tuple(chat.prompt_ids("system", [], text)),
            sampling=SamplingSpec(temperature, 5 + 4 * index, chat.stop_ids),
            seed=1000 + index,
            policy=BASE,
            task=task,
            turn=0,
            results=(),
        )

    return [request(i, t) for i, t in enumerate([1.0, 0.0, 0.7, 1.0, 1.3, 0.0])]


def gather(sampler: TransformersSampler, requests: Sequence[SampleRequest]) -> list[Sampled]:
    async def all_at_once() -> list[Sampled]:
        return list(await asyncio.gather(*(sampler.sample(request) for request in requests)))

    return asyncio.run(all_at_once())


def test_answers_do_not_depend_on_the_batch(
    model: Qwen3ForCausalLM, chat: Chat, requests: list[SampleRequest]
) -> None:
    together = gather(TransformersSampler(model, chat), requests)
    small = TransformersSampler(model, chat, max_batch=4)
    turned = gather(small, requests[::-1])[::-1]
    for request, one, two in zip(requests, together, turned, strict=True):
        (alone,) = gather(small, [request])
        assert one.ids == two.ids == alone.ids
        assert one.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
        assert 1 <= len(one.ids) <= request.sampling.max_tokens
        stopped = one.ids[-1] in request.sampling.stop_ids
        assert one.finish == ("stop" if stopped else "length")
    assert len({one.ids[:5] for one in together}) > 3
    other = gather(small, [replace(requests[3], seed=7)])[0]
    assert other.ids != together[3].ids


def test_logprobs_are_those_of_a_forced_forward(
    model: Qwen3ForCausalLM, chat: Chat, requests: list[SampleRequest]
) -> None:
    sampled = gather(TransformersSampler(model, chat), requests)
    for request, answer in zip(requests, sampled, strict=True):
        whole = torch.tensor([[*request.ids, *answer.ids]])
        with torch.no_grad():
            logits_TV = model(whole).logits[0, len(request.ids) - 1 : -1].float()
        temperature = request.sampling.temperature
        logps_TV = torch.log_softmax(logits_TV / (temperature or 1.0), -1)
        expected = logps_TV.gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
        assert answer.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        if temperature == 0:
            assert list(answer.ids) == logits_TV.argmax(-1).tolist()


def test_draws_follow_the_distribution(
    model: Qwen3ForCausalLM, chat: Chat, requests: list[SampleRequest]
) -> None:
    one = replace(requests[0], sampling=SamplingSpec(1.0, 1, chat.stop_ids))
    drawn = TransformersSampler(model, chat).decode([replace(one, seed=s) for s in range(800)])
    with torch.no_grad():
        probs_V = model(torch.tensor([list(one.ids)])).logits[0, -1].float().softmax(-1)
    counts_V = torch.bincount(torch.tensor([d.ids[0] for d in drawn]), minlength=len(probs_V))
    top = probs_V.topk(5).indices
    assert (counts_V[top] / 800 - probs_V[top]).abs().max() < 0.06


def test_a_group_plays_on_a_model(
    model: Qwen3ForCausalLM, chat: Chat, task: Task, limits: Limits
) -> None:
    model.train()
    sampler = TransformersSampler(model, chat, policy=PolicyRef("a", 3, "abc"))
    settings = PlaySettings(replace(limits, max_turn_tokens=12), RewardShape(), 0)

    def play() -> list[list[int]]:
        issued = IssuedTask(0, task)
        group = asyncio.run(play_group(issued, 4, sampler, chat, settings, BASE))
        assert len(group.scored) == 4
        assert {int(v) for t in group.trajectories for v in t.segments[0].versions_T} == {-1, 3}
        return [t.segments[0].ids_T.tolist() for t in group.trajectories]

    first = play()
    assert first == play() and len({str(ids) for ids in first}) == 4
    assert model.training


def test_an_error_in_the_model_reaches_every_caller(
    model: Qwen3ForCausalLM, chat: Chat, requests: list[SampleRequest]
) -> None:
    bad = [replace(request, ids=(10**6,)) for request in requests[:2]]
    sampler = TransformersSampler(model, chat)

    async def both() -> list[object]:
        jobs = [sampler.sample(request) for request in bad]
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    assert [type(error) for error in asyncio.run(both())] == [IndexError, IndexError]
    assert len(gather(sampler, requests)) == len(requests)
