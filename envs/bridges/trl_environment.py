"""A world for `trl.GRPOTrainer`: `environment_factory`, the rows of its dataset, and the reward.

TRL hands an environment one call at a time and none of the text, so the reward is a function over
completions (`reward_funcs`) and there is no `get_reward`. Refuses worlds whose tools carry a name
that TRL keeps for itself, and worlds with a user. Invariant: a group's members start from the same
state, because the task is in the row; the verifier sees all that was said; a trajectory without a
verdict has no reward, which TRL leaves out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tooldojo.envs.bridges.episode import refuse_user
from tooldojo.envs.bridges.functions import dress
from tooldojo.envs.judging import JudgeLost
from tooldojo.envs.limits import ToolDeadline
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Task
from tooldojo.envs.tools import ToolLost, ToolSpec
from tooldojo.envs.world import World, WorldCrash
from tooldojo.verifiers.criteria import texts
from tooldojo.verifiers.records import Json, ScoreStatus, StopReason

RESERVED = frozenset({"reset", "get_reward"})
_NO_VERDICT = (WorldCrash, ToolLost, ToolDeadline, JudgeLost)


class TrlEpisode:
    """What TRL calls: `reset`, and one method for each tool of the world."""

    _world_class: type[World]

    def __init__(self) -> None:
        self._world, self._failure = self._world_class(), False

    def reset(self, task: str, **_: object) -> None:
        """Start the task of a row; the prompt stays as it is. Turns are TRL's to limit."""
        self._failure = False
        started = Task.from_json(json.loads(task))
        self._world.reset(options={"task": started, "max_turns": sys.maxsize})

    def _call(self, name: str, arguments: dict[str, Json]) -> str:
        try:
            action = {"calls": ({"name": name, "arguments": arguments},), "message": ""}
            return self._world.step(action)[0][0]
        except _NO_VERDICT as error:
            self._failure = True  # TRL would show the model any exception as the call's result
            return str(error)

    def _score(self, completion: Sequence[dict[str, Any]]) -> float | None:
        """The score's value of a conversation that followed the prompt."""
        if self._failure:
            return None
        last = completion[-1] if completion else {}
        self._world.messages += self._said_beside_calls(completion)
        try:
            if last.get("role") == "assistant" and not last.get("tool_calls"):
                score = self._world.finish(StopReason.ANSWERED, last.get("content") or "")
            else:
                score = self._world.finish(StopReason.MAX_TURNS)
        except _NO_VERDICT:
            return None
        return score.value if score.status is ScoreStatus.SCORED else None

    def _said_beside_calls(self, completion: Sequence[dict[str, Any]]) -> Iterator[str]:
        """The text of turns with calls, and of calls that TRL did not pass on: those of an unknown
        tool, and those of a last turn that it has no room for.
        """
        passed_on = [(call.name, call.arguments) for call in self._world.calls]
        for message in completion:
            called = message.get("tool_calls") if message.get("role") == "assistant" else None
            if called and message.get("content"):
                yield message["content"]
            for call in called or ():
                about = call.get("function", call)
                if (about["name"], about.get("arguments")) not in passed_on:
                    yield from texts(about.get("arguments"))


@dataclass(frozen=True, slots=True)
class TrlWorld:
    """What `GRPOTrainer` gets: `environment_factory=factory`, `reward_funcs=[reward]`, and a
    dataset of `rows`.
    """

    world: type[World]
    factory: type[TrlEpisode]

    def rows(self, tasks: Iterable[Task]) -> list[dict[str, Json]]:
        """Tasks as rows: `prompt` for the model, `task` for the environment."""
        return [self._row(task) for task in tasks]

    def reward(
        self,
        completions: Sequence[Sequence[dict[str, Any]]],
        environments: Sequence[TrlEpisode],
        **_: object,
    ) -> list[float | None]:
        """TRL's reward function: the score's value, None where there is no verdict."""
        pairs = zip(environments, completions, strict=True)
        return [environment._score(completion) for environment, completion in pairs]

    def _row(self, task: Task) -> dict[str, Json]:
        system: list[Json] = []
        if self.world.system_prompt:
            system.append({"role": "system", "content": self.world.system_prompt})
        user: Json = {"role": "user", "content": task.prompt}
        return {"prompt": [*system, user], "task": json.dumps(task.to_json())}


def trl_world(reference: str) -> TrlWorld:
    """A world, by id or reference, as TRL takes it.

    Raises:
        ValueError: for a tool that TRL would not offer, or would take for its own, and for a world
            with a user.
    """
    world = world_class(reference)
    refuse_user(world, "TRL")
    members: dict[str, object] = {"_world_class": world}
    for name, spec in world.tool_specs().items():
        if name in RESERVED or name.startswith("_"):
            raise ValueError(f"TRL offers no tool named {name!r}; rename it in {world.env_id}")
        members[name] = _method(spec)
    return TrlWorld(world, type(world.__name__, (TrlEpisode,), members))


def _method(spec: ToolSpec) -> Callable[..., str]:
    """A tool as a method that TRL can make a schema of."""

    def call(self: TrlEpisode, /, **arguments: Json) -> str:
        return self._call(spec.name, arguments)

    return dress(call, spec, method=True)
