"""A world between two turns: `Snapshot`, deep copies of plain data, and what a world promises.

Invariant: a snapshot shares nothing with the world that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tooldojo.envs.task import Task
from tooldojo.verifiers.records import Json, ToolCall


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a world promises; the contract tests verify it and trainers respect it."""

    snapshot: bool = True
    deterministic: bool = True
    replayable: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A world's whole state between two turns."""

    task: Task
    state: dict[str, Json]
    calls: tuple[ToolCall, ...]
    hashes: tuple[str, ...]
    turn: int
    messages: tuple[str, ...] = ()


def clone(value: Json) -> Any:
    """A deep copy of plain data."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clone(item) for item in value]
    return value
