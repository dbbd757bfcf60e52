"""One coroutine per trajectory: sample, append, parse, step the world, append what it answered.

Owns the limits and the mapping of every ending onto `rollouts.endings`. Refuses to hide bugs: what
is neither the policy's, the world's nor the engine's doing propagates. Invariant: whether a
trajectory has a score depends on the table alone; seeds come from run seed, ordinal, member, turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.judging import Judge, JudgeLost
from tooldojo.envs.limits import places
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.snapshot import Snapshot
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.envs.tools import ToolLost
from tooldojo.envs.users import User
from tooldojo.envs.world import MALFORMED, VerifierCrash, World, WorldCrash
from tooldojo.rollouts.buffer import TokenBuffer
from tooldojo.rollouts.chat import Chat, ParsedTurn
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.host import Host, UnderWay
from tooldojo.rollouts.judges import patient
from tooldojo.rollouts.records import (
    Branch,
    Failure,
    Group,
    IssuedBranch,
    PolicyRef,
    SpanKind,
    Trajectory,
)
from tooldojo.rollouts.sampler import (
    ContextFull,
    EngineLost,
    PastTurn,
    Sampled,
    Sampler,
    SampleRequest,
    SamplingSpec,
)
from tooldojo.verifiers.records import CallOutcome, Evidence, ScoreStatus, StopReason
from tooldojo.verifiers.reward import RewardShape, TurnReward, shape_reward

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trajectory may use: turns, tokens, and seconds (`deadline`) for an answer, a call,
    a verdict and a judge's opinion.

    The recipe's `max_turns` counts, not the world's own default.
    """

    max_turns: int = 8
    max_turn_tokens: int = 96
    max_context: int = 1024
    max_malformed: int = 3
    temperature: float = 1.0
    deadline: float = 120.0

    @classmethod
    def of(cls, section: RolloutSection) -> Limits:
        """The limits in a recipe's rollout section."""
        return cls(
            section.max_turns,
            section.max_turn_tokens,
            section.max_context,
            section.max_malformed,
            section.temperature,
            section.deadline,
        )


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """How groups are played: limits and temperature, reward shape, and what seeds derive from.

    judge: who answers judged components; it is sent to the workers. Without one a world that has
    such components gives no verdicts. user: who answers in worlds with a user, instead of their
    own; it travels to workers as well.
    """

    limits: Limits
    shape: RewardShape
    run_seed: int
    judge: Judge | None = None
    user: User | None = None


@dataclass(frozen=True, slots=True)
class PlayKey:
    """Which trajectory of which run; a re-issue repeats everything but `attempt`."""

    run_seed: int
    ordinal: int
    member: int
    attempt: int = 0

    def turn_seed(self, turn: int) -> int:
        """The sampling seed of one turn; the same for every attempt."""
        return derive_seed(self.run_seed, "sample", self.ordinal, self.member, turn)


def action_of(parsed: ParsedTurn) -> dict[str, Any]:
    """What a parsed turn does in its world; a malformed one is a call that fails, saying why."""
    if parsed.malformed is not None:
        broken = {"name": MALFORMED, "arguments": {"error": parsed.malformed}}
        return {"calls": (broken,), "message": parsed.message}
    calls = tuple({"name": call.name, "arguments": call.arguments} for call in parsed.calls)
    return {"calls": calls, "message": parsed.message}


