"""`World`: a tool-use environment as a real `gymnasium.Env`, and what its author has to say.

One `step` is one assistant turn: structured calls and an optional message. The world never sees
call syntax or tokens. Invariant: a turn's effect depends only on (task, state, calls so far); a
refused call changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, ClassVar

import gymnasium as gym

from tooldojo.envs import making
from tooldojo.envs.blame import described
from tooldojo.envs.calls import MALFORMED, VerifierCrash, WorldCrash, drive
from tooldojo.envs.draft import Draft
from tooldojo.envs.judging import Components, Judge, JudgeLost, approve
from tooldojo.envs.running import of_plain_data, run_calls
from tooldojo.envs.snapshot import Capabilities, Snapshot, clone
from tooldojo.envs.spaces import Message, NoCalls, ToolCallSpace
from tooldojo.envs.state_tree import StateTree
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolLost, ToolSpec, ToolSpecError, marked_tools
from tooldojo.envs.users import User, UserSide, converse, replies
from tooldojo.envs.verdict import Verdict
from tooldojo.verifiers.canonical import text_hash
from tooldojo.verifiers.combine import Verifier, state_and_answer
from tooldojo.verifiers.process import RewardPart
from tooldojo.verifiers.records import (
    Evidence,
    ExpectedCall,
    Goal,
    Json,
    Score,
    StopReason,
    ToolCall,
)
from tooldojo.verifiers.reward import TurnReward, process_rewards, weighing

_compact_json = json.JSONEncoder(separators=(",", ":")).encode

__all__ = ["MALFORMED", "VerifierCrash", "World", "WorldCrash"]

# What an instance holds beside the attributes of its class.
_HELD = """action_space answer calls gathered hashes level messages observation_space score split
    state_tree states stop task turn turn_limit"""
HELD = frozenset(_HELD.split())


class World(gym.Env[tuple[str, ...], dict]):
    """Base of all worlds. Authors set `system_prompt`, mark tools and write `draft`, nothing more.

    Observations are tuples of strings: the task's prompt at `reset`, one result per call
    afterwards. A message without calls ends the task; where there is a `user`, only one with a
    closing line does, and the observation of any other is the user's reply. The reward is the
    score's value on the last step and 0 before.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}  # pyright: ignore
    env_id: ClassVar[str] = ""
    system_prompt: ClassVar[str] = "You are a helpful assistant. Use the tools."
    levels: ClassVar[tuple[int, ...]] = (1,)
    max_turns: ClassVar[int] = 8
    verifier: ClassVar[Verifier] = state_and_answer()
    rewards: ClassVar[tuple[RewardPart, ...]] = ()  # beside the score; see docs/rewards.md
    slow_tools: ClassVar[bool] = False  # synchronous tools that take milliseconds or more
    tool_less: ClassVar[bool] = False  # answered without tools; elsewhere that is a mistake
    verdict: ClassVar[Verdict | None] = None  # of an imported world's audit; None for ours
    capabilities: ClassVar[Capabilities] = Capabilities()
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    unseen_wordings: ClassVar[frozenset[int]] = frozenset()
    user: User | None = None  # rollouts may put another one into an instance

    judge: Judge | None = None  # who answers judged components; whoever plays the world sets it
    call_deadline: float | None = None  # seconds, for a tool that declares none; set likewise
    proving: bool = False  # a demonstration is played: what only takes time is left out

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Components(cls.verifier, cls.rewards)  # refuses names that stand for two

    def __init__(
        self,
        split: str = "train",
        level: int | None = None,
        max_turns: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if level is not None and level not in self.levels:
            raise ValueError(
                f"{type(self).__name__} has no level {level}; "
                f"it has {', '.join(map(str, self.levels))}"
            )
        self.split = Split(split)
        self.level = level
        self.turn_limit = self._own_turn_limit = max_turns or self.max_turns
        self.render_mode = render_mode
        self.state_tree = StateTree({})
        self.observation_space = gym.spaces.Sequence(Message())
        specs = list(self.tool_specs().values())
        calls = gym.spaces.Sequence(ToolCallSpace(specs)) if specs else NoCalls()
        self.action_space = gym.spaces.Dict({"calls": calls, "message": Message()})

    # What an author writes

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level, from `rng` alone."""
        raise NotImplementedError(
            f"{cls.__name__} has no tasks; write a classmethod draft(rng, level) -> Draft"
        )

    def on_load(self) -> None:
        """Rebuild caches derived from `self.state`; called whenever the state was replaced."""

    def gather(self) -> dict[str, Json]:
        """What the verifier needs beyond state and calls, such as results of tests run now: plain
        data that depends on the state alone. Called once, when the task ends.
        """
        return {}

    def user_side(self) -> UserSide:
        """What the user knows and can do; asked of worlds with a `user`."""
        raise NotImplementedError(f"{type(self).__name__} has a user and no user_side()")

    # What a wrapper may change

    @classmethod
    def origin_id(cls) -> str:
        """The id by which tasks are drawn and split; a wrapped world keeps that of its base."""
        return cls.env_id

    async def perform(self, spec: ToolSpec, arguments: dict[str, Any]) -> object:
        """Run a tool on checked arguments."""
        result = getattr(self, spec.name)(**arguments)
        return await result if spec.is_async else result

    def seconds_allowed(self, calls: Sequence[dict], default: float) -> float:
        """How long a turn with these calls may take: the sum over calls of what the tool declares,
        or of `default`; `default` for a turn without calls.
        """
        specs = [self.tool_specs().get(call["name"]) for call in calls]
        return sum((spec and spec.deadline) or default for spec in specs) or default

    def out_of_turns(self) -> bool:
        """Whether the turn just played was the last one allowed."""
        return self.turn >= self.turn_limit

    # What the framework asks

    @classmethod
    @cache
    def tool_specs(cls) -> dict[str, ToolSpec]:
        """The tools by name, in order of definition."""
        found = marked_tools(cls, HELD | set(dir(World)))
        if not found and not cls.tool_less:
            raise ToolSpecError(
                f"{cls.__name__} has no tools; mark a method with @tool(mutates=...)"
            )
        return found

    @classmethod
    def make_task(cls, seed: int, split: Split, level: int, ordinal: int) -> Task:
        """Task number `ordinal` of a split: drawn until it belongs there, then proven by its gold.

        Train, val and test are told apart by content hash (0-6, 7, 8-9 of ten), so they share no
        task whatever the seeds; the other two test splits by the held-out combinations and
        wordings.

        Raises:
            LookupError: when no draft belongs to the split.
            WorldCrash: when the gold does not score 1.
        """
        return making.drawn(cls, seed, split, level, ordinal)

    @classmethod
    def task_from(cls, draft: Draft, split: Split, level: int, lineage: str) -> Task | None:
        """The task of a draft that was not drawn but made, proven by its gold; None where its
        content belongs to another split.

        Raises:
            WorldCrash: when the gold does not score 1.
        """
        belongs = cls.split_of(draft) is split
        return making.complete(cls, draft, split, level, lineage) if belongs else None

    @classmethod
    def split_of(cls, draft: Draft) -> Split | None:
        """The split that a draft belongs to; None for none."""
        return making.split_of(cls, draft)

    def replay_gold(self, task: Task) -> Score:
        """Play the task's own demonstration and return its score.

        Raises:
            WorldCrash: when a gold call is ill-formed, or the gold does not end with a message.
        """
        making.play_gold(self, task, task.gold)
        if self.score is None:
            raise WorldCrash(
                f"{type(self).__name__}: unplayable gold: it does not end with a message"
            )
        return self.score

    # gymnasium

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict]:
        """Start `options["task"]`, or one drawn from the env's split and level by `np_random`."""
        super().reset(seed=seed)
        options = options or {}
        task = options.get("task")
        if task is None:
            levels = self.levels if self.level is None else (self.level,)
            level = int(self.np_random.choice(levels))
            task = self.make_task(int(self.np_random.integers(2**31)), self.split, level, 0)
        if task.env != self.env_id:
            raise ValueError(f"a task of {task.env!r} cannot be played in {self.env_id!r}")
        self.turn_limit = int(options.get("max_turns", self._own_turn_limit))
        self.restore(Snapshot(task, task.world, (), (), 0))
        return (task.prompt,), {"task_id": task.id, "system_prompt": self.system_prompt}

    def step(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        """Play one assistant turn; see the class for what comes back."""
        waits = self._judge_waits() or any(spec.is_async for spec in self.tool_specs().values())
        return drive(self.astep(action), waits or (self.user is not None and self.user.waits))

    async def astep(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        """`step` for event loops: the same code, but a slow asynchronous tool holds no thread.

        Raises:
            RuntimeError: after the end of the task.
            WorldCrash: when a tool, the user or the verifier has a bug.
        """
        if self.stop is not None:
            raise RuntimeError(f"this task has ended ({self.stop.value}); call reset first")
        message = action.get("message") or ""
        done = await run_calls(self, action.get("calls", ()))
        if done and message:
            self.messages.append(message)
        if not done:
            done = await converse(self, message)
            self.calls += done
        self.turn += 1
        self.hashes.append(self.chain_hash(self.hashes[-1], done, self.state_hash()))
        if self.components().keep_states:
            self.states.append(self.state_tree.frozen())
        if not done:
            await self.afinish(StopReason.ANSWERED, message)
        elif self.out_of_turns():
            await self.afinish(StopReason.MAX_TURNS)
        info: dict[str, Any] = {
            "outcomes": [call.outcome.value for call in replies(done)],
            "state_hash": self.hashes[-1],
        }
        if self.score is not None:
            info |= {"score": self.score.to_json(), "stop": self.stop.value if self.stop else None}
        reward = self.score.value if self.score else 0.0
        ended = self.stop is StopReason.ANSWERED
        truncated = self.stop is not None and not ended
        return tuple(c.result for c in replies(done)), reward, ended, truncated, info

    def finish(self, stop: StopReason, answer: str | None = None) -> Score:
        """`afinish` without an event loop."""
        return drive(self.afinish(stop, answer), self._judge_waits())

    def _judge_waits(self) -> bool:
        return self.judge not in (None, approve) and bool(self.components().judged)

    async def afinish(self, stop: StopReason, answer: str | None = None) -> Score:
        """End the task here, ask the judge what there is to ask, and judge the evidence so far.

        Raises:
            VerifierCrash: when the verifier, or what it needs, fails; no verdict and never a 0.
            ToolLost, JudgeLost: when what it needs could not be had, for no fault of the policy.
        """
        self.stop, self.answer = stop, answer
        try:
            self.gathered = self.gather()
            if self.judge is not None and self.components().judged:
                evidence, goal = self.evidence(), self.reward_goal(self.task)
                self.gathered |= await self.components().ask(self.judge, evidence, goal)
            self.score = self.verifier(self.evidence(), self.task.goal)
        except (ToolLost, JudgeLost):
            raise
        except Exception as error:
            raise self._verifier_crash(error) from error
        return self.score

    def _verifier_crash(self, error: Exception) -> VerifierCrash:
        return VerifierCrash(f"the verifier of {self.env_id} failed: {described(error)}")

    @classmethod
    @cache
    def components(cls) -> Components:
        """The parts of the verifier and the world's own rewards."""
        return Components(cls.verifier, cls.rewards)

    @classmethod
    def reward_goal(cls, task: Task) -> Goal:
        """What reward parts and judges see as the goal: it lists the demonstration's calls."""
        wanted = tuple(ExpectedCall(c.name, c.arguments) for turn in task.gold for c in turn.calls)
        return replace(task.goal, calls=task.goal.calls or wanted)

    def process_rewards(self, weights: Mapping[str, float]) -> tuple[TurnReward, ...]:
        """What the turns earned beside the score.

        Raises:
            VerifierCrash: when a reward part fails.
        """
        parts, goal = weighing(self.rewards, weights), self.reward_goal(self.task)
        try:
            return process_rewards(parts, self.evidence(), goal) if parts else ()
        except Exception as error:
            raise self._verifier_crash(error) from error

    def evidence(self) -> Evidence:
        """What happened so far, as the verifier sees it."""
        stop = self.stop or StopReason.MAX_TURNS
        return Evidence(
            clone(self.task.world),
            clone(self.state),
            tuple(self.calls),
            self.answer,
            stop,
            self.turn,
            clone(self.gathered),
            tuple(self.messages),
            tuple(self.states),
        )

    def render(self) -> str:  # type: ignore[override]
        """The task and its calls as text."""
        lines = [f"task: {self.task.prompt}"]
        lines += [
            f"{c.turn}: {c.name}({json.dumps(c.arguments, ensure_ascii=False)}) -> {c.result}"
            for c in self.calls
        ]
        return "\n".join([*lines, f"answer: {self.answer}"] if self.stop else lines)

    # State

    @property
    def state(self) -> dict[str, Any]:
        """Plain data that knows what changed in it; see `tracked`."""
        return self.state_tree.root

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.state_tree.root = state

    def snapshot(self) -> Snapshot:
        """The state between two turns; later steps do not change it."""
        return Snapshot(
            self.task,
            self.state_tree.frozen(),
            tuple(self.calls),
            tuple(self.hashes),
            self.turn,
            tuple(self.messages),
            tuple(self.states),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go to a snapshot, of this instance or another one."""
        self.task, self.turn = snapshot.task, snapshot.turn
        self.state_tree = StateTree(snapshot.state)
        self.calls: list[ToolCall] = list(snapshot.calls)
        self.hashes: list[str] = list(snapshot.hashes) or [self.state_hash()]
        self.messages: list[str] = list(snapshot.messages)
        self.states: list[dict[str, Any]] = list(snapshot.states)
        self.stop: StopReason | None = None
        self.answer: str | None = None
        self.score: Score | None = None
        self.gathered: dict[str, Json] = {}
        self.on_load()

    def state_hash(self) -> str:
        """Hash of the canonical state.

        Raises:
            WorldCrash: where a tool left something in it that is no plain data.
        """
        return of_plain_data(self.env_id, self.state_tree.digest)

    @staticmethod
    def chain_hash(previous: str, calls: Sequence[ToolCall], state_hash: str) -> str:
        """The next link of a trajectory's hash chain: what was before, the calls, the state."""
        link = [previous, [call.to_json() for call in calls], state_hash]
        return text_hash(_compact_json(link))
