"""The task that all sides play, as plain data: a shop, its two tools, the policy's turns, the goal.

Owns the work that is the same everywhere. Imports nothing but the standard library, for peers run
in interpreters of their own. Invariant: `TURNS` played on `fresh(count)` give the state and the
closing line of `reward`.
"""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

NOTE = "left at the back door, ring twice, and tell the neighbour on the left that it is there"
PROMPT = "Look at W3 and set it to lost, then look at W7 and set it to returned."
SYSTEM = "You keep orders. Close with one line: Result: <order> <status>, <order> <status>"
ANSWER = "Result: W3 lost, W7 returned"
CALLS: tuple[tuple[str, dict[str, str]], ...] = (
    ("get_order", {"order": "W3"}),
    ("set_status", {"order": "W3", "status": "lost"}),
    ("get_order", {"order": "W7"}),
    ("set_status", {"order": "W7", "status": "returned"}),
)
Orders = dict[str, Any]


def hermes(name: str, arguments: dict[str, str]) -> str:
    """A call as Hermes and Qwen write it."""
    text = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{text}\n</tool_call>"


TURNS = (*[hermes(*each) for each in CALLS], ANSWER)  # what the scripted policy says


def orders(rng: Random, count: int) -> Orders:
    """Orders by id; each about 250 bytes of JSON."""
    return {
        f"W{number}": {
            "status": rng.choice(["pending", "shipped", "delivered"]),
            "customer": f"C{rng.randrange(1000, 9999)}",
            "total": rng.randrange(10, 900) / 2,
            "items": [{"id": f"I{number}-{item}", "price": 5 + item} for item in range(2)],
            "note": NOTE,
            "refunds": [],
        }
        for number in range(count)
    }


@cache
def stored(count: int) -> str:
    """A task's orders as JSON."""
    return json.dumps(orders(Random(1), count))


def fresh(count: int) -> Orders:
    """A state of its own for one episode, by the fastest way that the standard library has."""
    return json.loads(stored(count))


@cache
def _wanted(count: int) -> Orders:
    found = fresh(count)
    for name, arguments in CALLS:
        if name == "set_status":
            set_status(found, **arguments)
    return found


def get_order(state: Orders, order: str) -> str:
    """Look at an order; the result is JSON.

    Raises:
        ValueError: for an order that there is not.
    """
    if order not in state:
        raise ValueError(f"no order {order}")
    return json.dumps(state[order])


def set_status(state: Orders, order: str, status: str) -> str:
    """Change an order.

    Raises:
        ValueError: for an order that there is not.
    """
    if order not in state:
        raise ValueError(f"no order {order}")
    state[order]["status"] = status
    return f"{order} {status}"


def reward(state: Orders, answer: str, count: int) -> float:
    """1 where the final state and the closing line are those of the goal, else 0."""
    return float(answer.strip() == ANSWER and state == _wanted(count))