async def play(
    task: Task,
    start: Snapshot | Branch | None,
    sampler: Sampler,
    chat: Chat,
    limits: Limits,
    shape: RewardShape,
    key: PlayKey,
    policy: PolicyRef,
    host: Host | None = None,
    judge: Judge | None = None,
    user: User | None = None,
) -> Trajectory:
    """Play one task to its end, whatever the end is.

    start: a snapshot before the first turn, a branch to go on from, or None to reset. judge, user:
    as in `PlaySettings`.

    Raises:
        ValueError: when the prompt leaves no room to sample, or the sampler breaks its contract.
    """
    began = time.perf_counter()
    world = _world_at(task, start, limits)
    world.judge = None if judge is None else patient(judge, limits.deadline)
    world.call_deadline = limits.deadline
    if user is not None and world.user is not None:
        world.user = user
    host = host or Host()
    about = UnderWay(task.env, key.ordinal, key.member, key.attempt)
    with host.watching(about):
        prompt = start.ids if isinstance(start, Branch) else tuple(chat.task_prompt_ids(task))
        player = _Player(task, world, prompt, sampler, chat, limits, key, policy, host, about)
        end = await _outcome(player, shape)
    return _trajectory(player, end, shape, time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class _Outcome:
    stop: StopReason
    evidence: Evidence | None
    failure: Failure | None
    process: tuple[TurnReward, ...] = ()


async def _outcome(player: _Player, shape: RewardShape) -> _Outcome:
    """Play to the end. Evidence of a failed verifier or judge is kept: a mended one can judge it
    later.
    """
    try:
        stop = await player.run()
        process = player.world.process_rewards(shape.weights)
    except (WorldCrash, EngineLost, ToolLost, JudgeLost, TimeoutError) as error:
        stop = _blame(error)
        judged = stop in (StopReason.VERIFIER_CRASH, StopReason.JUDGE_LOST)
        failure = Failure(type(error).__name__, str(error), player.turn)
        return _Outcome(stop, player.world.evidence() if judged else None, failure)
    return _Outcome(stop, player.world.evidence(), None, process)


def _trajectory(player: _Player, end: _Outcome, shape: RewardShape, seconds: float) -> Trajectory:
    ending, key, world = ENDINGS[end.stop], player.key, player.world
    score = world.score if ending.status is ScoreStatus.SCORED else None
    reward = None
    if score is not None and end.evidence is not None:
        reward = shape_reward(score, end.evidence, shape, ending.truncated, end.process)
    return Trajectory(
        task_id=player.task_id,
        env=player.task.env,
        ordinal=key.ordinal,
        member=key.member,
        attempt=key.attempt,
        seed=key.run_seed,
        segments=(player.buffer.freeze(),),
        ending=ending,
        score=score,
        reward=reward,
        evidence=end.evidence,
        hashes=tuple(world.hashes),
        engine=player.sampler.engine,
        policy=player.policy,
        prompt_tokens=player.prompt_tokens,
        seconds=seconds,
        failure=end.failure,
    )


def _world_at(task: Task, start: Snapshot | Branch | None, limits: Limits) -> World:
    world = world_class(task.env)()
    if start is None:
        world.reset(options={"task": task, "max_turns": limits.max_turns})
        return world
    snapshot = start.snapshot if isinstance(start, Branch) else start
    if snapshot.task is not task and snapshot.task.id != task.id:
        raise ValueError(f"{task.id}: a trajectory starts from a state of its own task")
    if snapshot.turn and not isinstance(start, Branch):
        raise ValueError(f"{task.id}: a snapshot after turn 0 needs its tokens; give a Branch")
    world.restore(snapshot)
    world.turn_limit = limits.max_turns
    return world


def _blame(error: Exception) -> StopReason:
    if isinstance(error, EngineLost):
        return StopReason.ENGINE_LOST
    if isinstance(error, JudgeLost):
        return StopReason.JUDGE_LOST
    if isinstance(error, ToolLost):
        return StopReason.TOOL_LOST
    if isinstance(error, VerifierCrash):
        return StopReason.VERIFIER_CRASH
    return StopReason.ENV_CRASH if isinstance(error, WorldCrash) else StopReason.DEADLINE


class _Player:
    """The moving parts of one trajectory."""

    def __init__(
        self, task: Task, world: World, prompt: tuple[int, ...], sampler: Sampler, chat: Chat,
        limits: Limits, key: PlayKey, policy: PolicyRef, host: Host, about: UnderWay,
    ) -> None:  # fmt: skip
        self.task, self.world, self.sampler, self.chat = task, world, sampler, chat
        self.limits, self.key, self.policy = limits, key, policy
        self.threads = host.threads if world.slow_tools else None
        self.about = about
        self.task_id = task.id  # a hash of the whole task, so taken once
        self.turn = world.turn
        self.malformed = sum(call.outcome is CallOutcome.MALFORMED for call in world.calls)
        judged = world.judge is not None and bool(world.components().judged)
        self.grace = limits.deadline if judged else 0.0  # the judge's own, after all else
        self.history: list[PastTurn] = []
        self.buffer = TokenBuffer(world.turn)
        self.prompt_tokens = len(prompt)
        self.buffer.append_context(prompt, SpanKind.PROMPT)
        if not self.buffer.remaining(limits.max_context):
            raise ValueError(
                f"the prompt of task {task.id} ({task.env}) has {len(prompt)} tokens and leaves "
                f"no room in rollout.max_context={limits.max_context}; raise it"
            )

    async def run(self) -> StopReason:
        """Play until something ends the trajectory; the world is then judged."""
        results: tuple[str, ...] = ()
        while True:
            self.turn = self.buffer.turns
            try:
                sampled = await self._sample(results)
            except ContextFull:
                return await self._finish(StopReason.CONTEXT_FULL)
            parsed = self.chat.parse(sampled.ids)
            self.buffer.append_sampled(sampled, parsed)
            if sampled.finish == "length":
                self.world.turn += 1  # the turn that was cut off counts, though nothing of it ran
                full = not self.buffer.remaining(self.limits.max_context)
                stop = StopReason.CONTEXT_FULL if full else StopReason.MAX_TOKENS
                return await self._finish(stop)
            results = await self._step(parsed)
            if self.world.stop is not None:
                return self._judged(self.world.stop)
            self.malformed += parsed.malformed is not None
            if self.malformed > self.limits.max_malformed:
                return await self._finish(StopReason.MALFORMED)
            observation = self.chat.observation_ids(results, parsed.spoken)
            if len(observation) >= self.buffer.remaining(self.limits.max_context):
                return await self._finish(StopReason.CONTEXT_FULL)
            self.buffer.append_context(observation, SpanKind.OBSERVATION)
            self.history.append(PastTurn(parsed.text, results))

    async def _sample(self, results: tuple[str, ...]) -> Sampled:
        limits, key = self.limits, self.key
        room = min(limits.max_turn_tokens, self.buffer.remaining(limits.max_context))
        place = f"{key.ordinal}.{key.member}.{key.attempt}.{self.turn}"
        request = SampleRequest(
            key=f"{self.task_id}:{self.policy.name}@{self.policy.version}:{key.run_seed}:{place}",
            ids=tuple(self.buffer.ids),
            sampling=SamplingSpec(limits.temperature, room, self.chat.stop_ids),
            seed=key.turn_seed(self.turn),
            policy=self.policy,
            task=self.task,
            turn=self.turn,
            results=results,
            history=tuple(self.history),
            place=(key.ordinal, key.member),
        )
        self.about.now("waits for the engine", self.turn)
        async with asyncio.timeout(limits.deadline):
            sampled = await self.sampler.sample(request)
        stopped = bool(sampled.ids) and sampled.ids[-1] in self.chat.stop_ids
        if len(sampled.ids) > room or (sampled.finish == "stop" and not stopped):
            raise ValueError(
                f"{self.sampler.engine.engine} answered {request.key} with {len(sampled.ids)} of "
                f"{room} tokens and finish={sampled.finish!r}, stop id last: {stopped}"
            )
        return replace(sampled, finish="stop" if stopped else "length")

    async def _step(self, parsed: ParsedTurn) -> tuple[str, ...]:
        action, world = action_of(parsed), self.world
        names = dict.fromkeys(call["name"] for call in action["calls"])
        calls = ", ".join(names)
        allowed = world.seconds_allowed(action["calls"], self.limits.deadline) + self.grace
        self.about.now(f"waits for {calls or 'the verifier'}", self.turn)
        began = time.perf_counter()
        if self.threads is None:  # each call and question has its own deadline, once it has a place
            async with asyncio.timeout(None if names else allowed):
                results = (await world.astep(action))[0]
        else:
            what, specs = f"{calls} of {self.task.env}", world.tool_specs()
            async with places(world.env_id, [specs[name] for name in names if name in specs]):
                results = (await self.threads.run(lambda: world.step(action), allowed, what))[0]
        self.buffer.took(time.perf_counter() - began)
        return results

    async def _finish(self, stop: StopReason) -> StopReason:
        deadline = self.limits.deadline + self.grace
        if self.threads is None:
            async with asyncio.timeout(deadline):
                await self.world.afinish(stop)
        else:  # what the verifier needs may take long as well
            what = f"the verdict of {self.task.env}"
            await self.threads.run(lambda: self.world.finish(stop), deadline, what)
        return self._judged(stop)

    def _judged(self, stop: StopReason) -> StopReason:
        score = self.world.score
        if score is None or score.status is not ScoreStatus.SCORED:
            why = "no score" if score is None else f"{score.status.value}: {score.why}"
            raise VerifierCrash(f"the verifier of {self.task.env} gave no verdict ({why})")
        return stop


async def play_group(
    issued: IssuedTask,
    group_size: int,
    sampler: Sampler,
    chat: Chat,
    settings: PlaySettings,
    policy: PolicyRef,
    host: Host | None = None,
    on_settled: Callable[[], None] = lambda: None,
) -> Group:
    """Play one task `group_size` times at once, all from one snapshot, or from one branch.

    A failed member is played again with the same seeds as often as the table of endings says; if it
    fails for good it stays in the group without a score. on_settled: called once per member. host:
    of the event loop, where it lends threads or has a limit.
    """
    host = host or Host()
    limits, shape = settings.limits, settings.shape
    start = issued.branch if isinstance(issued, IssuedBranch) else None
    start = start or _world_at(issued.task, None, limits).snapshot()

    async def settle(member: int) -> Trajectory:
        key = PlayKey(settings.run_seed, issued.ordinal, member)
        async with host.place():
            while True:
                played = await play(
                    issued.task, start, sampler, chat, limits, shape, key, policy, host,
                    settings.judge, settings.user,
                )  # fmt: skip
                if key.attempt >= played.ending.retries:
                    on_settled()
                    return played
                key = replace(key, attempt=key.attempt + 1)

    return Group(issued.ordinal, issued.task, await all_or_bug(settle, group_size))


async def all_or_bug(work: Callable[[int], Awaitable[T]], count: int) -> tuple[T, ...]:
    """The results of `work(0)` to `work(count - 1)`, done at once, in order; the first bug cancels
    the others and is raised as it is.
    """
    tasks = [asyncio.ensure_future(work(index)) for index in range(count)]
    try:
        return tuple(await asyncio.gather(*tasks))
    except BaseException:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
