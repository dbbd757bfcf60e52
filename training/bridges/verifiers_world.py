"""A world for the package `verifiers` (its v1 API): taskset, task, and tool server.

The tool server plays one world per rollout and knows nothing of the verdict. The reward plays the
trace's calls again on a fresh world and judges that, so a stored trace can be scored anew; a world
that is not replayable is refused. Invariant: the reward is the score's value, and a crash of world
or verifier is an error of the trace, never a 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

from tooldojo.envs.bridges.episode import Episode, EpisodeLog, refuse_user
from tooldojo.envs.bridges.extras import require
from tooldojo.envs.bridges.functions import dress
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolSpec
from tooldojo.envs.world import MALFORMED, VerifierCrash
from tooldojo.verifiers.records import Json, ScoreStatus, StopReason

vf: Any = require("verifiers.v1", "verifiers")  # by name: the bare one is also our own folder's


class WorldData(vf.TaskData):
    """A task on the wire. task: `Task.to_json()`; it holds the goal, and no prompt shows it."""

    task: dict[str, Any]


class WorldToolsConfig(vf.ToolsetConfig):
    """world: an id or reference."""

    world: str = "tooldojo/Orders-v0"


class WorldTools(vf.Toolset[WorldToolsConfig]):
    """The tools of a world, under their own names."""

    TOOL_PREFIX = None

    async def setup_task(self, task: WorldData) -> None:
        """Start the rollout's task; the trainer limits turns."""
        self._episode = Episode(Task.from_json(task.task), EpisodeLog(None), sys.maxsize)

    def register(self, mcp: Any) -> None:
        """Add every tool to the server."""
        for spec in world_class(self.config.world).tool_specs().values():
            mcp.add_tool(self._function(spec), name=spec.name, description=spec.description)

    def _function(self, spec: ToolSpec) -> Any:
        async def call(**arguments: Json) -> str:
            return (await self._episode.call(spec.name, arguments)).result

        return dress(call, spec, strict=True)


class WorldTaskConfig(vf.TaskConfig):
    """tools: the tool server."""

    tools: WorldToolsConfig = WorldToolsConfig()


class WorldTask(vf.Task[WorldData, vf.State, WorldTaskConfig]):
    """One task; its reward is named `solved`."""

    @classmethod
    def toolsets(cls, config: WorldTaskConfig) -> list[Any]:
        """One tool server per rollout."""
        return [WorldTools(config.tools)]

    @vf.reward
    async def solved(self, trace: Any) -> float:
        """The score's value of what the trace did."""
        return await asyncio.to_thread(_judged, Task.from_json(self.data.task), trace)


class WorldTasksetConfig(vf.TasksetConfig):
    """Which tasks: world, split, seed, how many, and the levels (all, where there are none)."""

    world: str = "tooldojo/Orders-v0"
    split: str = "train"
    seed: int = 0
    count: int = 100
    levels: tuple[int, ...] = ()


class WorldTaskset(vf.Taskset[WorldTask, WorldTasksetConfig]):
    """Tasks of one world."""

    def load(self) -> Iterator[WorldTask]:
        """The tasks, in order.

        Raises:
            ValueError: for a world whose calls cannot be played again, or that has a user.
        """
        config = self.config
        world = world_class(config.world)
        if not world.capabilities.replayable:
            raise ValueError(f"{world.env_id} is not replayable, and its reward is a replay")
        refuse_user(world, "a taskset of `verifiers`")
        tools = WorldTaskConfig(tools=WorldToolsConfig(world=config.world))
        for task in take([config.world], Split(config.split), config.seed, config.count,
                         config.levels):  # fmt: skip
            data = WorldData(
                id=task.id,
                prompt=task.prompt,
                system_prompt=world.system_prompt or None,
                task=task.to_json(),
            )
            yield WorldTask(data, tools)


def _judged(task: Task, trace: Any) -> float:
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": sys.maxsize})
    for message in trace.assistant_messages:
        if world.stop is not None:
            break  # the final message came; nothing after it counts
        calls = tuple(map(_call, message.tool_calls or ()))
        world.step({"calls": calls, "message": message.content or ""})
    score = world.score or world.finish(StopReason.MAX_TURNS)
    if score.status is not ScoreStatus.SCORED:
        raise VerifierCrash(f"the verifier of {task.env} gave no verdict ({score.why})")
    return score.value


def _call(call: Any) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        error: dict[str, Json] = {"error": "the arguments are no JSON object"}
        return {"name": MALFORMED, "arguments": error}
    return {"name": call.name, "arguments": arguments}
