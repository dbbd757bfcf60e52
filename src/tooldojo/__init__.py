"""Tooldojo: worlds, verifiers, rollouts and training for language models that use tools.

Names are loaded when they are first used, so that a command line is up at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tooldojo.envs.authoring import world
    from tooldojo.envs.draft import Draft, call, steps
    from tooldojo.envs.registry import register
    from tooldojo.envs.task import Call, GoldTurn, Split, Task
    from tooldojo.envs.tools import ToolError, tool
    from tooldojo.envs.world import World

__version__ = "0.1.0"

_HOMES = {
    "authoring": ("world",),
    "draft": ("Draft", "call", "steps"),
    "registry": ("register",),
    "task": ("Call", "GoldTurn", "Split", "Task"),
    "tools": ("ToolError", "tool"),
    "world": ("World",),
}

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


def __getattr__(name: str) -> object:
    """A public name, from the module that owns it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"tooldojo.envs.{home}"), name)
    raise AttributeError(f"module 'tooldojo' has no attribute {name!r}")
