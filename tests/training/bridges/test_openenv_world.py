"""A world behind OpenEnv's own client, over a real WebSocket."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tooldojo.envs.bridges.episode import EpisodeLog
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split

if find_spec("openenv") is None:
    pytest.skip("openenv-core is not installed", allow_module_level=True)
GenericEnvClient = importlib.import_module("openenv.core.generic_client").GenericEnvClient
bridge = importlib.import_module("tooldojo.training.bridges.openenv_world")
openenv_app = bridge.openenv_app
WORLD = "tooldojo/Orders-v0"


def tasks() -> GeneratedTasks:
    return GeneratedTasks([WORLD], Split.TEST, 0)


def test_gold_scores_one_and_sessions_are_apart(
    served: Callable[[Any], str], tmp_path: Path
) -> None:
    log = tmp_path / "episodes.jsonl"
    url = served(openenv_app(tasks(), EpisodeLog(log)))
    task = tasks().task(3)
    reference = world_class(WORLD)()
    reference.replay_gold(task)
    with (
        GenericEnvClient(base_url=url).sync() as client,
        GenericEnvClient(base_url=url).sync() as b,
    ):
        started = client.reset(seed=3).observation
        assert started["prompt"] == task.prompt
        assert started["system_prompt"] == reference.system_prompt
        names = [tool["function"]["name"] for tool in started["tools"]]
        assert names == list(reference.tool_specs())
        assert b.reset(seed=3).observation == started
        results: list[str] = []
        played: Any = None
        for turn in task.gold:
            calls = [{"name": c.name, "arguments": c.arguments} for c in turn.calls]
            played = client.step({"calls": calls, "message": turn.message or ""})
            results += played.observation["results"]
        assert results == [call.result for call in reference.calls]
        assert (played.reward, played.done, played.observation["stop"]) == (1.0, True, "answered")
        late = client.step({"message": "again"})
        assert late.done and late.observation["error"] == "this task has ended (answered)"
        wrong = b.step({"message": "nothing to do"})
        assert (wrong.reward, wrong.done) == (0.0, True)
        assert client.state()["step_count"] == len(task.gold)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["score"]["value"] for line in lines) == [0.0, 1.0]


def test_nothing_hidden_is_sent(served: Callable[[Any], str]) -> None:
    task = tasks().task(0)
    with GenericEnvClient(base_url=served(openenv_app(tasks(), EpisodeLog(None)))).sync() as client:
        text = json.dumps([client.reset(seed=0).observation, client.state()])
    assert task.goal.answer and task.goal.answer not in text
    assert "goal" not in text and "gold" not in text
