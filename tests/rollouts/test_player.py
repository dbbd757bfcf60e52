"""Trajectories with scripted policies: verdicts, masks, and every ending of the table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from tooldojo.envs.registry import NATIVE, world_class
from tooldojo.envs.task import Call, GoldTurn, IssuedTask, Split, Task
from tooldojo.envs.users import Heard, Reply
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endings import ENDINGS, FailureClass
from tooldojo.rollouts.host import Host, ToolThreads
from tooldojo.rollouts.player import Limits, PlayKey, PlaySettings, play, play_group
from tooldojo.rollouts.records import EngineId, PolicyRef, SpanKind, Trajectory
from tooldojo.rollouts.sampler import EngineLost, Sampled, SampleRequest
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.verifiers.records import CallOutcome, StopReason
from tooldojo.verifiers.reward import RewardShape

SHAPE = RewardShape(call_error=0.05, truncated=0.1)
KEY = PlayKey(run_seed=3, ordinal=5, member=0)
ANSWER = GoldTurn("", (), "Value: 0")
ADD = GoldTurn("t", (Call("add", {"counter": "C1", "by": 1}),))


@dataclass
class Script:
    """Plays given turns: records, raw text, or an exception to raise; the last one repeats."""

    chat: Chat
    turns: Sequence[GoldTurn | str | BaseException]
    requests: list[SampleRequest] = field(default_factory=list)
    engine: EngineId = field(default=EngineId("script", "scripted", 1, "here"))

    async def sample(self, request: SampleRequest) -> Sampled:
        self.requests.append(request)
        turn = self.turns[min(request.turn, len(self.turns) - 1)]
        if isinstance(turn, BaseException):
            raise turn
        if isinstance(turn, str):
            text = self.chat.tokenizer.encode(turn, add_special_tokens=False)
            ids = [*text, self.chat.stop_ids[0]]
        else:
            ids = self.chat.gold_ids(turn)
        ids = ids[: request.sampling.max_tokens]
        finish = "stop" if ids[-1] in request.sampling.stop_ids else "length"
        logprobs = tuple(-0.1 * (i + 1) for i in range(len(ids)))
        return Sampled(tuple(ids), logprobs, finish, request.policy, 0.01, 0.02)


@dataclass
class Hanging:
    """Never answers."""

    engine: EngineId = field(default=EngineId("hanging", "scripted", 1, "here"))

    async def sample(self, request: SampleRequest) -> Sampled:
        await asyncio.sleep(3600)
        raise AssertionError


def run(
    task: Task, sampler: object, chat: Chat, limits: Limits, shape: RewardShape = SHAPE
) -> Trajectory:
    base = PolicyRef("base", 0, "base")
    return asyncio.run(play(task, None, sampler, chat, limits, shape, KEY, base))  # type: ignore[arg-type]


def test_replies_of_a_user_are_user_turns_that_never_train(chat: Chat, limits: Limits) -> None:
    world = world_class("tooldojo/Dialogue-v0")
    task = next(t for i in range(99) if (t := world.make_task(1, Split.TRAIN, 1, i)).gold[0].message
                and len(t.gold) > 1)  # fmt: skip
    sampler = ScriptedSampler(chat, "gold", 0)
    played = run(task, sampler, chat, replace(limits, max_context=6000))
    assert played.score is not None and played.score.success and played.evidence is not None
    segment = played.segments[0]
    first, second = segment.turns[:2]
    between = segment.ids_T[first.end : second.start]
    reply = next(call.result for call in played.evidence.calls if call.name == "user:said")
    assert (
        chat.text(between.tolist())
        == f"\n<|im_start|>user\n{reply}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert not segment.sampled_T[first.end : second.start].any()
    assert (segment.kinds_T[first.end : second.start] == SpanKind.OBSERVATION).all()


@dataclass(frozen=True)
class Mute:
    """A user who says one thing whatever is asked."""

    name: str = "mute"
    waits: bool = True

    async def answer(self, heard: Heard) -> Reply:
        await asyncio.sleep(0)
        return Reply("No idea.")


def test_rollouts_put_their_own_user_into_a_world(chat: Chat, limits: Limits) -> None:
    world = world_class("tooldojo/Dialogue-v0")
    task = next(
        t for i in range(99) if (t := world.make_task(1, Split.TRAIN, 2, i)).template == "unbar"
    )
    settings = PlaySettings(replace(limits, max_context=6000), SHAPE, 3, user=Mute())
    sampler = ScriptedSampler(chat, "gold", 0)
    base = PolicyRef("base", 0, "base")
    group = asyncio.run(play_group(IssuedTask(0, task), 2, sampler, chat, settings, base))
    for played in group.trajectories:
        assert played.evidence is not None and played.score is not None
        said = [call for call in played.evidence.calls if call.name == "user:said"]
        assert {str(call.arguments["to"]) for call in said} == {"mute"}
        assert {call.result for call in said} == {"No idea."}


@pytest.mark.parametrize("env", sorted(NATIVE))
def test_gold_scores_one_in_every_native_world(
    env: str, chat: Chat, tasks: Callable[..., Task], limits: Limits
) -> None:
    world = world_class(env)
    wide = replace(limits, max_turns=world.max_turns, max_turn_tokens=1000, max_context=20_000)
    for level in world.levels:
        task = tasks(world, level=level)
        played = run(task, ScriptedSampler(chat, "gold", 0), chat, wide)
        assert played.score is not None and played.score.success, (task.template, played.score)


@pytest.mark.parametrize("shape", ["default", "qwen2.5", "qwen3", "llama3.2"])
def test_gold_scores_one_in_every_template(
    shape: str, chats: Callable[[str], Chat], task: Task, limits: Limits
) -> None:
    chat = chats(shape)
    played = run(task, ScriptedSampler(chat, "gold", 0), chat, limits)
    assert played.ending is ENDINGS[StopReason.ANSWERED]
    assert played.score is not None and played.score.success
    assert played.reward is not None and played.reward.total == 1.0
    assert played.turns == len(task.gold) == len(played.hashes) - 1 == len(played.reward.turns)
    segment = played.segments[0]
    assert segment.ids_T[: played.prompt_tokens].tolist() == chat.task_prompt_ids(task)
    assert np.array_equal(np.isfinite(segment.logprobs_T), segment.sampled_T)
    assert not segment.sampled_T[: played.prompt_tokens].any()
    whole = [int(i) for t in segment.turns for i in segment.ids_T[t.start : t.end]]
    assert whole == [i for turn in task.gold for i in chat.gold_ids(turn)]


def test_only_sampled_tokens_carry_logprobs(chat: Chat, task: Task, limits: Limits) -> None:
    script = Script(chat, [*task.gold])
    segment = run(task, script, chat, limits).segments[0]
    for turn in segment.turns:
        expected = [-0.1 * (i + 1) for i in range(turn.end - turn.start)]
        assert segment.logprobs_T[turn.start : turn.end] == pytest.approx(expected)
        assert turn.timings.decode == 0.02
    context = ~segment.sampled_T
    kinds = {SpanKind(int(k)) for k in segment.kinds_T[context]}
    assert kinds == {SpanKind.PROMPT, SpanKind.OBSERVATION}
    for before, after in zip(script.requests, script.requests[1:], strict=False):
        assert after.ids[: len(before.ids)] == before.ids
    assert segment.ids_T[: len(script.requests[-1].ids)].tolist() == list(script.requests[-1].ids)


def endings() -> list[tuple[StopReason, list[GoldTurn | str | BaseException], dict[str, float]]]:
    bad = "<tool_call>\noops\n</tool_call>"
    return [
        (StopReason.ANSWERED, [ADD, ANSWER], {}),
        (StopReason.MAX_TURNS, [ADD], {}),
        (StopReason.MAX_TOKENS, [ADD, ANSWER], {"max_turn_tokens": 10}),
        (StopReason.CONTEXT_FULL, [ADD], {"max_context": 70}),  # beyond the prompt
        (StopReason.MALFORMED, [bad], {"max_malformed": 2}),
        (StopReason.ENV_CRASH, [ADD, GoldTurn("", (Call("crash", {}),))], {}),
        (StopReason.ENV_CRASH, [GoldTurn("", (Call("spoil", {}),))], {}),
        (StopReason.ENGINE_LOST, [ADD, EngineLost("gone")], {}),
        (StopReason.TOOL_LOST, [ADD, GoldTurn("", (Call("lose", {}),))], {}),
        (StopReason.DEADLINE, [ADD, GoldTurn("", (Call("hang", {}),))], {"deadline": 0.1}),
    ]


@pytest.mark.parametrize(("stop", "turns", "changes"), endings())
def test_every_ending(
    stop: StopReason, turns: list, changes: dict, chat: Chat, task: Task, limits: Limits
) -> None:
    if "max_context" in changes:
        changes = {"max_context": changes["max_context"] + len(chat.task_prompt_ids(task))}
    played = run(task, Script(chat, turns), chat, replace(limits, **changes))
    ending = ENDINGS[stop]
    assert played.ending is ending
    scored = ending.blame is FailureClass.POLICY
    assert (played.score is not None) == (played.reward is not None) == scored
    assert (played.failure is None) == scored
    assert ending.trains == scored
    if scored:
        assert played.score is not None and not played.score.success
        assert played.evidence is not None and played.evidence.stop is stop
        assert played.reward is not None and len(played.reward.turns) == played.turns
        assert ("truncated" in played.reward.parts) == ending.truncated
    else:
        assert played.failure is not None and played.failure.turn == len(turns) - 1


def test_a_failing_verifier_is_no_zero(
    chat: Chat, limits: Limits, tasks: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_class("test/Unjudged-v0")
    task = tasks(world)
    monkeypatch.setattr(world, "crash_on_score", True)
    played = run(task, ScriptedSampler(chat, "gold", 0), chat, limits)
    assert played.ending is ENDINGS[StopReason.VERIFIER_CRASH]
    assert played.score is None and played.reward is None
    assert played.evidence is not None and played.evidence.answer == task.goal.answer
    assert played.failure is not None and "ZeroDivisionError" in played.failure.message
    monkeypatch.setattr(world, "crash_on_score", False)
    assert world.verifier(played.evidence, task.goal).success  # type: ignore[call-arg]


def test_a_hanging_engine_meets_the_deadline(chat: Chat, task: Task, limits: Limits) -> None:
    played = run(task, Hanging(), chat, replace(limits, deadline=0.05))
    assert played.ending is ENDINGS[StopReason.DEADLINE]
    assert played.turns == 0 and played.sampled_tokens == 0


def test_a_malformed_call_is_a_turn_that_the_model_sees(
    chat: Chat, task: Task, limits: Limits
) -> None:
    script = Script(chat, ['<tool_call>\n{"name": "add"}\n</tool_call>', ANSWER])
    played = run(task, script, chat, limits)
    assert played.evidence is not None and played.ending.stop is StopReason.ANSWERED
    (call,) = played.evidence.calls
    assert call.outcome is CallOutcome.MALFORMED and "arguments" in call.result
    assert script.requests[1].results == (call.result,)
    turn = played.segments[0].turns[0]
    assert turn.malformed == "arguments must be an object" and turn.calls == 0
    kinds = played.segments[0].kinds_T[turn.start : turn.end]
    assert set(kinds.tolist()) == {SpanKind.CALL}
    assert played.reward is not None and played.reward.parts["call_error"] == -0.05


def test_a_message_beside_a_malformed_call_is_judged(
    chat: Chat, task: Task, limits: Limits
) -> None:
    broken = 'The value is 7.\n<tool_call>\n{"name": "add"}\n</tool_call>'
    played = run(task, Script(chat, [broken, ANSWER]), chat, limits)
    assert played.evidence is not None
    assert [call.outcome for call in played.evidence.calls] == [CallOutcome.MALFORMED]
    assert played.evidence.messages == ("The value is 7.",)


def test_a_bug_propagates(chat: Chat, task: Task, limits: Limits) -> None:
    with pytest.raises(TypeError, match="sampler bug"):
        run(task, Script(chat, [TypeError("sampler bug")]), chat, limits)
    with pytest.raises(ValueError, match=r"rollout\.max_context=20"):
        run(task, Script(chat, [ANSWER]), chat, replace(limits, max_context=20))


def group_of(task: Task, sampler: object, chat: Chat, limits: Limits, size: int = 4):
    base = PolicyRef("base", 0, "base")
    issued = IssuedTask(9, task)
    settings = PlaySettings(limits, SHAPE, 3)
    return asyncio.run(play_group(issued, size, sampler, chat, settings, base))  # type: ignore[arg-type]


def test_a_group_starts_from_one_state(chat: Chat, task: Task, limits: Limits) -> None:
    script = Script(chat, [*task.gold])
    group = group_of(task, script, chat, limits)
    assert [t.member for t in group.trajectories] == [0, 1, 2, 3]
    assert len({t.hashes for t in group.trajectories}) == 1 and group.dead
    seeds = {(r.key.split(":")[-1], r.seed) for r in script.requests}
    assert len({seed for _, seed in seeds}) == len(script.requests) == 4 * len(task.gold)


@dataclass
class Flaky(Script):
    """Loses the engine for some members, a number of times each."""

    losses: dict[int, int] = field(default_factory=dict)

    async def sample(self, request: SampleRequest) -> Sampled:
        member = int(request.key.rsplit(".", 3)[1])
        if request.turn == 1 and self.losses.get(member, 0):
            self.losses[member] -= 1
            self.requests.append(request)
            raise EngineLost("gone")
        return await super().sample(request)


def test_failures_are_played_again_with_the_same_seed(
    chat: Chat, task: Task, limits: Limits
) -> None:
    flaky = Flaky(chat, [*task.gold], losses={1: 2, 2: 99})
    group = group_of(task, flaky, chat, limits)
    assert [t.attempt for t in group.trajectories] == [0, 2, 2, 0]
    assert [t.score is not None for t in group.trajectories] == [True, True, False, True]
    assert len(group.scored) == 3
    places = {}
    for request in flaky.requests:
        member, _, turn = request.key.rsplit(".", 3)[1:]
        places.setdefault((member, turn), set()).add(request.seed)
    assert all(len(seeds) == 1 for seeds in places.values())


def test_an_env_crash_is_tried_once_more(chat: Chat, task: Task, limits: Limits) -> None:
    group = group_of(task, Script(chat, [GoldTurn("", (Call("crash", {}),))]), chat, limits, 2)
    assert [t.attempt for t in group.trajectories] == [1, 1] and not group.scored


def test_slow_worlds_step_on_threads(
    chat: Chat, limits: Limits, tasks: Callable[..., Task], policy: PolicyRef
) -> None:
    slow: Any = world_class("test/Slow-v0")
    task, sampler = tasks(slow, level=1), ScriptedSampler(chat, "gold", 0)

    async def three(threads: ToolThreads | None) -> list[Trajectory]:
        host = Host(threads)
        keys = [replace(KEY, member=member) for member in range(3)]
        jobs = [play(task, None, sampler, chat, limits, SHAPE, k, policy, host) for k in keys]
        return await asyncio.gather(*jobs)

    for threads, most in ((None, 1), (ToolThreads(3), 3)):
        slow.most_asleep = 0
        played = asyncio.run(three(threads))
        assert all(t.score is not None and t.score.success for t in played)
        assert all(t.segments[0].turns[0].timings.tool > 0.1 for t in played)
        assert (slow.most_asleep > 1) == (most > 1)


def test_one_malformed_turn_more_than_allowed_ends_it(
    chat: Chat, task: Task, limits: Limits
) -> None:
    script = Script(chat, ["<tool_call>", "<tool_call>", ADD, "<tool_call>", ANSWER])
    played = run(task, script, chat, replace(limits, max_malformed=2))
    assert played.ending.stop is StopReason.MALFORMED and played.turns == 4
    spared = run(task, script, chat, replace(limits, max_malformed=3))
    assert spared.ending.stop is StopReason.ANSWERED and spared.turns == 5
