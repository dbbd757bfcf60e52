"""A world between two turns: `Snapshot`, deep copies of plain data, and what a world promises.

Invariant: what happens in a world never changes a snapshot. Its state may share containers with
other snapshots, so nobody may change it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tooldojo.envs.digest import KnownTokens
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
    """A world's whole state between two turns.

    known: what the state's containers hash to, so that worlds which begin here hash only what they
    change.
    """

    task: Task
    state: dict[str, Json]
    calls: tuple[ToolCall, ...]
    hashes: tuple[str, ...]
    turn: int
    messages: tuple[str, ...] = ()
    states: tuple[dict[str, Json], ...] = ()
    known: KnownTokens = field(default_factory=KnownTokens, repr=False, compare=False)


def clone(value: Json) -> Any:
    """A deep copy of plain data, as plain dicts and lists also where the data is tracked."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in dict.items(value)}
    if isinstance(value, list):
        return [clone(item) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return [clone(item) for item in value]
    return value
