"""`serve` as clients meet it; our own client plays a world against it, and equals local play."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from openai import OpenAI
from typer.testing import CliRunner

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.records import Group
from tooldojo.training.card import PolicyError, conventions_of
from tooldojo.training.cli.main import app
from tooldojo.training.players import open_player, open_sampler
from tooldojo.training.policy import load_policy, load_tokenizer
from tooldojo.training.serving.app import build_app
from tooldojo.training.serving.listen import ListenError, listening
from tooldojo.training.serving.service import open_service

WORLD = "tooldojo/Orders-v0"
KEYS = (
    "rollout.engine=transformers",
    "rollout.max_turn_tokens=100",
    "rollout.max_context=4096",
    "rollout.max_turns=4",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def policy_app(record: Path | None = None) -> Iterator[Any]:
    recipe = load_recipe(None, KEYS)
    with open_sampler(recipe) as opened:
        yield build_app(open_service(recipe, opened, "small", record, False))


def played(recipe: Recipe) -> list[Group]:
    tasks = take([WORLD], Split.TEST, 3, 4)
    issued = [IssuedTask(ordinal, task) for ordinal, task in enumerate(tasks)]
    with open_player(recipe, [WORLD], temperature=0.0) as opened:
        return sorted(opened.player.play(issued, 1), key=lambda group: group.ordinal)


def test_a_world_over_the_wire_equals_local_play(
    served: Callable[[Any], str], tmp_path: Path
) -> None:
    local = played(load_recipe(None, KEYS))
    with policy_app(tmp_path) as application:
        keys = (*KEYS, "rollout.engine=openai", f"endpoint.url={served(application)}/v1")
        keys = (*keys, "endpoint.model=small", "endpoint.max_turn_tokens=100")
        remote = played(load_recipe(None, keys))
    assert sum(t.turns for group in local for t in group.trajectories) > len(local)
    for here, there in zip(local, remote, strict=True):
        a, b = here.trajectories[0], there.trajectories[0]
        assert (a.ending, a.hashes, a.score) == (b.ending, b.hashes, b.score)
        assert a.evidence == b.evidence and a.evidence is not None
        assert (b.engine.kind, b.policy.digest) == ("openai", "endpoint")
    lines = [json.loads(line) for line in next(tmp_path.glob("*.jsonl")).read_text().splitlines()]
    by_id = {line["id"]: line for line in lines}
    continued = [line for line in lines if line["continues"]]
    assert len(continued) == sum(g.trajectories[0].turns - 1 for g in remote)
    for line in continued:
        before = by_id[line["continues"]]
        whole = before["prompt_ids"] + before["ids"]
        assert line["prompt_ids"][: len(whole)] == whole
    sampled = {
        tuple(t.segments[0].ids_T[p.start : p.end])
        for g in local
        for t in g.trajectories
        for p in t.segments[0].turns
    }
    assert {tuple(line["ids"]) for line in lines} == sampled


def test_the_openai_client_reads_replies_streams_and_errors(served: Callable[[Any], str]) -> None:
    task = take([WORLD], Split.TEST, 3, 1)[0]
    with policy_app() as application:
        url = served(application)
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        assert [model.id for model in client.models.list()] == ["small"]
        ask: Any = {
            "model": "small",
            "messages": [{"role": "user", "content": task.prompt}],
            "temperature": 0,
            "max_tokens": 20,
        }
        whole = client.chat.completions.create(**ask)
        parts = list(
            client.chat.completions.create(
                **ask, stream=True, stream_options={"include_usage": True}
            )
        )
        text = "".join(c.delta.content or "" for part in parts for c in part.choices)
        assert text == whole.choices[0].message.content
        assert parts[-1].usage == whole.usage and whole.usage is not None
        assert 0 < whole.usage.completion_tokens <= 20
        for change, status, message in (
            ({"model": "large"}, 404, "the model 'large' does not exist; this is 'small'"),
            ({"top_k": 3}, 400, "top_k is not supported here"),
            ({"n": 2}, 400, "n: input should be less than or equal to 1"),
            ({"messages": []}, 400, "messages: list should have at least 1 item"),
            (
                {"messages": [{"role": "user", "content": "word " * 5000}]},
                400,
                "no room in a context length of 4096",
            ),
        ):
            answer = httpx.post(f"{url}/v1/chat/completions", json=ask | change)
            assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_the_commands_play_an_endpoint_and_say_what_it_cost(
    served: Callable[[Any], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "candles"]).exit_code == 0

    def run(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*words, "--policy", policy, "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    keys = ("rollout.max_turns=2", "endpoint.max_turn_tokens=40", "endpoint.output_price=1000000")
    with policy_app() as application:
        policy = f"openai:small@{served(application)}/v1"
        rolled = run("rollout", *keys, "--tasks", "2", "--out", str(tmp_path / "rollout"))
        assert rolled["trajectories"] == 2 and rolled["failed"] == {}
        assert rolled["usage"]["requests"] == rolled["turns"]
        assert rolled["usage"]["cost"] == rolled["usage"]["output_tokens"] > 0
        small = ("eval.tasks=1", "task.levels=[1]")
        evaluated = run("eval", *keys, *small, "--stage", "small", "--out", str(tmp_path / "eval"))
        kept = json.loads((tmp_path / "eval" / "small.usage.json").read_text())
        assert evaluated["usage"] == kept and kept["requests"] > 0
        own = ('task.worlds=["candles.py:Candles"]', "eval.transfer_worlds=[]", "--out", "own")
        run("eval", *keys, *small, *own, "--stage", "small")
        assert json.loads(Path("own/small.json").read_text())
        watched = run("play", "--seed", "3")
        assert watched["played"]["engine"].startswith("openai small@http")


def test_an_adapter_is_served_for_its_own_prompts_only(
    served: Callable[[Any], str], tmp_path: Path
) -> None:
    recipe = load_recipe(None, KEYS)
    chat = Chat(load_tokenizer("default"), call_format("hermes"))
    conventions = conventions_of(chat, [WORLD])
    load_policy(recipe.policy, conventions, seed=1).save_adapter(tmp_path / "adapter")
    other = load_recipe(None, [*KEYS, 'task.worlds=["tooldojo/Travel-v0"]'])
    with pytest.raises(PolicyError, match="was trained with system prompts"):
        open_sampler(other, tmp_path / "adapter").__enter__()
    ask = {"model": "small", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    known = {"role": "system", "content": world_class(WORLD).system_prompt}
    with open_sampler(recipe, tmp_path / "adapter") as opened:
        strict = served(build_app(open_service(recipe, opened, "small", None, False)))
        lax = served(build_app(open_service(recipe, opened, "small", None, True)))
        refused = httpx.post(f"{strict}/v1/chat/completions", json=ask)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "unknown_system_prompt"
        assert httpx.post(f"{lax}/v1/chat/completions", json=ask).status_code == 200
        ask["messages"] = [known, {"role": "user", "content": "Hi"}]
        assert httpx.post(f"{strict}/v1/chat/completions", json=ask).status_code == 200


def test_a_port_in_use_is_one_clear_line() -> None:
    with listening("127.0.0.1", 0) as made:
        port = made.getsockname()[1]
        message = f"port {port} on 127.0.0.1 is in use; choose another with --port"
        with pytest.raises(ListenError, match=message), listening("127.0.0.1", port):
            pass
