"""Figures of the comparison with TRL's tool loop, and tools that take time on TRL's side."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import inspect
import time
from dataclasses import replace
from typing import Any

import pytest
from tool_latency import compare, middle
from trl_peer.environment import PlayRules, environment_class

from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.wrappers.settings import Latency
from tooldojo.rollouts.steploop import EngineStats
from tooldojo.verifiers.reward import RewardShape


def reading(seconds: float, empty: float) -> EngineStats:
    return EngineStats(seconds=seconds, empty_seconds=empty)


def test_the_middle_leaves_the_ends_out() -> None:
    """An engine that began at 10 s, had nothing to do before 14 s and after 30 s, and 1 s at 20."""
    seen = [reading(10, 10), reading(14, 14), reading(15, 14), reading(20, 14), reading(21, 15)]
    seen += [reading(28, 15), reading(30, 15), reading(33.5, 18.5)]
    inside = middle(seen, 5.0)
    assert inside == reading(13.0, 1.0)
    assert middle(seen, 0.0) == reading(23.5, 8.5)
    assert middle(seen, 12.0) is None


def cell(rate: float, **more: float) -> dict[str, float]:
    return {"trajectories_per_second": rate, **more}


def test_ratios_are_taken_where_the_peer_is_best() -> None:
    ours = {"slow": cell(9.0, idle=0.02), "slow_by_batch": {"32": cell(2.0), "96": cell(6.0)}}
    sync = {
        "32": cell(0.25, trajectories=32, idle_seconds=100),
        "96": cell(0.3, trajectories=96, idle_seconds=320),
    }
    coroutines = {
        "32": cell(0.5, trajectories=32, idle_seconds=64),
        "96": cell(0.4, trajectories=96, idle_seconds=200),
    }
    assert compare(ours, {"sync": sync, "async": coroutines}) == {
        "idle": 0.02, "ratio_sync": 20.0, "ratio_async": 4.0, "any_batch": 18.0, "ratio": 4.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> PlayRules:
    chat: Any = None  # only the end of a trajectory needs one
    world = world_class("tooldojo/Orders-v0")
    return PlayRules(world, chat, RewardShape(), 8, "", Latency(0.3, 0.3))


@pytest.fixture(scope="module")
def task() -> Task:
    return take(["tooldojo/Orders-v0"], Split.TRAIN, 0, 1)[0]


def test_a_sleeping_method_takes_its_time_and_a_refused_call_none(
    rules: PlayRules, task: Task
) -> None:
    environment: Any = environment_class(rules)()
    environment.reset(**rules.row(task))
    began = time.perf_counter()
    assert "error" in environment.get_product(colour="red")
    assert time.perf_counter() - began < 0.3
    answered = environment.get_product(product="x")
    assert time.perf_counter() - began >= 0.3
    world = world_class(task.env)()
    world.reset(options={"task": task})
    call = {"name": "get_product", "arguments": {"product": "x"}}
    assert (answered,) == world.step({"calls": (call,)})[0]


def test_calls_of_a_turn_overlap_where_methods_are_coroutines(rules: PlayRules, task: Task) -> None:
    environment: Any = environment_class(replace(rules, async_tools=True))()
    environment.reset(**rules.row(task))
    assert inspect.iscoroutinefunction(environment.get_product)  # TRL tells them apart by this

    async def turn() -> list[str]:
        return await asyncio.gather(*(environment.get_product(product=str(n)) for n in range(9)))

    began = time.perf_counter()
    assert len(asyncio.run(turn())) == 9
    assert 0.3 <= time.perf_counter() - began < 2.7  # not nine times as long
    assert [each.arguments["product"] for each in environment.play.world.calls] == list("012345678")
