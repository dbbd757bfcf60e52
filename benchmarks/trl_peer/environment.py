"""A world behind TRL's `environment_factory`: its tools as methods, its verifier as the reward.

Owns what `trl.GRPOTrainer` sees of a world. Refuses worlds whose tools carry a name that TRL keeps
for itself. Invariant: a trajectory that TRL's tool loop plays to the same tokens as ours gets the
same reward as ours.

TRL hands an environment one call at a time and none of the text, so what was said, and the end, are
judged from the completion's tokens by `world_rewards`. What TRL's loop does differently stays as it
is: a malformed turn ends the trajectory instead of being answered, a call of an unknown tool is
answered by TRL and only its arguments reach the verifier, and the complete calls of a turn that a
limit cut off do run.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import ClassVar

from tooldojo.envs.calls import RAN
from tooldojo.envs.task import Task
from tooldojo.envs.world import World, WorldCrash
from tooldojo.envs.wrappers.settings import Latency
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.player import action_of
from tooldojo.verifiers.criteria import texts
from tooldojo.verifiers.records import Json, Reward, ScoreStatus, StopReason
from tooldojo.verifiers.reward import RewardShape, shape_reward

RESERVED = frozenset({"reset", "get_reward", "play", "rules"})  # TRL calls the first two itself


@dataclass(frozen=True, slots=True)
class PlayRules:
    """What all environments of a run share.

    invitation: what the chat template writes before an assistant turn. max_turns: assistant turns
    of a trajectory; TRL's `max_tool_calling_iterations` must be one less. latency: what a call
    takes, with the world's own time on top. async_tools: methods are coroutines, and wait as such.
    """

    world: type[World]
    chat: Chat
    shape: RewardShape
    max_turns: int
    invitation: str
    latency: Latency = field(default_factory=Latency)
    async_tools: bool = False

    @property
    def schemas(self) -> list[dict[str, Json]]:
        """The tools as our own prompts name them: the world's schemas, in its order."""
        return [spec.schema for spec in self.world.tool_specs().values()]

    def row(self, task: Task) -> dict[str, Json]:
        """A task as a row of TRL's dataset; the column `task` goes to `reset`."""
        system: Json = {"role": "system", "content": self.world.system_prompt}
        user: Json = {"role": "user", "content": task.prompt}
        return {"prompt": [system, user], "task": json.dumps(task.to_json())}


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model reads of a call, and the seconds that the call is to take."""

    text: str
    seconds: float


class WorldPlay:
    """One world under TRL's tool loop; `failure` is the bug that ended it without a verdict."""

    def __init__(self, rules: PlayRules) -> None:
        self.rules, self.world = rules, rules.world()
        self.failure: WorldCrash | None = None

    def start(self, task: Task) -> None:
        """Begin a task. Turns are counted at the end: TRL does not say where one ends."""
        self.failure = None
        self.world.reset(options={"task": task, "max_turns": sys.maxsize})

    def call(self, name: str, arguments: dict[str, Json]) -> Answered:
        """Play one call; a refused one takes no time, as in a world with the wrapper `latency`."""
        state = self.world.hashes[-1]
        try:
            results = self.world.step({"calls": ({"name": name, "arguments": arguments},)})[0]
        except WorldCrash as error:
            self.failure = error  # TRL would show the model any exception as the call's result
            return Answered(str(error), 0.0)
        if self.world.calls[-1].outcome not in RAN:
            return Answered(results[0], 0.0)
        return Answered(results[0], self.rules.latency.seconds(0, state, name, arguments))

    def finish(self, completion: Sequence[int]) -> Reward | None:
        """The reward of a whole completion; None where there is no verdict (our table of endings).

        completion: all ids after the prompt, tool results included.
        """
        if self.failure is None:
            try:
                stop = self._end(list(completion))
            except WorldCrash as error:
                self.failure = error
        score = self.world.score
        if self.failure is not None or score is None or score.status is not ScoreStatus.SCORED:
            return None
        evidence, shape = self.world.evidence(), self.rules.shape
        return shape_reward(score, evidence, shape, ENDINGS[stop].truncated)

    def _end(self, completion: list[int]) -> StopReason:
        """Play the last turn as our own player would, and say how the trajectory ended."""
        chat, world = self.rules.chat, self.world
        starts = turn_starts(completion, chat.tokenizer.encode(self.rules.invitation))
        last = completion[starts[-1] :]
        for begin, end in pairwise(starts):
            self._hear(completion[begin:end])
        world.turn = len(starts) - 1
        if not last or last[-1] not in chat.stop_ids:
            world.turn += 1
            return self._judge(StopReason.MAX_TOKENS)
        parsed = chat.parse(last)
        if parsed.malformed is not None:
            world.step(action_of(parsed))
            return self._judge(StopReason.MALFORMED)
        if parsed.calls and len(starts) < self.rules.max_turns:
            world.turn += 1  # the calls ran, but TRL had no room for their results
            self._hear(last)
            return self._judge(StopReason.CONTEXT_FULL)
        world.turn_limit = self.rules.max_turns
        world.step(action_of(parsed))
        return world.stop or StopReason.MAX_TURNS

    def _hear(self, turn: list[int]) -> None:
        """Note what a turn whose calls TRL played said beside them, and to tools that are none.

        turn: its ids, with or without the results that follow.
        """
        chat, world = self.rules.chat, self.world
        ends = next(at for at, token in enumerate(turn, 1) if token in chat.stop_ids)
        parsed, known = chat.parse(turn[:ends]), world.tool_specs()
        foreign = [texts(call.arguments) for call in parsed.calls if call.name not in known]
        world.messages += filter(None, chain([parsed.message], *foreign))

    def _judge(self, stop: StopReason) -> StopReason:
        self.world.finish(stop)
        return stop


