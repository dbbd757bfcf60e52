"""The step loop on a counting engine: a batch is admitted whole before the next step."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.sampler import EngineLost
from tooldojo.rollouts.steploop import EngineStats, Prepared, StepLoop


@dataclass
class Engine:
    """Answers each request in the second step after it came; notes what ran in each step."""

    running: dict[str, int] = field(default_factory=dict)
    steps: list[list[str]] = field(default_factory=list)

    @property
    def engine_core(self) -> SimpleNamespace:
        return SimpleNamespace(shutdown=lambda: None)

    def add_request(self, name: str, prompt: Any, params: Any, lora_request: Any) -> None:
        self.running[name] = 2

    def step(self) -> list[SimpleNamespace]:
        self.steps.append(list(self.running))
        self.running = {name: left - 1 for name, left in self.running.items()}
        done = [name for name, left in self.running.items() if not left]
        for name in done:
            del self.running[name]
        part = SimpleNamespace(token_ids=[1])
        return [
            SimpleNamespace(
                request_id=name, prompt_token_ids=[1], num_cached_tokens=0, outputs=[part]
            )
            for name in done
        ]


@dataclass
class Stuck(Engine):
    """Enters its first step and does not come back before it is told to."""

    released: threading.Event = field(default_factory=threading.Event)

    def step(self) -> list[SimpleNamespace]:
        self.released.wait(30)
        return []


@dataclass
class Held(Engine):
    """Holds its first step until it is released."""

    entered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def step(self) -> list[SimpleNamespace]:
        self.entered.set()
        self.released.wait(30)
        return super().step()


PLAIN = Prepared(None, None, None, BASE)  # type: ignore[arg-type]


def refuse() -> Prepared:
    raise ValueError("no room")


def test_a_batch_starts_whole_and_a_refused_request_spoils_no_other() -> None:
    engine = Engine()
    loop = StepLoop(lambda: engine, deadline=10)  # type: ignore[arg-type,return-value]
    loop.start()
    answers = [
        *loop.submit([lambda: PLAIN] * 40),
        *loop.submit([lambda: PLAIN, refuse, lambda: PLAIN]),
    ]
    errors = [each.exception(timeout=10) for each in answers]
    loop.stop()
    assert [str(error) for error in errors if error] == ["no room"]
    assert errors[41] is not None
    first, others = engine.steps[0], [step for step in engine.steps if "41" in step]
    assert first[:40] == [str(i) for i in range(1, 41)]
    assert all("42" in step for step in others) and len(others) == 2


def test_an_engine_that_hangs_is_lost_though_nobody_waits_for_it_any_more() -> None:
    engine = Stuck()
    loop = StepLoop(lambda: engine, deadline=0.4)  # type: ignore[arg-type,return-value]
    loop.start()
    time.sleep(0.6)  # an engine without work makes no progress, either
    for _ in range(6):  # each is given up before the engine's own deadline, as a player does
        if loop.lost is None:
            (asked,) = loop.submit([lambda: PLAIN])
            time.sleep(0.3)
            asked.cancel()
    with pytest.raises(EngineLost, match=r"made no progress .*rollout\.deadline=0\.4"):
        loop.submit([lambda: PLAIN])
    engine.released.set()
    loop.stop()


def test_an_engine_is_empty_while_it_has_no_request_however_long_its_steps_take() -> None:
    engine = Held()
    loop = StepLoop(lambda: engine, deadline=10)  # type: ignore[arg-type,return-value]
    loop.start()
    time.sleep(0.2)
    (asked,) = loop.submit([lambda: PLAIN])
    engine.entered.wait(10)
    early, _, late = loop.stats(), time.sleep(0.2), loop.stats()
    assert late.empty_seconds == early.empty_seconds >= 0.2
    assert late.seconds >= early.seconds + 0.2 and early.empty_seconds < early.seconds
    engine.released.set()
    asked.result(10)
    time.sleep(0.1)  # the engine's thread counts when it has answered
    early, _, late = loop.stats(), time.sleep(0.1), loop.stats()
    loop.stop()
    assert late.since(early).empty_share == pytest.approx(1.0)
    assert early.idle_share > early.empty_share > 0


def test_counters_of_periods_and_of_engines_add_up() -> None:
    early = EngineStats(1, 100, 20, 5, 3, 0.5, 0.25, 2.0)
    late = EngineStats(4, 300, 120, 25, 9, 2.0, 0.5, 4.0)
    period = late.since(early)
    assert period == EngineStats(3, 200, 100, 20, 6, 1.5, 0.25, 2.0)
    assert period.to_metrics() == {
        "engine/idle": 0.25, "engine/empty": 0.125, "engine/prefix_hits": 0.5,
    }  # fmt: skip
    assert (period + early) == late
    assert (period + EngineStats(seconds=2.0)).idle_share == 0.625
