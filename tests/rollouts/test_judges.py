"""Judged worlds and process rewards in play: opinions are evidence, failures are no zeros."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tooldojo.envs.gates.check import run_task_check
from tooldojo.envs.judging import Opinion, Question
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.envs.tools import tool
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.judges import CallableJudge, NamedJudge, judge_function
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.replay import verify
from tooldojo.rollouts.rescore import Judges, rescore
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.verifiers.combine import Part, Verifier
from tooldojo.verifiers.criteria import answer, final_state
from tooldojo.verifiers.judged import Judged
from tooldojo.verifiers.process import RewardPart, milestones
from tooldojo.verifiers.records import Evidence, Reward, StopReason
from tooldojo.verifiers.reward import RewardShape


def counters() -> type:
    return world_class("test/Counters-v0")


def question(answer: str | None, calls: tuple) -> str:
    return f"{len(calls)} calls, then {answer}: polite?"


async def never(question: Question) -> float:
    await asyncio.sleep(60)
    return 1.0


@pytest.fixture(scope="module")
def polite() -> type:
    @register("test/Polite-v0")
    class Polite(counters()):  # type: ignore[misc]
        """Counters whose closing words are judged."""

        verifier = Verifier(
            (
                Part("final_state", final_state, gate=True),
                Part("answer", answer, gate=True),
                Part("tone", Judged(question)),
            )
        )
        rewards = (
            RewardPart("progress", milestones(moved=lambda state, before: state != before), 0.25),
        )

        @tool(mutates=False)
        def look(self) -> str:
            """Look around."""
            return "nothing"

    return Polite


def played(
    polite: type, chat: Chat, limits: Limits, tasks: Callable[..., Task], judge: Any, **shape: Any
) -> Group:
    settings = PlaySettings(limits, RewardShape(**shape), 0, judge)
    issued = IssuedTask(0, tasks(polite))
    sampler = ScriptedSampler(chat, "gold", 0)
    return asyncio.run(play_group(issued, 2, sampler, chat, settings, BASE))


def test_opinions_enter_the_score_and_the_stored_evidence(
    polite: type, chat: Chat, limits: Limits, tasks: Callable[..., Task], tmp_path: Path
) -> None:
    heard: list[Question] = []

    async def curt(question: Question) -> tuple[float, str]:
        heard.append(question)
        await asyncio.sleep(0)
        return 0.5, "curt"

    group = played(polite, chat, limits, tasks, CallableJudge(curt))
    assert [q.component for q in heard] == ["tone", "tone"]
    assert heard[0].text.startswith("2 calls, then Value: ")
    for trajectory in group.trajectories:
        assert trajectory.score is not None and trajectory.reward is not None
        assert trajectory.score.value == 0.5 and not trajectory.score.success
        assert trajectory.reward.parts == {"success": 0.5, "progress": 0.25}
        assert trajectory.reward.turns == (0.25, 0.0, 0.5)
        assert trajectory.evidence is not None
        assert len(trajectory.evidence.states) == 3
        again = Evidence.from_json(trajectory.evidence.to_json())
        assert polite.verifier(again, group.task.goal) == trajectory.score  # type: ignore[attr-defined]
    store = TrajectoryStore(tmp_path)
    store.append([group], "train", 0)
    assert verify(store, chat).exact  # without any judge: the opinions are in the evidence
    first = group.trajectories[0]
    answers = iter((2.0, 1.0))  # the first is none
    for judge, into, changed, failed in (
        (None, "same", 0, 0),
        (CallableJudge(lambda question: (1.0, "kind")), "kind", 2, 0),
        (CallableJudge(lambda question: next(answers)), "lost", 1, 1),
    ):
        done = rescore(store, "train", into, Judges(None, RewardShape(), {}, judge))
        assert (done.rows, done.changed, done.failed) == (2, changed, failed)
    again = {into: next(store.read(into)).trajectory for into in ("same", "kind", "lost")}
    assert again["same"].reward == first.reward
    assert again["kind"].reward == Reward(
        1.25, (0.25, 0.0, 1.0), {"success": 1.0, "progress": 0.25}
    )
    assert again["lost"].ending.stop is StopReason.JUDGE_LOST  # nobody's fault, as in play


def test_rescoring_weighs_the_parts_of_worlds_as_play_does(
    polite: type, chat: Chat, limits: Limits, tasks: Callable[..., Task], tmp_path: Path
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def noted(question: Question) -> float:
        loops.append(asyncio.get_running_loop())
        return 0.5

    weights = {"progress": 0.5, "tool_selection": 0.25}
    group = played(polite, chat, limits, tasks, CallableJudge(noted), weights=weights)
    store = TrajectoryStore(tmp_path)
    store.append([group], "train", 0)
    del loops[:]
    judges = Judges(None, RewardShape(weights=weights), {}, CallableJudge(noted))
    assert rescore(store, "train", "again", judges).rows == 2
    for old, new in zip(group.trajectories, store.read("again"), strict=True):
        assert new.trajectory.reward == old.reward and old.reward is not None
        assert old.reward.parts == {"success": 0.5, "progress": 0.5, "tool_selection": 0.25}
    assert len(loops) == 2 and loops[0] is loops[1]  # clients keep their connections


def test_weights_reach_components_of_the_verifier(
    polite: type, chat: Chat, limits: Limits, tasks: Callable[..., Task]
) -> None:
    weights = {"success": 0.0, "tone": 0.5, "progress": 0.0, "argument_accuracy": 1.0}
    judge = CallableJudge(lambda question: 0.5)
    group = played(polite, chat, limits, tasks, judge, weights=weights)
    first = group.trajectories[0].reward
    assert first is not None
    assert first.parts == {"tone": 0.25, "argument_accuracy": 1.0}
    assert first.turns == (0.5, 0.5, 0.25)


@pytest.mark.parametrize(
    ("judge", "stop", "status"),
    [
        (None, StopReason.VERIFIER_CRASH, "unscorable"),
        (CallableJudge(lambda question: 7.0), StopReason.JUDGE_LOST, "infra_error"),
        (CallableJudge(lambda question: 1 / 0), StopReason.JUDGE_LOST, "infra_error"),
        (
            CallableJudge(never, deadline=0.05),
            StopReason.JUDGE_LOST,
            "infra_error",
        ),
    ],
)
def test_a_failing_judge_is_no_zero(
    judge: Any,
    stop: StopReason,
    status: str,
    polite: type,
    chat: Chat,
    limits: Limits,
    tasks: Callable[..., Task],
) -> None:
    group = played(polite, chat, limits, tasks, judge)
    for trajectory in group.trajectories:
        assert (trajectory.score, trajectory.reward) == (None, None)
        assert trajectory.ending.stop is stop and trajectory.ending.status == status
        assert trajectory.attempt == trajectory.ending.retries > 0
        assert trajectory.failure is not None
        assert trajectory.evidence is not None  # kept, so that it can be judged later
    assert group.scored == ()


@pytest.mark.parametrize(
    ("own", "changes"),
    [
        (0.5, {}),  # asked after a message
        (60.0, {"max_turns": 1}),  # after a call
        (60.0, {"max_turn_tokens": 10}),  # after a turn that was cut off
    ],
)
def test_a_judge_that_takes_as_long_as_anything_may_is_lost_and_its_evidence_kept(
    own: float,
    changes: dict,
    polite: type,
    chat: Chat,
    limits: Limits,
    tasks: Callable[..., Task],
) -> None:
    judge, limits = CallableJudge(never, own), replace(limits, deadline=0.5, **changes)
    for trajectory in played(polite, chat, limits, tasks, judge).trajectories:
        assert trajectory.ending.stop is StopReason.JUDGE_LOST
        assert trajectory.evidence is not None


def test_a_judge_that_blocks_is_left_behind_at_its_deadline() -> None:
    forever = threading.Event()
    judge = CallableJudge(lambda question: forever.wait(30), deadline=0.1)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        asyncio.run(judge(Question("tone", "?")))
    assert time.monotonic() - began < 15
    forever.set()


def test_gates_take_judged_components_as_given(polite: type, tasks: Callable[..., Task]) -> None:
    pair = [tasks(polite), tasks(polite, ordinal=1)]
    for check in ("gold_scores_one", "step_equals_astep", "rewards_are_finite"):
        assert run_task_check(check, pair) == []


def test_several_opinions_with_and_without_an_event_loop(
    polite: Any, tasks: Callable[..., Task]
) -> None:
    class Warm(polite):
        env_id = "test/Warm-v0"
        verifier = Verifier((*polite.verifier.parts, Part("warmth", Judged(question))))

    register("test/Warm-v0")(Warm)
    task, world = tasks(Warm), Warm()
    assert world.replay_gold(task).success and world.judge is None  # approved for the gold alone
    world.judge = CallableJudge(lambda asked: 0.5 if asked.component == "tone" else 0.25)
    world.reset(options={"task": task, "max_turns": 9})
    for turn in task.gold:
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        world.step({"calls": calls, "message": turn.message or ""})
    assert world.score is not None and world.score.value == 0.375


def test_answers_of_functions() -> None:
    def ask(function: Any) -> Opinion:
        return asyncio.run(CallableJudge(function)(Question("tone", "?")))

    assert ask(lambda q: 1) == Opinion(1.0)
    assert ask(lambda q: (0.25, "why")) == Opinion(0.25, "why")
    assert ask(lambda q: Opinion(0.5, q.text)) == Opinion(0.5, "?")
    for bad in (None, True, "1", float("nan"), -0.1, Opinion(2.0)):
        with pytest.raises(ValueError, match=r"a value in \[0, 1\]"):
            ask(lambda q, bad=bad: bad)


def test_a_judge_by_name_crosses_processes(tmp_path: Path) -> None:
    path = tmp_path / "house_judge.py"
    path.write_text("def tone(question):\n    return 0.75, question.component\n")
    judge = pickle.loads(pickle.dumps(NamedJudge(f"{path}:tone")))
    assert asyncio.run(judge(Question("tone", "?"))) == Opinion(0.75, "tone")
    with pytest.raises(LookupError, match="is no function"):
        judge_function(f"{path}:tune")
    with pytest.raises(LookupError, match="no 'module:name'"):
        judge_function("tone")
