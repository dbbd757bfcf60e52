"""The task as a world of ours, with the policy's turns as text or as calls already parsed.

It is played as rollouts do: episodes in groups that share one task and begin from one snapshot, in
worlds of their own. No task comes twice, and how it is drawn is not timed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from random import Random
from typing import Any

from env_peers.playing import Clock, Play, Side
from env_peers.shop import ANSWER, CALLS, PROMPT, SYSTEM, TURNS, orders
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.snapshot import Snapshot
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import action_of

GROUP = 8  # episodes that share a task


@register("benchmark/Shop-v0")
class Shop(World):
    """Orders that can be looked at and changed; a task's level is their number."""

    system_prompt = SYSTEM
    levels = (20, 1000)
    max_turns = 10**9

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """The turns that all sides play, on orders of its own."""
        gold = steps(*[call(name, **arguments) for name, arguments in CALLS], say=ANSWER)
        return Draft(PROMPT, {"orders": orders(rng, level)}, gold)

    @tool(mutates=False, idempotent=True)
    def get_order(self, order: str) -> dict[str, Any]:
        """Look at an order."""
        if order not in self.state["orders"]:
            raise ToolError(f"no order {order}")
        return self.state["orders"][order]

    @tool(mutates=True)
    def set_status(self, order: str, status: str) -> str:
        """Change an order."""
        if order not in self.state["orders"]:
            raise ToolError(f"no order {order}")
        self.state["orders"][order]["status"] = status
        return f"{order} {status}"


def shop_task(records: int, ordinal: int = 0) -> Task:
    """A task of so many records as it comes from a file, without anything that was computed when it
    was made.
    """
    made = Shop.make_task(0, Split.TRAIN, records, ordinal)
    return Task.from_json(json.loads(json.dumps(made.to_json())))


@contextmanager
def _playing(records: int, clock: Clock, parsed: bool) -> Iterator[Play]:
    form, ordinals = call_format("hermes"), count()
    ready = [action_of(form.parse(text)) for text in TURNS]

    def begin() -> Snapshot:
        with clock.aside():
            task = shop_task(records, next(ordinals))
        with clock.part("reset"):
            world = Shop()
            world.reset(options={"task": task})
            return world.snapshot()

    def play(episodes: int) -> float:
        earned = 0.0
        for number in range(episodes):
            if number % GROUP == 0:
                start = begin()
            with clock.part("reset"):
                world = Shop()
                world.restore(start)
            for text, action in zip(TURNS, ready, strict=True):
                made = action if parsed else action_of(form.parse(text))
                with clock.part("steps" if made["calls"] else "verdict"):
                    earned += world.step(made)[1]
        return earned

    yield play


_KEEPS = "transactions, a hash of the state at each turn, a record of calls that replays"
SIDE = Side("tooldojo", True, "our Hermes parser", _KEEPS, partial(_playing, parsed=False), GROUP)
PARSED = Side("tooldojo", True, "not timed", _KEEPS, partial(_playing, parsed=True), GROUP)
