"""Policies without a model, for baselines, audits and tests: `Script` and `ScriptedSampler`.

The sampler writes the turn that a script wants through the call format and the tokenizer, so that
everything behind it runs as with a model. Invariant: what a script plays depends only on its seed,
the task and the turn. Logprobs are 0: a script is certain.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence

import numpy as np

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.similarity import nearest
from tooldojo.envs.spaces import ToolCallSpace
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.guessing import guess
from tooldojo.rollouts.records import EngineId
from tooldojo.rollouts.sampler import Sampled, SampleRequest

CONSTANT_REPLY = "Done."
RANDOM_CALLS = 3  # random_tool calls this often, then replies
IMITATORS = frozenset({"nearest_demonstration", "guess"})  # need demonstrations


class Script:
    """What a scripted policy does, turn by turn, without tokens.

    gold: the task's own demonstration. random_tool: schema-valid random calls, then a constant
    reply. do_nothing: an empty message. nearest_demonstration: the gold of the demonstration of the
    same world whose prompt shares most words (Jaccard), replayed turn by turn whatever comes back.
    guess: no call, and the closing line that demonstrations like it suggest (`guessing`).
    """

    def __init__(self, policy_name: str, seed: int, demonstrations: Sequence[Task] = ()) -> None:
        if policy_name not in _POLICIES:
            known = ", ".join(_POLICIES)
            raise LookupError(f"unknown scripted policy {policy_name!r}; there are {known}")
        if policy_name in IMITATORS and not demonstrations:
            raise ValueError(f"{policy_name} needs demonstrations; pass training tasks")
        self.name, self.seed = policy_name, seed
        self.demonstrations = list(demonstrations)

    def turn(self, task: Task, number: int, seed: int) -> GoldTurn:
        """The policy's turn `number` of a task; seed: of this turn, where it is random."""
        return _POLICIES[self.name](self, task, number, seed)

    def nearest(self, task: Task) -> Task:
        """The demonstration nearest to a task; the first of several equally near ones.

        Raises:
            LookupError: when no demonstration is of the task's world.
        """
        return nearest(task, self._of_the_world(task))

    def _of_the_world(self, task: Task) -> list[Task]:
        same = [demo for demo in self.demonstrations if demo.env == task.env]
        if not same:
            raise LookupError(f"no demonstration of {task.env}; demonstrate each world that plays")
        return same

    def _gold(self, task: Task, number: int, _seed: int) -> GoldTurn:
        return _turn_of(task, number)

    def _nearest(self, task: Task, number: int, _seed: int) -> GoldTurn:
        return _turn_of(self.nearest(task), number)

    def _guess(self, task: Task, _number: int, _seed: int) -> GoldTurn:
        rules = world_class(task.env).system_prompt
        return GoldTurn("", (), guess(task, self._of_the_world(task), rules))

    def _random_tool(self, task: Task, number: int, seed: int) -> GoldTurn:
        if number >= RANDOM_CALLS or not world_class(task.env).tool_specs():
            return GoldTurn("", (), CONSTANT_REPLY)
        drawn = _calls_of(task.env, derive_seed(self.seed, "random_tool", seed, number))
        return GoldTurn("", (Call(drawn["name"], drawn["arguments"]),))

    def _do_nothing(self, _task: Task, _number: int, _seed: int) -> GoldTurn:
        return GoldTurn("", (), "")

    def _constant_reply(self, _task: Task, _number: int, _seed: int) -> GoldTurn:
        return GoldTurn("", (), CONSTANT_REPLY)


class ScriptedSampler(Script):
    """A `Script` that writes its turns as tokens."""

    def __init__(
        self, chat: Chat, policy_name: str, seed: int, demonstrations: Sequence[Task] = ()
    ) -> None:
        super().__init__(policy_name, seed, demonstrations)
        self.chat = chat
        self.engine = EngineId(f"scripted-{policy_name}", "scripted", os.getpid(), platform.node())

    async def sample(self, request: SampleRequest) -> Sampled:
        """The policy's next turn, cut where the request's token limit cuts it."""
        ids = self.chat.gold_ids(self.turn(request.task, request.turn, request.seed))
        room = request.sampling.max_tokens
        finish = "stop" if len(ids) <= room else "length"
        cut = tuple(ids[:room])
        return Sampled(cut, (0.0,) * len(cut), finish, request.policy, 0.0, 0.0)


def _calls_of(env: str, seed: int) -> dict:
    space = ToolCallSpace(list(world_class(env).tool_specs().values()))
    space._np_random = np.random.default_rng(seed)
    return space.sample()


def _turn_of(task: Task, turn: int) -> GoldTurn:
    """A turn of the task's demonstration; silence after its end."""
    return task.gold[turn] if turn < len(task.gold) else GoldTurn("", (), "")


_POLICIES: dict[str, Callable[[Script, Task, int, int], GoldTurn]] = {
    "gold": Script._gold,
    "random_tool": Script._random_tool,
    "do_nothing": Script._do_nothing,
    "constant_reply": Script._constant_reply,
    "nearest_demonstration": Script._nearest,
    "guess": Script._guess,
}
SCRIPTS = tuple(_POLICIES)
