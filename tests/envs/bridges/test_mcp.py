"""Worlds over MCP with a real client and server, over pipes and HTTP, in both directions."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from mcp import Client, MCPError, StdioServerParameters

from tooldojo.envs.bridges.episode import EpisodeLog
from tooldojo.envs.bridges.mcp_server import McpSessions, mcp_server
from tooldojo.envs.bridges.mcp_tools import McpAddress, McpLink, McpToolWorld
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.source import GeneratedTasks, take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.world import WorldCrash
from tooldojo.verifiers.records import CallOutcome, Score

WORLD = "tooldojo/Orders-v0"
COMMAND = (sys.executable, "-m", "tooldojo.training.cli", "mcp", WORLD, "--split", "test")


def http_app(log: Path | None = None) -> Any:
    world = McpSessions(GeneratedTasks([WORLD], Split.TEST, 0), EpisodeLog(log))
    return mcp_server(world).streamable_http_app()


def text_of(result: Any) -> str:
    """A result's only part."""
    (part,) = result.content
    return part.text


async def play_gold(server: Any, task: Task) -> list[str]:
    """The results of the task's gold, made by an MCP client."""
    async with Client(server, mode="legacy") as client:
        prompt = await client.get_prompt("task")
        assert prompt.messages[0].content.text == task.prompt  # type: ignore[union-attr]
        results = []
        for turn in task.gold:
            for each in turn.calls:
                results.append(await client.call_tool(each.name, each.arguments))
        message = {"message": task.gold[-1].message}
        results.append(await client.call_tool("submit_answer", message))
        late = await client.call_tool(task.gold[0].calls[0].name, {})
        assert late.is_error and text_of(late) == "this task has ended (answered)"
    assert not results[-1].is_error
    return [text_of(result) for result in results]


def gold_results(task: Task) -> list[str]:
    world = world_class(WORLD)()
    world.replay_gold(task)
    return [*(c.result for c in world.calls), "received"]


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_client_solves_a_task_and_the_log_has_the_score(
    transport: str, served: Callable[[Any], str], tmp_path: Path
) -> None:
    log = tmp_path / "log" / "episodes.jsonl"
    first, second = (GeneratedTasks([WORLD], Split.TEST, 0).task(i) for i in (0, 1))
    if transport == "stdio":
        command, *args = (*COMMAND, "--record", str(log))
        server = StdioServerParameters(command=command, args=args, env=dict(os.environ))
        results = asyncio.run(play_gold(server, first))
    else:
        url = served(http_app(log)) + "/mcp"
        results = asyncio.run(play_gold(url, first))
        assert asyncio.run(play_gold(url, second)) == gold_results(second)  # a session of its own
    assert results == gold_results(first)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [Score.from_json(line["score"]).value for line in lines] == [1.0] * len(lines)
    assert Task.from_json(lines[0]["task"]).id == first.id


def test_tools_are_listed_with_schema_and_hints_and_errors_are_results(
    served: Callable[[Any], str],
) -> None:
    async def look() -> None:
        async with Client(served(http_app()) + "/mcp", mode="legacy") as client:
            specs = world_class(WORLD).tool_specs()
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert list(tools) == [*specs, "submit_answer"]
            for name, spec in specs.items():
                assert tools[name].input_schema == spec.parameters
                assert tools[name].annotations.read_only_hint is not spec.mutates  # type: ignore[union-attr]
            wrong = await client.call_tool("cancel_order", {"order_id": "none"})
            assert wrong.is_error and "error" in json.loads(text_of(wrong))
            assert (await client.call_tool("no_such", {})).is_error

    asyncio.run(look())


def test_a_world_with_a_user_is_refused() -> None:
    tasks = GeneratedTasks(["tooldojo/Dialogue-v0"], Split.TEST, 0)
    with pytest.raises(ValueError, match=r"Dialogue-v0 has a user, and MCP has no way to talk"):
        McpSessions(tasks, EpisodeLog(None))


def test_a_client_without_a_session_is_refused(served: Callable[[Any], str]) -> None:
    async def ask() -> None:
        async with Client(served(http_app()) + "/mcp", mode="2026-07-28") as client:
            with pytest.raises(MCPError, match="keeps state for each session"):
                await client.call_tool("submit_answer", {"message": "x"})

    asyncio.run(ask())


@register("test/Shelf-v0")
class Shelf(McpToolWorld):
    """A world whose tools live in the server below."""

    system_prompt = "Keep the shelf. Close with: Result: <count>"
    server: ClassVar[McpAddress] = McpAddress(
        (sys.executable, str(Path(__file__).parent / "shelf_server.py"))
    )
    hidden = frozenset({"wipe"})

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        many = rng.randint(2, 10**6)
        calls = [call("put", many=many), call("count")]
        return Draft(f"Put {many} on the shelf.", {}, steps(*calls, say=f"Result: {many}"))


def test_a_servers_tools_play_in_a_world() -> None:
    assert list(Shelf.tool_specs()) == ["put", "count"]
    assert [spec.mutates for spec in Shelf.tool_specs().values()] == [True, False]
    task = take(["test/Shelf-v0"], Split.TRAIN, 0, 1)[0]
    world = Shelf()
    assert world.replay_gold(task).value == 1.0
    assert world.replay_gold(task).value == 1.0  # every episode starts with a server of its own
    other = Shelf()
    other.reset(options={"task": task})
    world.reset(options={"task": task})
    put = {"name": "put", "arguments": {"many": 3}}
    world.step({"calls": (put,), "message": ""})
    count = {"name": "count", "arguments": {}}
    assert other.step({"calls": (count, count), "message": ""})[0] == ("0", "0")
    wrong = [
        {"name": "put", "arguments": {"many": "3"}},
        {"name": "put", "arguments": {"many": -1}},
    ]
    results = world.step({"calls": (*wrong, {"name": "wipe", "arguments": {}}), "message": ""})[0]
    assert "many: '3' is not of type 'integer'" in results[0] and "too few" in results[1]
    assert [c.outcome for c in world.calls] == [
        CallOutcome.OK,
        CallOutcome.INVALID_ARGUMENTS,
        CallOutcome.TOOL_ERROR,
        CallOutcome.UNKNOWN_TOOL,
    ]
    assert world.step({"calls": (count,), "message": ""})[0] == ("3",)
    with pytest.raises(ValueError, match="not snapshotable"):
        world.restore(world.snapshot())
    flags = Shelf.capabilities
    assert not (flags.snapshot or flags.replayable or flags.deterministic)


def test_our_own_server_over_http_plays_in_a_world(served: Callable[[Any], str]) -> None:
    link = McpLink(McpAddress(url=served(http_app()) + "/mcp"))
    assert "cancel_order" in [tool["name"] for tool in link.tools()]
    task = GeneratedTasks([WORLD], Split.TEST, 0).task(0)
    first = task.gold[0].calls[0]
    assert asyncio.run(link.call(first.name, first.arguments)) == gold_results(task)[0]
    link.close()


def test_a_server_that_is_not_there_is_a_crash() -> None:
    class Gone(Shelf):
        server = McpAddress(("/no/such/program",))

    task = take(["test/Shelf-v0"], Split.TRAIN, 0, 1)[0]
    world = Shelf()
    world.reset(options={"task": task})
    world.link = McpLink(Gone.server)
    with pytest.raises(WorldCrash, match="no/such/program"):
        world.step({"calls": ({"name": "count", "arguments": {}},), "message": ""})
    with pytest.raises(ValueError, match="a command or by a url"):
        McpAddress()
