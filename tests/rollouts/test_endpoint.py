"""The endpoint client against an HTTP server that fails, limits and answers as it is told to."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import EndpointSection
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, IssuedTask, Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endpoint import (
    Completion,
    Endpoint,
    EndpointError,
    RawCall,
    Usage,
    endpoint_keys,
)
from tooldojo.rollouts.endpoint_sampler import NO_LIMIT, EndpointSampler, turn_text
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.replay import first_mismatch
from tooldojo.rollouts.sampler import EngineLost
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.players import open_player
from tooldojo.verifiers.records import CallOutcome, StopReason
from tooldojo.verifiers.reward import RewardShape

POLICY = PolicyRef("them", 0, "endpoint")
Answer = dict[str, Any] | tuple[int, dict[str, str], dict[str, Any]]


def said(content: str | None, *calls: tuple[str, str], finish: str = "stop", **more: Any) -> Answer:
    tools = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": tools or None, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "them",
            "choices": [choice], "usage": usage}  # fmt: skip


def failed(status: int, code: str, message: str, **headers: str) -> Answer:
    return status, headers, {"error": {"message": message, "code": code}}


class Them:
    """Somebody's endpoint: answers from a list, in order, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked, self.times = list(answers), [], []
        routes = [
            Route("/v1/models", self.models),
            Route("/v1/chat/completions", self.answer, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def models(self, _: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": []})

    async def answer(self, request: Request) -> JSONResponse:
        self.asked.append(json.loads(await request.body()))
        self.times.append(time.monotonic())
        answer = self.answers.pop(0)
        if isinstance(answer, tuple):
            return JSONResponse(answer[2], status_code=answer[0], headers=answer[1])
        return JSONResponse(answer)


@pytest.fixture
def endpoint(served: Callable[[Any], str]) -> Callable[..., Endpoint]:
    def open_them(them: Them, **keys: Any) -> Endpoint:
        section = {"url": served(them.app) + "/v1", "model": "them", "input_price": 2.0,
                   "output_price": 10.0, **keys}  # fmt: skip
        return Endpoint(EndpointSection.model_validate(section))

    return open_them


def ask(endpoint: Endpoint) -> Completion:
    user: Any = [{"role": "user", "content": "u"}]
    return asyncio.run(endpoint.complete(user, temperature=0.5, seed=2**31 + 7))


def test_an_answer_its_request_and_its_cost(endpoint: Callable[..., Endpoint]) -> None:
    them = Them(said("hello", reasoning_content="hm"), said(None, ("add", '{"by": 1}')))
    client = endpoint(them, max_turn_tokens=64)
    assert ask(client) == Completion("hm", "hello", (), False)
    assert ask(client) == Completion("", "", (RawCall("add", '{"by": 1}'),), False)
    assert them.asked[0] == {
        "model": "them",
        "messages": [{"role": "user", "content": "u"}],
        "temperature": 0.5,
        "seed": 7,
        "max_completion_tokens": 64,
    }
    assert replace(client.usage, cost=0.0) == Usage(2, 200, 20)
    assert client.usage.cost == pytest.approx(0.0006)


def test_nothing_is_asked_beyond_the_budget(endpoint: Callable[..., Endpoint]) -> None:
    """An answer costs 0.0003 US dollars: two are paid for, and the third is not asked for."""
    them = Them(*[said("x")] * 3)
    client = endpoint(them, budget=0.0005)
    ask(client)
    ask(client)
    with pytest.raises(EndpointError, match=r"^endpoint.budget=0.0005 is spent: 0.0006 dollars"):
        ask(client)
    assert len(them.asked) == 2
    with pytest.raises(EndpointError, match=r"budget=1 means nothing without prices"):
        endpoint(them, budget=1, input_price=0, output_price=0)


def test_a_busy_endpoint_is_asked_again_and_a_lost_one_is_infrastructure(
    endpoint: Callable[..., Endpoint],
) -> None:
    busy = failed(429, "rate_limit_exceeded", "slow down", **{"retry-after-ms": "50"})
    them = Them(busy, failed(503, "", "overloaded", **{"retry-after-ms": "50"}), said("ok"))
    client = endpoint(them, retries=2, leave_out=("seed", "temperature"))
    assert ask(client).message == "ok" and len(them.asked) == 3
    assert "seed" not in them.asked[0] and "temperature" not in them.asked[0]
    assert client.usage.requests == 1
    with pytest.raises(EngineLost, match=r"gave no answer: .*slow down"):
        ask(endpoint(Them(busy, busy), retries=1))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (failed(401, "invalid_api_key", "bad key"), "refuses the request: .*bad key"),
        (failed(404, "model_not_found", "no such model"), "no such model"),
        (failed(400, "invalid", "temperature is not supported"), "temperature is not supported"),
    ],
)
def test_what_no_retry_mends_is_said_at_once(
    endpoint: Callable[..., Endpoint], answer: Answer, message: str
) -> None:
    them = Them(answer)
    with pytest.raises(EndpointError, match=message):
        ask(endpoint(them))
    assert len(them.asked) == 1


def test_requests_are_spread_out(endpoint: Callable[..., Endpoint]) -> None:
    them = Them(*[said("x")] * 4)
    client = endpoint(them, requests_per_minute=600)

    async def four() -> None:
        user: Any = [{"role": "user", "content": "u"}]
        jobs = [client.complete(user, temperature=0.0, seed=i) for i in range(4)]
        await asyncio.gather(*jobs)

    began = time.monotonic()
    asyncio.run(four())
    assert them.times[-1] - began >= 0.3  # the fourth waits for three gaps of 0.1 s


def test_who_is_cancelled_in_line_leaves_the_place_to_the_next(
    endpoint: Callable[..., Endpoint],
) -> None:
    them = Them(said("x"), said("x"))
    client = endpoint(them, requests_per_minute=60)

    async def impatient() -> None:
        user: Any = [{"role": "user", "content": "u"}]
        jobs = [
            asyncio.ensure_future(client.complete(user, temperature=0.0, seed=i)) for i in range(4)
        ]
        await asyncio.sleep(0.1)
        for each in jobs[1:3]:
            each.cancel()
        assert (await jobs[3]).message == "x"

    asyncio.run(impatient())
    assert 0.5 < them.times[1] - them.times[0] < 2


def test_no_more_play_at_once_than_the_pace_serves_in_time(
    served: Callable[[Any], str], tasks: Callable[..., Task]
) -> None:
    them = Them(*[said("x")] * 8)
    keys = (
        *("rollout.engine=openai", f"endpoint.url={served(them.app)}/v1", "endpoint.model=them"),
        *("endpoint.patience=2", "rollout.deadline=2", "endpoint.requests_per_minute=150"),
    )
    with open_player(load_recipe(None, keys), [], temperature=0.0) as opened:
        (group,) = opened.player.play([IssuedTask(0, tasks())], 8)  # 0.4 s a request
    assert [t.attempt for t in group.trajectories] == [0] * 8 and len(group.scored) == 8
    slow = EndpointSection(url="http://x/v1", model="m", requests_per_minute=10)
    client = Endpoint(slow)
    assert (client.at_once(128), client.at_once(7)) == (50, 7)
    assert Endpoint(slow.model_copy(update={"requests_per_minute": 0})).at_once(128) == 128


def test_connections_do_not_outlive_their_event_loop(endpoint: Callable[..., Endpoint]) -> None:
    client = endpoint(Them(*[said("x")] * 4))
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def one() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        user: Any = [{"role": "user", "content": "u"}]
        await client.complete(user, temperature=0.0, seed=0)

    for _ in range(4):
        asyncio.run(one())
    gc.collect()
    assert sum(loop() is not None for loop in loops) == 1  # the last one's may still be of use


def test_an_address_without_a_server_and_a_bad_policy_name() -> None:
    section = EndpointSection(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(EndpointError, match=r"cannot be used: .*check endpoint.url"):
        asyncio.run(Endpoint(section).check())
    with pytest.raises(EndpointError, match=r"needs endpoint\.model"):
        Endpoint(EndpointSection(url="http://x/v1"))
    assert endpoint_keys("openai:a/b@v1@http://x:1/v1")[1:] == (
        'endpoint.model="a/b@v1"',
        'endpoint.url="http://x:1/v1"',
    )
    for bad in ("openai:m", "openai:@http://x", "openai:m@ftp://x"):
        with pytest.raises(EndpointError, match="openai:MODEL@URL"):
            endpoint_keys(bad)


def test_a_judge_is_a_function_from_prompt_to_text(endpoint: Callable[..., Endpoint]) -> None:
    them = Them(said("0.7"))
    judge = endpoint(them).judge("You judge.")

    async def opinion() -> str:
        return await judge("How good is this?")

    assert asyncio.run(opinion()) == "0.7"
    assert [m["role"] for m in them.asked[0]["messages"]] == ["system", "user"]


def play(client: Endpoint, chat: Chat, task: Task, **limits: Any) -> Group:
    settings = PlaySettings(
        Limits(max_turn_tokens=NO_LIMIT, max_context=NO_LIMIT, deadline=60, **limits),
        RewardShape(),
        0,
    )
    sampler = EndpointSampler(client, chat)
    return asyncio.run(play_group(IssuedTask(0, task), 1, sampler, chat, settings, POLICY))


def test_a_trajectory_is_scored_and_stored_but_has_no_logprobs(
    endpoint: Callable[..., Endpoint], chat: Chat, tasks: Callable[..., Task], tmp_path: Any
) -> None:
    from tooldojo.training.learning.batch import members_of

    task = tasks(level=2)
    first, second = (turn.calls[0] for turn in task.gold[:2])
    them = Them(
        said("", ("add", json.dumps(first.arguments))),
        said("one <|im_end|> more", ("add", "{not json"), reasoning_content="think"),
        said("", ("add", json.dumps(second.arguments)), ("nope", "{}")),
        said(task.gold[-1].message),
    )
    group = play(endpoint(them), chat, task)
    (played,) = group.trajectories
    assert played.score is not None and played.score.success and played.turns == 4
    outcomes = [call.outcome for call in played.evidence.calls]  # type: ignore[union-attr]
    assert outcomes == [
        CallOutcome.OK,
        CallOutcome.MALFORMED,
        CallOutcome.OK,
        CallOutcome.UNKNOWN_TOOL,
    ]
    last = them.asked[-1]["messages"]
    roles = "system user assistant tool assistant user assistant tool tool"
    assert " ".join(message["role"] for message in last) == roles
    assert last[2]["tool_calls"][0]["function"]["name"] == "add"
    assert "not valid JSON" in last[5]["content"] and "{not json" in last[4]["content"]
    assert them.asked[0]["tools"][0]["function"]["name"] == "add"
    segment = played.segments[0]
    assert segment.sampled_T.any() and all(map(math.isnan, segment.logprobs_T))
    store = TrajectoryStore(tmp_path)
    store.append([group], "rollout", 0)
    (row,) = store.read()
    assert row.trajectory.score == played.score and row.trajectory.engine.kind == "openai"
    assert first_mismatch(row, chat) is None
    with pytest.raises(ValueError, match=r"reported none\. What an endpoint played is for eval"):
        members_of([group])


def test_what_was_said_to_a_user_is_sent_back_without_its_thought(
    endpoint: Callable[..., Endpoint], chat: Chat
) -> None:
    world = world_class("tooldojo/Dialogue-v0")
    task = next(t for i in range(99) if (t := world.make_task(1, Split.TRAIN, 1, i)).gold[0].message
                and len(t.gold) > 1)  # fmt: skip
    asked, closing = task.gold[0].message, task.gold[-1].message
    them = Them(said(asked, reasoning_content="hm"), said(closing))
    (played,) = play(endpoint(them), chat, task).trajectories
    assert played.turns == 2 and played.ending.stop is StopReason.ANSWERED
    first, reply = them.asked[1]["messages"][-2:]
    assert first == {"role": "assistant", "content": asked} and reply["role"] == "user"


def test_endings_of_an_endpoint(endpoint: Callable[..., Endpoint], chat: Chat, task: Task) -> None:
    call = ("add", json.dumps({"counter": "C1", "by": 1}))
    for answers, stop in (
        ([said("Val", finish="length")], StopReason.MAX_TOKENS),
        ([said("", finish="length")], StopReason.MAX_TOKENS),
        ([said("", call), failed(400, "context_length_exceeded", "too long")],
         StopReason.CONTEXT_FULL),
        ([said("", call), failed(400, "", "maximum context length is 9")], StopReason.CONTEXT_FULL),
        ([said(None, refusal="I will not.")], StopReason.ANSWERED),
    ):  # fmt: skip
        (played,) = play(endpoint(Them(*answers)), chat, task).trajectories
        assert played.ending.stop is stop and played.score is not None


@pytest.mark.parametrize("form", ["hermes", "llama3"])
def test_every_answer_can_be_written(form: str) -> None:
    call = call_format(form)
    for message, calls in (
        ("", [("f", '{"a": "</tool_call>"}')]),
        ("a <tool_call> b", []),
        ("<|python_tag|>x", []),
        ("", [("f", "[]")]),
        ("", [("f", "")]),
        ("text", [("f", "{}"), ("g", "{}")]),
        ("", [("malformed", "{}")]),
    ):
        raw = tuple(RawCall(*each) for each in calls)
        parsed = call.parse(turn_text(Completion("a thought", message, raw, False), call))
        good = tuple(Call(n, json.loads(a or "{}")) for n, a in calls if a != "[]")
        assert parsed.malformed or parsed.calls == good


WORDS = st.sampled_from(
    ["<|im_end|>", "<tool_call>", "</think>", "<|endoftext|>", "é漢", '{"a"', "\n"]
)
TEXT = st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=4).map("".join)
JSON = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.booleans(), st.none()), max_size=2)


@settings(deadline=None, max_examples=60)
@given(TEXT, st.lists(st.tuples(st.sampled_from(["add", "f"]), JSON), max_size=2))
def test_what_is_written_reads_back_or_is_refused(chat: Chat, message: str, calls: list) -> None:
    raw = tuple(RawCall(name, json.dumps(arguments)) for name, arguments in calls)
    text = turn_text(Completion("", message, raw, False), chat.format)
    ids = chat.written_ids(text)
    assert not set(ids[:-1]) & set(chat.stop_ids) and ids[-1] in chat.stop_ids
    parsed = chat.parse(ids)
    if parsed.malformed is None:
        assert [call.name for call in parsed.calls] == [name for name, _ in calls]
        if "<|" not in text:  # a stop token within a value is broken up
            assert [call.arguments for call in parsed.calls] == [given for _, given in calls]
