"""Worlds as the package `verifiers` takes them: tasks, its tool server, its scoring."""

from __future__ import annotations

import asyncio
import importlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from mcp import Client
from mcp.server import MCPServer

from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task

WORLD = "tooldojo/Orders-v0"


@pytest.fixture(scope="module")
def bridge() -> Any:
    try:
        version("verifiers")
    except PackageNotFoundError:
        pytest.skip("verifiers is not installed")
    return importlib.import_module("tooldojo.training.bridges.verifiers_world")


def tasks_of(bridge: Any, **keys: Any) -> list[Any]:
    return list(bridge.WorldTaskset(bridge.WorldTasksetConfig(world=WORLD, **keys)))


async def play_gold(task: Any, gold: Task) -> list[str]:
    (tools,) = task.toolsets(task.config)
    await tools.setup_task(task.data)
    server = MCPServer("tools")
    tools.register(server)
    async with Client(server) as client:
        results = []
        for turn in gold.gold:
            for call in turn.calls:
                results.append(await client.call_tool(call.name, call.arguments))
    assert not any(result.is_error for result in results)
    return [result.content[0].text for result in results]


def trace_of(task: Any, messages: list[dict[str, Any]]) -> Any:
    graph, traces = (importlib.import_module(f"verifiers.v1.{each}") for each in ("graph", "trace"))
    nodes = [
        graph.MessageNode.model_validate(
            {"message": {"role": "assistant", **message}, "sampled": True}
        )
        for message in messages
    ]
    agent = traces.AgentInfo.model_construct(config=None)
    data = traces.TraceTask.model_construct(type="WorldTask", data=task.data)
    return traces.Trace.model_construct(task=data, agent=agent, nodes=nodes, rewards={}, metrics={})


def said(gold: Task) -> list[dict[str, Any]]:
    return [
        {
            "content": turn.message,
            "tool_calls": [
                {"id": f"c{i}", "name": call.name, "arguments": json.dumps(call.arguments)}
                for i, call in enumerate(turn.calls)
            ]
            or None,
        }
        for turn in gold.gold
    ]


def scored(task: Any, messages: list[dict[str, Any]]) -> float:
    trace = trace_of(task, messages)
    asyncio.run(task.score(trace))
    return trace.rewards["solved"].value


def test_tasks_are_the_worlds_and_hide_the_goal(bridge: Any) -> None:
    tasks = tasks_of(bridge, split="test", seed=3, count=4)
    golds = take([WORLD], Split.TEST, 3, 4)
    assert [task.data.prompt for task in tasks] == [gold.prompt for gold in golds]
    assert [task.data.id for task in tasks] == [gold.id for gold in golds]
    assert tasks[0].data.system_prompt == world_class(WORLD).system_prompt


def test_the_tool_server_plays_the_world(bridge: Any) -> None:
    (task,) = tasks_of(bridge, count=1)
    gold = Task.from_json(task.data.task)
    world = world_class(WORLD)()
    world.replay_gold(gold)
    results = asyncio.run(play_gold(task, gold))
    assert results == [call.result for call in world.calls]


def test_scores_come_from_the_trace(bridge: Any) -> None:
    (task,) = tasks_of(bridge, count=1)
    gold = said(Task.from_json(task.data.task))
    assert scored(task, gold) == 1.0
    assert scored(task, gold[:-1]) == 0.0
    assert scored(task, [{"content": "Done."}]) == 0.0
    broken = {"content": "", "tool_calls": [{"id": "c", "name": "x", "arguments": "{"}]}
    assert scored(task, [broken, *gold]) == 1.0


def test_a_secret_beside_a_call_is_told(bridge: Any) -> None:
    config = bridge.WorldTasksetConfig(world="tooldojo/Privacy-v0", count=40)
    found = [(task, Task.from_json(task.data.task)) for task in bridge.WorldTaskset(config).load()]
    task, gold = next(pair for pair in found if pair[1].goal.forbidden and len(pair[1].gold) > 2)
    beside, *rest = said(gold)
    assert scored(task, [{**beside, "content": "I look it up."}, *rest]) == 1.0
    assert scored(task, [{**beside, "content": gold.goal.forbidden[0]}, *rest]) == 0.0


def test_a_world_with_a_user_is_refused(bridge: Any) -> None:
    config = bridge.WorldTasksetConfig(world="tooldojo/Dialogue-v0")
    with pytest.raises(ValueError, match=r"Dialogue-v0 has a user, and a taskset of `verifiers`"):
        list(bridge.WorldTaskset(config))


def test_without_the_package_there_is_one_clear_line() -> None:
    from tooldojo.envs.bridges.extras import ExtraMissing, require

    with pytest.raises(ExtraMissing, match=r"no_such_package cannot be .*tooldojo\[verifiers\]"):
        require("no_such_package", "verifiers")
