"""Scripted policies: what each plays, and that none but gold succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.player import Limits, PlayKey, PlaySettings, play, play_group
from tooldojo.rollouts.records import PolicyRef, Trajectory
from tooldojo.rollouts.scripted import CONSTANT_REPLY, RANDOM_CALLS, ScriptedSampler
from tooldojo.verifiers.records import CallOutcome, StopReason
from tooldojo.verifiers.reward import RewardShape

BASE = PolicyRef("base", 0, "base")


def run(task: Task, sampler: ScriptedSampler, chat: Chat, limits: Limits) -> Trajectory:
    key = PlayKey(1, 0, 0)
    return asyncio.run(play(task, None, sampler, chat, limits, RewardShape(), key, BASE))


def test_baselines_fail_and_end_as_expected(chat: Chat, task: Task, limits: Limits) -> None:
    for name in ("random_tool", "do_nothing", "constant_reply"):
        played = run(task, ScriptedSampler(chat, name, 0), chat, limits)
        assert played.score is None or not played.score.success
    silent = run(task, ScriptedSampler(chat, "do_nothing", 0), chat, limits)
    assert silent.sampled_tokens == 1 and silent.ending.stop is StopReason.ANSWERED
    constant = run(task, ScriptedSampler(chat, "constant_reply", 0), chat, limits)
    assert constant.evidence is not None and constant.evidence.answer == CONSTANT_REPLY


def test_random_calls_are_valid_and_seeded(
    chats: Callable[[str], Chat], tasks: Callable[..., Task], limits: Limits
) -> None:
    chat = chats("qwen3")
    calls = {}
    for ordinal in range(12):
        played = run(tasks(ordinal=ordinal), ScriptedSampler(chat, "random_tool", 0), chat, limits)
        if played.evidence is None:
            continue  # it drew a tool of the test world that crashes
        assert len(played.evidence.calls) == RANDOM_CALLS
        calls[ordinal] = [(c.name, str(c.arguments)) for c in played.evidence.calls]
        bad = {CallOutcome.MALFORMED, CallOutcome.UNKNOWN_TOOL, CallOutcome.INVALID_ARGUMENTS}
        assert not bad & {c.outcome for c in played.evidence.calls}
    for ordinal, seen in calls.items():
        again = run(tasks(ordinal=ordinal), ScriptedSampler(chat, "random_tool", 0), chat, limits)
        assert again.evidence is not None
        assert [(c.name, str(c.arguments)) for c in again.evidence.calls] == seen


def test_the_nearest_demonstration_is_replayed(
    chat: Chat, tasks: Callable[..., Task], limits: Limits
) -> None:
    known = [tasks(level=1, ordinal=i) for i in range(4)] + [tasks(level=2, ordinal=9)]
    sampler = ScriptedSampler(chat, "nearest_demonstration", 0, known)
    for task in known:
        assert sampler.nearest(task).id == task.id
        played = run(task, sampler, chat, limits)
        assert played.score is not None and played.score.success
    other = replace(known[0], prompt=known[-1].prompt + " Please.")
    assert sampler.nearest(other).id == known[-1].id


def test_turns_are_cut_at_the_token_limit(chat: Chat, task: Task, limits: Limits) -> None:
    played = run(task, ScriptedSampler(chat, "gold", 0), chat, replace(limits, max_turn_tokens=5))
    assert played.ending.stop is StopReason.MAX_TOKENS and played.sampled_tokens == 5


def test_a_gold_group_is_dead(chat: Chat, task: Task, limits: Limits) -> None:
    sampler = ScriptedSampler(chat, "gold", 0)
    issued = IssuedTask(0, task)
    group = asyncio.run(
        play_group(issued, 3, sampler, chat, PlaySettings(limits, RewardShape(), 0), BASE)
    )
    assert group.rewards == (1.0, 1.0, 1.0) and group.dead


def test_wrong_arguments_are_named(chat: Chat) -> None:
    with pytest.raises(LookupError, match="do_nothing"):
        ScriptedSampler(chat, "golden", 0)
    for name in ("nearest_demonstration", "guess"):
        with pytest.raises(ValueError, match=f"{name} needs demonstrations"):
            ScriptedSampler(chat, name, 0)
