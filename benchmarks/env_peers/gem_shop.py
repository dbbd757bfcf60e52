"""The task in GEM: a `gem.Env` behind its `ToolEnvWrapper`, with two `BaseTool`s.

GEM's tools read the policy's text themselves, each by a pattern of its own.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gem.core import Env
from gem.tools.base_tool import BaseTool
from gem.tools.tool_env_wrapper import ToolEnvWrapper

from env_peers.playing import Clock, Play, Side
from env_peers.shop import PROMPT, SYSTEM, TURNS, fresh, get_order, reward, set_status

_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


class Shop(Env):
    """Orders; a turn that is no call is the closing line."""

    def __init__(self, records: int) -> None:
        self.records, self.orders = records, fresh(records)

    def reset(self, seed: int | None = None) -> tuple[str, dict[str, Any]]:
        """Start again."""
        super().reset(seed)
        self.orders = fresh(self.records)
        return f"{SYSTEM}\n{PROMPT}", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the closing line and the final state."""
        return "", reward(self.orders, action, self.records), True, False, {}


class OrderTool(BaseTool):
    """One function on the shop's orders."""

    tool_type = "order"

    def __init__(self, shop: Shop, function: Callable[..., str]) -> None:
        super().__init__()
        self.shop, self.function, self.name = shop, function, function.__name__

    def instruction_string(self) -> str:
        """What the model is told of it."""
        return f"{self.name}: {self.function.__doc__}"

    def execute_action(self, action: str) -> tuple[bool, bool, str, str]:
        """(is a call of this tool, failed, result, text of the call), as the wrapper reads it."""
        match = _CALL.search(action)
        if not match:
            return False, True, "", action
        try:
            wanted = json.loads(match.group(1))
            if wanted["name"] != self.name:
                return False, True, "", action
            result = self.function(self.shop.orders, **wanted["arguments"])
        except (ValueError, TypeError, KeyError) as error:
            return True, True, json.dumps({"error": str(error)}), match.group(0)
        return True, False, result, match.group(0)


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    shop = Shop(records)
    env = ToolEnvWrapper(shop, [OrderTool(shop, get_order), OrderTool(shop, set_status)])

    def play(episodes: int) -> float:
        earned = 0.0
        for _ in range(episodes):
            env.reset()
            for text in TURNS:
                earned += float(env.step(text)[1])
        return earned

    yield play


SIDE = Side("gem-llm", False, "a pattern and json.loads in each tool", "counts of calls", _playing)