class WorldEnvironment:
    """What TRL calls: `reset`, and one method for each tool of the world (see
    `environment_class`).
    """

    rules: ClassVar[PlayRules]

    def __init__(self) -> None:
        self.play = WorldPlay(self.rules)

    def reset(self, task: str, **_: object) -> None:
        """Start a row of `PlayRules.row`; the prompt stays as it is."""
        self.play.start(Task.from_json(json.loads(task)))


def environment_class(rules: PlayRules) -> type[WorldEnvironment]:
    """TRL's `environment_factory` for a world.

    Raises:
        ValueError: for a tool that TRL would not offer, or would take for its own.
    """
    names = list(rules.world.tool_specs())
    for name in names:
        if name in RESERVED or name.startswith("_"):
            raise ValueError(f"TRL offers no tool named {name!r}; rename it in {rules.world}")
    method = _async_method if rules.async_tools else _method
    members: dict[str, object] = {name: method(name) for name in names}
    return type(rules.world.__name__, (WorldEnvironment,), {**members, "rules": rules})


def world_rewards(
    environments: Sequence[WorldEnvironment],
    completion_ids: Sequence[Sequence[int]],
    **_: object,
) -> list[float | None]:
    """TRL's `reward_funcs`: the total reward, None for a trajectory that must not train."""
    ends = zip(environments, completion_ids, strict=True)
    rewards = [environment.play.finish(ids) for environment, ids in ends]
    return [reward.total if reward else None for reward in rewards]


def turn_starts(completion: Sequence[int], invitation: Sequence[int]) -> list[int]:
    """Where assistant turns begin: at 0, and behind each invitation at the end of tool results."""
    ids, head = list(completion), list(invitation)
    places = range(len(ids) - len(head) + 1)
    return [0, *(at + len(head) for at in places if ids[at : at + len(head)] == head)]


def _method(name: str) -> Callable[..., str]:
    def call(self: WorldEnvironment, **arguments: Json) -> str:
        answered = self.play.call(name, arguments)
        time.sleep(answered.seconds)
        return answered.text

    call.__name__ = name  # TRL finds a tool by this name
    return call


def _async_method(name: str) -> Callable[..., Coroutine[None, None, str]]:
    async def call(self: WorldEnvironment, **arguments: Json) -> str:
        answered = self.play.call(name, arguments)  # in the order in which TRL starts the calls
        await asyncio.sleep(answered.seconds)
        return answered.text

    call.__name__ = name
    return call
