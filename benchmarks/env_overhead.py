"""What the framework adds to a tool step, over a bare gymnasium env that does the same by hand.

A shop of 1,000 records (250 KB of JSON); each step reads one order or changes it. The bare env
looks an order up and nothing more; the world validates arguments, runs the call as a transaction,
hashes the state and links the hash chain. Call parsing is timed apart. Both run in turns in one
process and are timed by the CPU time that they take.

python benchmarks/env_overhead.py [--quick]
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from random import Random
from typing import Any

import gymnasium as gym
import numpy as np
from common import arguments, finish

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.spaces import Message
from tooldojo.envs.task import Split
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.rollouts.formats import call_format

RECORDS = 1000
STEPS = {"quick": 2000, "full": 20_000}
ROUND = 100  # steps between a reset of both, which is not timed here
NOTE = "left at the back door, ring twice, and tell the neighbour on the left that it is there"


def shop(rng: Random) -> dict[str, Any]:
    """1,000 orders as plain data."""
    return {
        f"W{number}": {
            "status": rng.choice(["pending", "shipped", "delivered"]),
            "customer": f"C{rng.randrange(1000, 9999)}",
            "total": rng.randrange(10, 900) / 2,
            "items": [{"id": f"I{number}-{item}", "price": 5 + item} for item in range(2)],
            "note": NOTE,
            "refunds": [],
        }
        for number in range(RECORDS)
    }


@register("benchmark/Shop-v0")
class Shop(World):
    """Orders that can be looked at and changed."""

    max_turns = 10**9

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """Change one order."""
        gold = steps(call("set_status", order="W1", status="lost"), say="Result: W1 lost")
        return Draft("Set W1 to lost.", {"orders": shop(rng)}, gold)

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


class Bare(gym.Env):
    """The same shop by hand: no schema, no transaction, no hash."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.observation_space = gym.spaces.Sequence(Message())
        self.action_space = gym.spaces.Dict({})

    def step(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        """One turn with one call."""
        wanted = action["calls"][0]
        given = wanted["arguments"]
        order = self.orders.get(given["order"])
        if order is None:
            return (json.dumps({"error": "no order"}),), 0.0, False, False, {}
        if wanted["name"] == "get_order":
            return (json.dumps(order),), 0.0, False, False, {}
        order["status"] = given["status"]
        return (f"{given['order']} {given['status']}",), 0.0, False, False, {}


def actions(count: int) -> list[dict]:
    """Reads and writes in turn, over all records."""
    rng, found = Random(0), []
    for number in range(count):
        order, status = f"W{rng.randrange(RECORDS)}", f"s{number}"
        made = (
            {"name": "set_status", "arguments": {"order": order, "status": status}}
            if number % 2
            else {"name": "get_order", "arguments": {"order": order}}
        )
        found.append({"calls": (made,), "message": ""})
    return found


def timed(step: Callable[[dict], object], action: dict) -> float:
    """Microseconds of this thread's CPU time in one step; other programs do not enter."""
    began = time.thread_time_ns()
    step(action)
    return (time.thread_time_ns() - began) / 1000


def spread(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in microseconds."""
    return {
        "median": round(statistics.median(values), 2),
        "p95": round(float(np.percentile(values, 95)), 2),
    }


def parsing(count: int) -> dict[str, float]:
    """Reading one call in the Hermes format."""
    form = call_format("hermes")
    made = {"name": "set_status", "arguments": {"order": "W1", "status": "lost"}}
    text = f"<tool_call>\n{json.dumps(made)}\n</tool_call>"
    assert len(form.parse(text).calls) == 1
    return spread([timed(lambda _: form.parse(text), {}) for _ in range(count)])


def main() -> None:
    """Step both in turns; the overhead is the difference of a pair."""
    args = arguments(__doc__ or "")
    count = STEPS["quick" if args.quick else "full"]
    task = Shop.make_task(0, Split.TRAIN, 1, 0)
    world, bare, other = Shop(), Bare(shop(Random(1))), Bare(shop(Random(1)))
    kinds: dict[str, list[float]] = {"read": [], "write": []}
    bare_times, noise, resets = [], [], []
    gc.collect()
    gc.disable()
    for number, action in enumerate(actions(count)):
        if number % ROUND == 0:
            resets.append(timed(lambda each: world.reset(options=each), {"task": task}))
            world.step(action)  # the first hash of a state covers all of it
            gc.collect()
        alone = timed(bare.step, action)
        noise.append(abs(timed(other.step, action) - alone))
        kinds["write" if number % 2 else "read"].append(timed(world.step, action) - alone)
        bare_times.append(alone)
    both = kinds["read"] + kinds["write"]
    figures = {
        "records": RECORDS,
        "state_bytes": len(json.dumps(task.world)),
        "steps": count,
        "bare_us": spread(bare_times),
        "overhead_us": spread(both),
        "overhead_read_us": spread(kinds["read"]),
        "overhead_write_us": spread(kinds["write"]),
        "timer_noise_us": spread(noise),
        "parse_us": parsing(min(count, 2000)),
        "reset_us": spread(resets),
    }
    for name, value in figures.items():
        print(f"{name}: {value}", flush=True)
    finish(figures)


if __name__ == "__main__":
    main()
