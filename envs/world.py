"""`World`: a tool-use environment as a real `gymnasium.Env`, and what its author has to say.

One `step` is one assistant turn: structured calls and an optional message. The world never sees
call syntax or tokens. Invariant: a turn's effect depends only on (task, state, calls so far); a
refused call changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from functools import cache
from random import Random
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np

from tooldojo.envs.draft import Draft
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.snapshot import Capabilities, Snapshot, clone
from tooldojo.envs.spaces import Message, ToolCallSpace
from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, ToolSpec, is_json, tool_spec
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.combine import Verifier, state_and_answer
from tooldojo.verifiers.records import (
    CallOutcome,
    Evidence,
    Goal,
    Score,
    StopReason,
    ToolCall,
)

MALFORMED = "malformed"  # reserved call name: text that was meant as a call but could not be parsed
T = TypeVar("T")


class WorldCrash(RuntimeError):
    """A tool or the verifier failed with something that is no `ToolError`: a bug in the world."""


class VerifierCrash(WorldCrash):
    """The verifier failed or gave no verdict; the world itself ran well up to here."""


class World(gym.Env[tuple[str, ...], dict]):
    """Base of all worlds. Authors set `system_prompt`, mark tools and write `draft`, nothing more.

    Observations are tuples of strings: the task's prompt at `reset`, one result per call
    afterwards. The reward is the score's value on the last step and 0 before.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}  # pyright: ignore
    env_id: ClassVar[str] = ""
    system_prompt: ClassVar[str] = "You are a helpful assistant. Use the tools."
    levels: ClassVar[tuple[int, ...]] = (1,)
    max_turns: ClassVar[int] = 8
    verifier: ClassVar[Verifier] = state_and_answer()
    slow_tools: ClassVar[bool] = False  # synchronous tools that take milliseconds or more
    capabilities: ClassVar[Capabilities] = Capabilities()
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    unseen_wordings: ClassVar[frozenset[int]] = frozenset()

    state: dict[str, Any]

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
        self.observation_space = gym.spaces.Sequence(Message())
        calls = gym.spaces.Sequence(ToolCallSpace(list(self.tool_specs().values())))
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

    # What the framework asks

    @classmethod
    @cache
    def tool_specs(cls) -> dict[str, ToolSpec]:
        """The tools by name, in order of definition."""
        found: dict[str, ToolSpec] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if hasattr(value, "__tool_mark__"):
                    found[name] = tool_spec(value)
        if not found:
            raise TypeError(f"{cls.__name__} has no tools; mark a method with @tool(mutates=...)")
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
        for attempt in range(2000):
            rng = Random(
                derive_seed(seed, "task", cls.env_id, split.value, level, ordinal, attempt)
            )
            draft = cls.draft(rng, level)
            if cls._split_of(draft) is split:
                lineage = f"seed={seed} ordinal={ordinal} attempt={attempt}"
                return cls._complete(draft, split, level, lineage)
        raise LookupError(
            f"{cls.__name__} has no task of level {level} for the split {split.value!r}"
        )

    @classmethod
    def _split_of(cls, draft: Draft) -> Split | None:
        combo = (draft.template, draft.condition) in cls.unseen_combos
        wording = draft.wording in cls.unseen_wordings
        if combo or wording:
            both = combo and wording
            return None if both else (Split.TEST_COMBOS if combo else Split.TEST_WORDINGS)
        bucket = int(content_hash([cls.env_id, draft.prompt, draft.world]), 16) % 10
        return Split.TRAIN if bucket < 7 else Split.VAL if bucket == 7 else Split.TEST

    @classmethod
    def _complete(cls, draft: Draft, split: Split, level: int, lineage: str) -> Task:
        final = draft.gold[-1].message if draft.gold else None
        answer = draft.answer or (final or "").strip().rsplit("\n", 1)[-1] or None
        bare = Task(
            cls.env_id, draft.prompt, clone(draft.world),
            Goal(answer=answer, ignore=draft.ignore), tuple(draft.gold), level, split,
            draft.template, draft.condition, draft.wording, dict(draft.faults), lineage,
        )  # fmt: skip
        world = cls()
        world._play(bare, [turn for turn in bare.gold if turn.calls])
        goal = Goal(clone(world.state), answer, (), draft.ignore)
        task = Task(**{**{name: getattr(bare, name) for name in Task.__slots__}, "goal": goal})
        score = world.replay_gold(task)
        if not score.success:
            raise WorldCrash(
                f"{cls.__name__}: the gold of a task scores {score.value}: {score.why}"
            )
        return task

    def replay_gold(self, task: Task) -> Score:
        """Play the task's own demonstration and return its score.

        Raises:
            WorldCrash: when a gold call is ill-formed, or the gold does not end with a message.
        """
        self._play(task, task.gold)
        if self.score is None:
            raise WorldCrash(
                f"{type(self).__name__}: unplayable gold: it does not end with a message"
            )
        return self.score

    def _play(self, task: Task, turns: Sequence[GoldTurn]) -> None:
        self.reset(options={"task": task, "max_turns": len(turns) + 1})
        for turn in turns:
            calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
            self.step({"calls": calls, "message": turn.message or ""})
        bad = next((c for c in self.calls if c.outcome not in _RAN), None)
        if bad:
            raise WorldCrash(f"{type(self).__name__}: unplayable gold: {bad}")

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
        self.restore(Snapshot(task, task.world, (), (content_hash(task.world),), 0))
        return (task.prompt,), {"task_id": task.id, "system_prompt": self.system_prompt}

    def step(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        """Play one assistant turn; see the class for what comes back."""
        return _drive(self.astep(action), any(spec.is_async for spec in self.tool_specs().values()))

    async def astep(self, action: dict) -> tuple[tuple[str, ...], float, bool, bool, dict]:
        """`step` for event loops: the same code, but a slow asynchronous tool holds no thread.

        Raises:
            RuntimeError: after the end of the task.
            WorldCrash: when a tool or the verifier has a bug.
        """
        if self.stop is not None:
            raise RuntimeError(f"this task has ended ({self.stop.value}); call reset first")
        done = [await self._run(call) for call in action.get("calls", ())]
        self.turn += 1
        self.hashes.append(self.chain_hash(self.hashes[-1], done, self.state_hash()))
        if not done:
            self.finish(StopReason.ANSWERED, action.get("message") or "")
        elif self.turn >= self.turn_limit:
            self.finish(StopReason.MAX_TURNS)
        info: dict[str, Any] = {
            "outcomes": [call.outcome.value for call in done],
            "state_hash": self.hashes[-1],
        }
        if self.score is not None:
            info |= {"score": self.score.to_json(), "stop": self.stop.value if self.stop else None}
        reward = self.score.value if self.score else 0.0
        ended = self.stop is StopReason.ANSWERED
        truncated = self.stop is not None and not ended
        return tuple(c.result for c in done), reward, ended, truncated, info

    def finish(self, stop: StopReason, answer: str | None = None) -> Score:
        """End the task here and judge it on the evidence so far.

        Raises:
            VerifierCrash: when the verifier fails; that is no verdict and never a 0.
        """
        self.stop, self.answer = stop, answer
        try:
            self.score = self.verifier(self.evidence(), self.task.goal)
        except Exception as error:
            raise VerifierCrash(
                f"the verifier of {self.env_id} failed: {type(error).__name__}: {error}"
            ) from error
        return self.score

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

    def snapshot(self) -> Snapshot:
        """The state between two turns; later steps do not change it."""
        return Snapshot(
            self.task, clone(self.state), tuple(self.calls), tuple(self.hashes), self.turn
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go to a snapshot, of this instance or another one."""
        self.task, self.turn = snapshot.task, snapshot.turn
        self.state = clone(snapshot.state)
        self.calls: list[ToolCall] = list(snapshot.calls)
        self.hashes: list[str] = list(snapshot.hashes)
        self.stop: StopReason | None = None
        self.answer: str | None = None
        self.score: Score | None = None
        self.on_load()

    def state_hash(self) -> str:
        """Hash of the canonical state.

        Raises:
            WorldCrash: where a tool left something in it that is no plain data.
        """
        try:
            return content_hash(self.state)
        except ValueError as error:
            raise WorldCrash(f"a tool of {self.env_id} left a bad state: {error}") from error

    @staticmethod
    def chain_hash(previous: str, calls: Sequence[ToolCall], state_hash: str) -> str:
        """The next link of a trajectory's hash chain: what was before, the calls, the state."""
        return content_hash([previous, [call.to_json() for call in calls], state_hash])

    # Calls

    async def _run(self, wanted: dict) -> ToolCall:
        name, arguments = wanted["name"], wanted["arguments"]
        if not is_json(arguments):
            text = "arguments: should be JSON, with finite numbers"
            return self._record(name, {}, CallOutcome.INVALID_ARGUMENTS, text)
        spec = self.tool_specs().get(name)
        if spec is None:
            kind = CallOutcome.MALFORMED if name == MALFORMED else CallOutcome.UNKNOWN_TOOL
            reason = arguments.get("error") if name == MALFORMED else None
            known = ", ".join(self.tool_specs())
            return self._record(
                name, arguments, kind, str(reason or f"no tool {name!r}; there are {known}")
            )
        try:
            checked = spec.validate(arguments)
        except ToolError as error:
            return self._record(name, arguments, CallOutcome.INVALID_ARGUMENTS, str(error))
        if sum(c.name == name and c.outcome in _RAN for c in self.calls) in self.task.faults.get(
            name, ()
        ):
            return self._record(
                name, arguments, CallOutcome.TOOL_ERROR, f"{name} timed out, try again"
            )
        return await self._call(spec, arguments, checked)

    async def _call(self, spec: ToolSpec, arguments: dict, checked: dict) -> ToolCall:
        before = clone(self.state) if spec.mutates else None
        try:
            result = getattr(self, spec.name)(**checked)
            result = await result if spec.is_async else result
            text = _shown(result)
        except Exception as error:
            if before is not None:
                self.state = before
                self.on_load()
            if isinstance(error, ToolError):
                return self._record(spec.name, arguments, CallOutcome.TOOL_ERROR, str(error))
            raise WorldCrash(
                f"tool {spec.name!r} failed: {type(error).__name__}: {error}"
            ) from error
        return self._record(
            spec.name, arguments, CallOutcome.OK, text, before is not None and before != self.state
        )

    def _record(
        self, name: str, arguments: dict, outcome: CallOutcome, text: str, mutated: bool = False
    ) -> ToolCall:
        shown = (
            text if outcome is CallOutcome.OK else json.dumps({"error": text}, ensure_ascii=False)
        )
        call = ToolCall(name, arguments, self.turn, outcome, mutated, shown)
        self.calls.append(call)
        return call


def _shown(result: object) -> str:
    """A tool's result as the model reads it; a tool that returns nothing says ok."""
    if result is None:
        return "ok"
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


_RAN = frozenset({CallOutcome.OK, CallOutcome.TOOL_ERROR})


def _drive(turn: Coroutine[Any, Any, T], has_async_tools: bool) -> T:
    """Run a turn to its end without an event loop, unless one of the world's tools needs one."""
    if has_async_tools:
        return asyncio.run(turn)
    try:
        turn.send(None)
    except StopIteration as end:
        return end.value
    turn.close()
    raise WorldCrash(
        "a tool waited without being `async def`; declare it async so that its world gets a loop"
    )


def random_action(space: gym.Space, rng: np.random.Generator) -> dict:
    """One schema-valid random call and no message, drawn with `rng`."""
    calls = space["calls"]  # type: ignore[index]
    calls.feature_space._np_random = rng
    return {"calls": (calls.feature_space.sample(),), "message": ""}
