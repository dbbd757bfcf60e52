"""`Episode`: one task for a caller that makes one call at a time, and `EpisodeLog` of what came.

For protocols without assistant turns: every call is a turn of its own, so the limit is one on
calls. Refuses calls after the end. Invariant: the verdict is the world's own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Task
from tooldojo.envs.users import replies
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Json, Score, StopReason, ToolCall

MAX_CALLS = 100


class EpisodeOver(RuntimeError):
    """The task has ended; there is nothing more to call."""


def refuse_user(world: type[World], client: str) -> None:
    """Raises ValueError for a world with a user, where the client passes on nothing but calls."""
    if world.user is not None:
        raise ValueError(
            f"{world.env_id} has a user, and {client} has no way to talk to one; take a world "
            "without a user, or the OpenEnv server"
        )


class EpisodeLog:
    """Ended episodes, one line of JSON each: task, calls, answer, score."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, world: World) -> None:
        """Add an ended episode."""
        if self.path is None:
            return
        line: dict[str, Json] = {
            "task": world.task.to_json(),
            "evidence": world.evidence().to_json(),
            "score": world.score.to_json() if world.score else None,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


class Episode:
    """A task under way; turns that are asked for at once play one after another."""

    def __init__(self, task: Task, log: EpisodeLog, max_calls: int = MAX_CALLS) -> None:
        self.world, self.log = world_class(task.env)(), log
        self._alone = asyncio.Lock()
        self.world.reset(options={"task": task, "max_turns": max_calls})

    @property
    def stop(self) -> StopReason | None:
        """Why it has ended, or None."""
        return self.world.stop

    async def turn(
        self, calls: Sequence[dict[str, Json]], message: str = ""
    ) -> tuple[ToolCall, ...]:
        """Play one assistant turn, and return what it reads; one without calls ends the task, but
        for a message that the world's user hears.

        Raises:
            EpisodeOver: after the end.
            WorldCrash: when the world has a bug.
        """
        action = {"calls": tuple(calls), "message": message}
        async with self._alone:
            if self.world.stop is not None:
                raise EpisodeOver(f"this task has ended ({self.world.stop.value})")
            before = len(self.world.calls)
            if self.world.slow_tools:
                await asyncio.to_thread(self.world.step, action)
            else:
                await self.world.astep(action)
            if self.world.stop is not None:
                self.log.write(self.world)
            return replies(self.world.calls[before:])

    async def call(self, name: str, arguments: dict[str, Json]) -> ToolCall:
        """Play one call; see `turn`."""
        return (await self.turn([{"name": name, "arguments": arguments}]))[0]

    async def answer(self, message: str) -> Score:
        """End the task with a final message; see `turn`."""
        await self.turn([], message)
        assert self.world.score is not None
        return self.world.score
