"""The task in verifiers 0.1: a `StatefulToolEnv` with a rubric, played in one process.

In place of a model's endpoint there is a `Client` that answers from the script, in the records
that every client hands to the environment; so nothing is parsed from text but the arguments.
"""

# pyright: reportMissingImports=false
# ruff: noqa: TID251 (the other project's package is meant)
from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from env_peers.playing import Clock, Play, Side
from env_peers.shop import ANSWER, CALLS, PROMPT, SYSTEM, Orders, fresh, get_order, reward
from env_peers.shop import set_status as change

if not version("verifiers").startswith("0.1."):
    raise ImportError(f"verifiers {version('verifiers')} has no StatefulToolEnv; 0.1 has")

import verifiers as vf
from datasets import Dataset
from verifiers.clients import Client
from verifiers.types import Response, ResponseMessage, ToolCall


class Scripted(Client):
    """Answers by the number of assistant messages so far."""

    def __init__(self) -> None:
        super().__init__(None)

    def setup_client(self, config: Any) -> None:
        """There is none."""

    async def to_native_tool(self, tool: Any) -> Any:
        """As it is."""
        return tool

    async def to_native_prompt(self, messages: Any) -> tuple[Any, dict]:
        """As it is."""
        return messages, {}

    async def get_native_response(
        self, prompt: Any, model: str, sampling_args: Any, tools: Any = None, **_: Any
    ) -> Response:
        """The next turn."""
        turn = sum(message.role == "assistant" for message in prompt)
        message: dict[str, Any] = {"content": ANSWER, "finish_reason": "stop"}
        if turn < len(CALLS):
            name, given = CALLS[turn]
            called = ToolCall(id=f"call_{turn}", name=name, arguments=json.dumps(given))
            message = {"tool_calls": [called], "finish_reason": "tool_calls"}
        said = ResponseMessage(**message, is_truncated=False)
        return Response(id=f"turn_{turn}", created=0, model=model, message=said)

    async def raise_from_native_response(self, response: Response) -> None:
        """Nothing can be wrong."""

    async def from_native_response(self, response: Response) -> Response:
        """As it is."""
        return response

    async def close(self) -> None:
        """Nothing to close."""


class Shop(vf.StatefulToolEnv):
    """Orders in the rollout's state, handed to the tools as an argument that no model sees."""

    def __init__(self, records: int, **options: Any) -> None:
        super().__init__(max_turns=len(CALLS) + 1, **options)
        self.records = records
        for function in (look, set_status):
            self.add_tool(function, args_to_skip=["orders"])

    async def setup_state(self, state: Any) -> None:
        """Orders of its own for a rollout."""
        state["orders"] = fresh(self.records)

    def update_tool_args(
        self, tool_name: str, tool_args: dict, messages: Any, state: Any, **_: Any
    ) -> dict:
        """Add the orders."""
        return {**tool_args, "orders": state["orders"]}


def look(order: str, orders: dict) -> str:
    """Look at an order."""
    return get_order(orders, order)


def set_status(order: str, status: str, orders: dict) -> str:
    """Change an order."""
    return change(orders, order, status)


look.__name__ = "get_order"


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    logging.disable(logging.WARNING)

    def solved(completion: Any, state: dict[str, Orders]) -> float:
        return reward(state["orders"], completion[-1].content, records)

    rows = Dataset.from_list([{"question": PROMPT, "answer": ANSWER}])
    env = Shop(records, dataset=rows, system_prompt=SYSTEM, rubric=vf.Rubric(funcs=[solved]))
    given, client, loop = dict(env.get_dataset()[0]), Scripted(), asyncio.new_event_loop()
    once = partial(env.run_rollout, given, client, "scripted", {})

    def play(episodes: int) -> float:
        return sum(loop.run_until_complete(once())["reward"] for _ in range(episodes))

    yield play
    loop.close()


SIDE = Side(
    "verifiers",
    False,
    "calls come parsed; json.loads of their arguments",
    "messages of each turn, metrics",
    _playing,
)
