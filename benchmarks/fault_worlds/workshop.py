"""A world whose tool can be told to fail, for `faults.py`."""

from __future__ import annotations

import os
import time
from random import Random

from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World
from tooldojo.rollouts.simulated import take_fault

FAULTS = "TOOLDOJO_FAULTS"  # names the directory of ordered faults


class Workshop(World):
    """Turn parts; the tool is synchronous and runs on a thread."""

    slow_tools = True

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        parts = [str(rng.randint(0, 10**9)) for _ in range(3)]
        gold = steps(*(call("lathe", part=part) for part in parts), say=f"Turned {parts[-1]}.")
        return Draft(f"Turn {', '.join(parts)}.", {"turned": [], "poison": False}, gold)

    @tool(mutates=True)
    def lathe(self, part: str) -> str:
        """Turn a part.

        Args:
            part: Its number.
        """
        directory = os.environ.get(FAULTS, "")
        if self.state["poison"] or take_fault(directory, "tool_crash"):
            raise KeyError("the lathe broke")
        if take_fault(directory, "tool_hang"):
            time.sleep(3600)
        self.state["turned"].append(part)
        return "ok"
