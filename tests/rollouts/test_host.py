"""Limits that tools declare, hung tools, and what a stuck trajectory says of itself."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from random import Random

import pytest

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.limits import ToolDeadline
from tooldojo.envs.registry import register
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.host import Host, HungTools, ToolThreads, UnderWay
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.verifiers.records import StopReason
from tooldojo.verifiers.reward import RewardShape


@register("test/Limited-v0")
class Limited(World):
    """An API that takes two calls at once and gives up after a while."""

    now = most = 0

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        gold = steps(call("ask", word="a"), say=f"Said: {rng.randint(0, 999)}")
        return Draft("Ask.", {"asked": 0}, gold)

    @tool(mutates=False, at_once=2)
    async def ask(self, word: str) -> str:
        """Ask."""
        Limited.now += 1
        Limited.most = max(Limited.most, Limited.now)
        await asyncio.sleep(0.02)
        Limited.now -= 1
        return word

    @tool(mutates=False, deadline=0.05)
    async def drown(self) -> str:
        """Never come back."""
        await asyncio.sleep(3600)
        return "never"


@register("test/Crowded-v0")
class Crowded(World):
    """A counter that serves one caller at a time."""

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        word = rng.randint(0, 999)
        return Draft(f"Queue, then say {word}.", {}, steps(call("queue"), say=f"Said: {word}"))

    @tool(mutates=False, at_once=1)
    async def queue(self) -> str:
        """Stand in line."""
        await asyncio.sleep(0.2)
        return "served"


@register("test/CrowdedThreads-v0")
class CrowdedThreads(Crowded):
    """The same with a tool that blocks."""

    slow_tools = True

    @tool(mutates=False, at_once=1)
    def queue(self) -> str:  # type: ignore[override]
        """Stand in line."""
        time.sleep(0.2)
        return "served"


@pytest.fixture
def worlds() -> list[Limited]:
    task = Limited.make_task(1, Split.TRAIN, 1, 0)
    made = [Limited() for _ in range(4)]
    for world in made:
        world.reset(options={"task": task})
    Limited.most = 0
    return made


async def test_a_tool_runs_at_most_so_often_at_once(worlds: list[Limited]) -> None:
    turn = {"calls": ({"name": "ask", "arguments": {"word": "w"}},) * 3, "message": ""}
    await asyncio.gather(*(world.astep(turn) for world in worlds))
    assert (Limited.most, Limited.now) == (2, 0)


async def test_a_tool_s_own_deadline_is_no_crash_of_its_world(worlds: list[Limited]) -> None:
    world = worlds[0]
    drown = {"name": "drown", "arguments": {}}
    with pytest.raises(ToolDeadline, match=r"drown of test/Limited-v0 .* within 0.05 s"):
        await world.astep({"calls": (drown,), "message": ""})
    ask = {"name": "ask", "arguments": {"word": "w"}}
    assert world.seconds_allowed([drown, ask, ask], 10.0) == 20.05
    assert world.seconds_allowed([], 10.0) == 10.0


@pytest.mark.parametrize("world", [Crowded, CrowdedThreads])
def test_waiting_for_a_place_is_not_the_tool_s_time(
    world: type[World], chat: Chat, limits: Limits
) -> None:
    issued = IssuedTask(0, world.make_task(1, Split.TRAIN, 1, 0))
    settings = PlaySettings(replace(limits, deadline=0.9), RewardShape(), 0)
    sampler, host = ScriptedSampler(chat, "gold", 0), Host(ToolThreads())
    group = asyncio.run(play_group(issued, 8, sampler, chat, settings, BASE, host))
    assert [t.ending.stop for t in group.trajectories] == [StopReason.ANSWERED] * 8
    assert max(t.segments[0].turns[0].timings.tool for t in group.trajectories) > 1.5
    assert [t.attempt for t in group.trajectories] == [0] * 8


@pytest.mark.parametrize("limits", [{"deadline": 0.0}, {"at_once": 0}])
def test_impossible_limits_are_refused(limits: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        tool(mutates=False, **limits)


async def test_hung_calls_free_their_places_until_there_are_too_many() -> None:
    threads, forever = ToolThreads(limit=2, most_hung=3), threading.Event()
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"dig of Mine did not answer within 0.02 s"):
            await threads.run(forever.wait, 0.02, "dig of Mine")
    assert threads.hung == 3
    assert await threads.run(lambda: 7, 5.0) == 7
    with pytest.raises(HungTools, match=r"4 tool calls hang in one process, dig of Mine last"):
        await threads.run(forever.wait, 0.02, "dig of Mine")
    forever.set()


async def test_waiting_for_a_thread_is_not_the_tool_s_time() -> None:
    threads = ToolThreads(limit=1)
    waits = [threads.run(lambda: time.sleep(0.1), 0.5) for _ in range(8)]
    assert await asyncio.gather(*waits) == [None] * 8
    with pytest.raises(KeyError, match="bug"):
        await threads.run(lambda: {}["bug"], 5.0)


async def test_a_host_knows_its_places_and_who_is_stuck() -> None:
    host, most = Host(most=2), 0
    playing: list[int] = []

    async def trajectory(member: int) -> None:
        nonlocal most
        async with host.place():
            with host.watching(UnderWay("test/World-v0", 5, member, 0)) as about:
                playing.append(member)
                most = max(most, len(playing))
                about.now("waits for the engine", 3)
                await asyncio.sleep(0.05)
                playing.remove(member)

    work = asyncio.gather(*(trajectory(member) for member in range(5)))
    await asyncio.sleep(0.03)
    stuck = host.stuck(longer=0.0)
    await work
    assert most == 2 and len(stuck) == 2 and not host.stuck(0.0)
    assert stuck[0] == "test/World-v0 5.0, attempt 0, turn 3: waits for the engine for 0 s"
