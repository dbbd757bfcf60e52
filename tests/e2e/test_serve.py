"""`tooldojo serve` as a process: an adapter on either engine, asked by OpenAI's own client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from tooldojo.configs.schema import PolicySection
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.training.card import conventions_of
from tooldojo.training.policy import load_policy, load_tokenizer

WORLD = "tooldojo/Orders-v0"


@pytest.mark.parametrize("engine", ["transformers", pytest.param("vllm", marks=pytest.mark.engine)])
def test_a_served_adapter_answers_until_ctrl_c(engine: str, tmp_path: Path) -> None:
    chat = Chat(load_tokenizer("default"), call_format("hermes"))
    policy = load_policy(PolicySection(), conventions_of(chat, [WORLD]), seed=1)
    policy.save_adapter(tmp_path / "adapter")
    command = [sys.executable, "-m", "tooldojo.training.cli", "serve", "--port", "0", "--json"]
    command += ["--adapter", str(tmp_path / "adapter"), "rollout.kv_cache_gib=0.5"]
    command += [f"rollout.engine={engine}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        started = json.loads(server.stdout.readline())
        client = openai.OpenAI(base_url=started["url"], api_key="none", max_retries=0)
        world, task = world_class(WORLD), take([WORLD], Split.TEST, 0, 1)[0]
        asked = [{"role": "user", "content": task.prompt}]
        tools = [spec.schema for spec in world.tool_specs().values()]
        reply = client.chat.completions.create(
            model="policy",
            messages=[{"role": "system", "content": world.system_prompt}, *asked],  # type: ignore[list-item]
            tools=tools,  # type: ignore[arg-type]
            temperature=0,
            max_tokens=100,
        )
        assert reply.usage and 0 < reply.usage.completion_tokens <= 100
        assert reply.choices[0].finish_reason in ("stop", "length", "tool_calls")
        with pytest.raises(openai.BadRequestError, match="not trained with this system prompt"):
            client.chat.completions.create(model="policy", messages=asked)  # type: ignore[arg-type]
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(30) in (0, 130)
