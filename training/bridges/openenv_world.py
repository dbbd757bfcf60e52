"""A world as an OpenEnv server: reset, step and state over HTTP and WebSocket.

One action is one assistant turn (calls and a message), one observation what came back. The reward
is the score's value on the last step. Refuses to show state: goal and gold stay here. Seeds count:
`reset(seed=n)` starts the n-th task of the server's split, always the same.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pydantic

from tooldojo.envs.bridges.episode import Episode, EpisodeLog, EpisodeOver
from tooldojo.envs.bridges.extras import require
from tooldojo.envs.source import GeneratedTasks

if TYPE_CHECKING:
    from fastapi import FastAPI

server: Any = require("openenv.core.env_server", "openenv")


class WorldCall(pydantic.BaseModel):
    """One tool call of an action."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class WorldAction(server.Action):
    """One assistant turn; without calls it is the final message, or one that a user hears."""

    calls: list[WorldCall] = pydantic.Field(default_factory=list)
    message: str = ""


class WorldObservation(server.Observation):
    """What the assistant reads next: after a reset the prompts and tools, then results."""

    results: list[str] = pydantic.Field(default_factory=list)
    prompt: str = ""
    system_prompt: str = ""
    tools: list[dict[str, Any]] = pydantic.Field(default_factory=list)
    error: str = ""
    stop: str = ""


class WorldEnvironment(server.Environment):
    """OpenEnv's face of a world; numbers: where a reset without a seed takes its task."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(
        self, tasks: GeneratedTasks, numbers: Iterator[int], log: EpisodeLog, max_turns: int
    ) -> None:
        super().__init__()
        self.tasks, self.numbers, self.log, self.max_turns = tasks, numbers, log, max_turns
        self.episode: Episode | None = None
        self.episode_id: str | None = None

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **_: object
    ) -> WorldObservation:
        """Start the task that the seed names, or the next one."""
        task = self.tasks.task(next(self.numbers) if seed is None else seed)
        self.episode, self.episode_id = Episode(task, self.log, self.max_turns), episode_id
        world = self.episode.world
        return WorldObservation(
            prompt=task.prompt,
            system_prompt=world.system_prompt,
            tools=[spec.schema for spec in world.listed_tools()],
        )

    def step(
        self, action: WorldAction, timeout_s: float | None = None, **_: object
    ) -> WorldObservation:
        """Play one turn, from a thread without an event loop."""
        return asyncio.run(self.step_async(action, timeout_s))

    async def step_async(
        self, action: WorldAction, timeout_s: float | None = None, **_: object
    ) -> WorldObservation:
        """Play one turn."""
        if self.episode is None:
            return WorldObservation(error="call reset first")
        calls = [call.model_dump() for call in action.calls]
        try:
            async with asyncio.timeout(timeout_s):
                done = await self.episode.turn(calls, action.message)
        except EpisodeOver as error:
            return WorldObservation(error=str(error), done=True)
        stop, score = self.episode.stop, self.episode.world.score
        return WorldObservation(
            results=[call.result for call in done],
            done=stop is not None,
            reward=score.value if score else 0.0,
            stop=stop.value if stop else "",
        )

    @property
    def state(self) -> Any:
        """Which episode, and how far; nothing of the world's own state."""
        turn = self.episode.world.turn if self.episode else 0
        return server.State(episode_id=self.episode_id, step_count=turn)


def openenv_app(
    tasks: GeneratedTasks, log: EpisodeLog, max_turns: int | None = None, max_sessions: int = 64
) -> FastAPI:
    """The application of a world; each WebSocket session has a world of its own.

    Raises:
        ValueError: for more than one world.
    """
    if len(tasks.classes) != 1:
        raise ValueError("an OpenEnv server serves one world; start one server for each")
    numbers, limit = itertools.count(), max_turns or tasks.classes[0].max_turns

    def environment() -> WorldEnvironment:
        return WorldEnvironment(tasks, numbers, log, limit)

    return server.create_fastapi_app(
        environment, WorldAction, WorldObservation, max_concurrent_envs=max_sessions
    )
