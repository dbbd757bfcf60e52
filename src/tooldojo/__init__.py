"""Tooldojo: worlds, verifiers, rollouts and training for language models that use tools."""

from tooldojo.envs.authoring import world
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Draft",
    "GoldTurn",
    "Split",
    "Task",
    "ToolError",
    "World",
    "__version__",
    "call",
    "register",
    "steps",
    "tool",
    "world",
]
