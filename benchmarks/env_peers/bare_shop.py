"""The bare gymnasium env that does the same by hand: no schema, no transaction, no hash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym

from env_peers.playing import Clock, Play, Side
from env_peers.shop import PROMPT, TURNS, Orders, fresh, get_order, reward, set_status

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
Stepped = tuple[tuple[str, ...], float, bool, bool, dict]


class Bare(gym.Env):
    """Orders that can be looked at and changed; actions are calls already parsed."""

    observation_space = gym.spaces.Sequence(gym.spaces.Text(1 << 16))
    action_space = gym.spaces.Dict({})

    def __init__(self, orders: Orders) -> None:
        self.orders, self.count = orders, len(orders)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict]:
        """Start again."""
        super().reset(seed=seed)
        self.orders = fresh(self.count)
        return (PROMPT,), {}

    def step(self, action: dict) -> Stepped:
        """One turn: a call, or the closing line."""
        if not action["calls"]:
            earned = reward(self.orders, action["message"], self.count)
            return (), earned, True, False, {}
        wanted = action["calls"][0]
        tool = get_order if wanted["name"] == "get_order" else set_status
        try:
            shown = tool(self.orders, **wanted["arguments"])
        except (ValueError, TypeError) as error:
            shown = json.dumps({"error": str(error)})
        return (shown,), 0.0, False, False, {}


def parsed(text: str) -> dict:
    """The action that a turn stands for."""
    if not text.startswith(_OPEN):
        return {"calls": (), "message": text}
    return {"calls": (json.loads(text[len(_OPEN) : -len(_CLOSE)]),), "message": ""}


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    env = Bare(fresh(records))

    def play(episodes: int) -> float:
        earned = 0.0
        for _ in range(episodes):
            env.reset()
            for text in TURNS:
                earned += env.step(parsed(text))[1]
        return earned

    yield play


SIDE = Side("gymnasium", False, "json.loads between the tags", "nothing", _playing)
