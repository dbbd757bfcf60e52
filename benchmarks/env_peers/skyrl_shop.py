"""The task in skyrl-gym: a `BaseTextEnv` with a `ToolGroup`, made anew for each episode as its
generator does.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import skyrl_gym
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
from skyrl_gym.tools.core import ToolGroup, tool

from env_peers.playing import Clock, Play, Side
from env_peers.shop import PROMPT, SYSTEM, TURNS, Orders, fresh, get_order, reward, set_status

_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_ID = "tooldojo_shop"


class ShopTools(ToolGroup):
    """The two tools."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        super().__init__(name="shop")

    @tool
    def get_order(self, order: str) -> str:
        """Look at an order."""
        return get_order(self.orders, order)

    @tool
    def set_status(self, order: str, status: str) -> str:
        """Change an order."""
        return set_status(self.orders, order, status)


class Shop(BaseTextEnv):
    """One episode."""

    def __init__(self, env_config: dict[str, Any], extras: dict[str, Any]) -> None:
        super().__init__()
        self.records, self.max_turns = env_config["records"], extras["max_turns"]
        self.orders = fresh(self.records)
        self.init_tool_groups([ShopTools(self.orders)])
        self.chat_history: list[dict[str, str]] = []

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Run the call of a turn, or judge the closing line."""
        self.turns += 1
        self.chat_history.append({"role": "assistant", "content": action})
        match = _CALL.search(action)
        if match is None or self.turns >= self.max_turns:
            earned = reward(self.orders, action, self.records)
            return BaseTextEnvStepOutput(observations=[], reward=earned, done=True, metadata={})
        try:
            wanted = json.loads(match.group(1))
            name, given = wanted["name"], list(wanted["arguments"].values())
            said = self._execute_tool(self.tool_to_toolgroup[name], name, given)
        except Exception as error:  # as its own environments do
            said = str(error)
        message = {"role": "user", "content": said}
        self.chat_history.append(message)
        return BaseTextEnvStepOutput(observations=[message], reward=0.0, done=False, metadata={})


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    skyrl_gym.register(id=_ID, entry_point="env_peers.skyrl_shop:Shop")
    prompt = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]

    def play(episodes: int) -> float:
        earned = 0.0
        for _ in range(episodes):
            extras = {"max_turns": len(TURNS)}
            env = skyrl_gym.make(_ID, env_config={"records": records}, extras=extras)
            env.init(prompt)
            for text in TURNS:
                earned += env.step(text)["reward"]
            env.close()
        return earned

    yield play


SIDE = Side(
    "skyrl-gym",
    False,
    "a pattern and json.loads in the environment",
    "the chat's messages",
    _playing,
)
