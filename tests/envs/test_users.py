"""Users of worlds: exchanges are records that can be repeated, failures leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import pytest

from tooldojo.envs.bridges.episode import Episode, EpisodeLog
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError, ToolSpec, tool
from tooldojo.envs.users import (
    MOST_DEEDS,
    Heard,
    RecordedUser,
    Reply,
    SpokenUser,
    closes,
    of_policy,
    of_user,
)
from tooldojo.envs.world import World, WorldCrash
from tooldojo.verifiers.records import CallOutcome, Json, StopReason


class Side:
    """A tap at home."""

    deeds: ClassVar[dict[str, str]] = {"turn": "turn the tap: {to: open|shut}"}

    def __init__(self, state: dict) -> None:
        self.state = state

    def mind(self) -> dict[str, Json]:
        return {"tap": self.state["tap"]}

    def do(self, deed: Call) -> str:
        if deed.name != "turn" or deed.arguments.get("to") not in ("open", "shut"):
            raise ToolError("no such thing")
        self.state["tap"] = deed.arguments["to"]
        return f"the tap is {self.state['tap']}"


class Obedient:
    """Turns the tap as the message says, then tells."""

    name, waits = "scripted", False

    async def answer(self, heard: Heard) -> Reply:
        wanted = [word for word in ("open", "shut") if word in heard.message]
        if wanted and not heard.fresh:
            return Reply(deed=Call("turn", {"to": wanted[0]}))
        return Reply(f"It is {heard.mind['tap']}.")


class Restless:
    name, waits = "restless", False

    async def answer(self, heard: Heard) -> Reply:
        return Reply(deed=Call("turn", {"to": "open"}))


class Broken:
    """Acts, then fails."""

    name, waits = "broken", False

    async def answer(self, heard: Heard) -> Reply:
        if not heard.fresh:
            return Reply(deed=Call("turn", {"to": "open"}))
        raise KeyError("lost the thread")


@register("test/Taps-v0")
class Taps(World):
    """A plumber on the phone."""

    system_prompt = "Let the customer turn the tap."
    user = Obedient()

    def user_side(self) -> Side:
        return Side(self.state)

    @tool(mutates=False)
    def pressure(self) -> str:
        """Pressure in the pipe."""
        return "low" if self.state["tap"] == "open" else "high"

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        number = rng.randrange(10**6)
        gold = [
            GoldTurn("tell", (), "Please turn it open."),
            GoldTurn("look", (Call("pressure", {}),)),
            GoldTurn("done", (), f"Result: open {number}"),
        ]
        return Draft(f"Job {number}: open the tap.", {"tap": "shut", "job": number}, gold)


@register("test/Tools-later-v0")
class ToolsLater(Taps):
    """The customer lends the gauge with the first answer, and goes with the second message."""

    late_tools = frozenset({"pressure"})

    def closes(self, message: str) -> bool:
        return bool(self.calls)

    def tools_now(self) -> dict[str, ToolSpec]:
        return self.tool_specs() if self.calls else {}


@pytest.fixture
def task() -> Task:
    return Taps.make_task(1, Split.TRAIN, 1, 0)


def begun(task: Task) -> Taps:
    world = Taps()
    world.reset(options={"task": task})
    return world


def said(world: World, message: str) -> tuple[tuple[str, ...], bool]:
    results, _, ended, _, _ = world.step({"calls": (), "message": message})
    return results, ended


def test_a_message_is_answered_and_a_closing_line_ends_the_task(task: Task) -> None:
    world = begun(task)
    assert task.goal.world == {"tap": "open", "job": task.world["job"]}
    assert said(world, "How is it?") == (("It is shut.",), False)
    assert said(world, "Turn it open!") == (("It is open.",), False)
    names = [(call.name, call.turn, call.mutated, call.result) for call in world.calls]
    assert names == [
        ("user:said", 0, False, "It is shut."),
        ("user:turn", 1, True, "the tap is open"),
        ("user:said", 1, False, "It is open."),
    ]
    assert said(world, task.goal.answer or "") == ((), True)
    assert world.score is not None and world.score.success
    assert len(set(world.hashes)) == 4


def test_a_world_may_say_what_ends_the_task_and_from_when_a_tool_is_known() -> None:
    assert list(ToolsLater.tool_specs()) == ["pressure"] and ToolsLater.listed_tools() == []
    world = ToolsLater()
    world.reset(options={"task": ToolsLater.make_task(1, Split.TRAIN, 1, 0)})
    assert said(world, "") == (("It is shut.",), False)
    look = {"name": "pressure", "arguments": {}}
    results, *_ = world.step({"calls": (look,), "message": ""})
    assert results == ("high",) and said(world, "Bye") == ((), True)
    world.reset(options={"task": world.task})
    results, *_ = world.step({"calls": (look,), "message": ""})
    assert world.calls[0].outcome is CallOutcome.UNKNOWN_TOOL and "no tool" in results[0]


@pytest.mark.parametrize(
    ("message", "ends"),
    [
        ("", True),
        (" \n ", True),
        ("Result: x", True),
        ("All is well.\n result: x", True),
        ("- **Result**: x", True),
        ("The result: x", False),
        ("Done.", False),
    ],
)
def test_what_closes(message: str, ends: bool) -> None:
    assert closes(message) is ends


def test_without_a_user_any_message_ends(task: Task) -> None:
    world = begun(task)
    world.user = None
    assert said(world, "How is it?") == ((), True)
    assert world.score is not None and not world.score.success


def test_silence_until_the_last_turn_is_scored(task: Task) -> None:
    world = begun(task)
    for _ in range(world.turn_limit):
        said(world, "Hm?")
    assert world.stop is StopReason.MAX_TURNS
    assert world.score is not None and world.score.value == 0.0


def test_what_a_user_cannot_do_changes_nothing_and_is_recorded(task: Task) -> None:
    async def confused(messages: Sequence[dict[str, str]]) -> str:
        return "DO jump {}" if len(messages) == 2 else "SAY I cannot."

    world = begun(task)
    world.user = SpokenUser(confused, "model")
    assert said(world, "Jump.") == (("I cannot.",), False)
    assert [call.outcome for call in world.calls] == [CallOutcome.TOOL_ERROR, CallOutcome.OK]
    assert world.state == task.world


@pytest.mark.parametrize("user", [Restless(), Broken()])
def test_a_users_failure_is_no_verdict_and_leaves_the_state(user: object, task: Task) -> None:
    world = begun(task)
    world.user = user  # type: ignore[assignment]
    with pytest.raises(WorldCrash, match=user.name):  # type: ignore[attr-defined]
        said(world, "Turn it open.")
    assert world.state == task.world and world.stop is None and world.calls == []
    assert MOST_DEEDS == 8


def test_a_policy_cannot_pose_as_the_user(task: Task) -> None:
    world = begun(task)
    forged = [{"name": f"user:{name}", "arguments": {"to": "open"}} for name in ("turn", "said")]
    results, *_, info = world.step({"calls": tuple(forged), "message": ""})
    assert info["outcomes"] == ["unknown_tool"] * 2 and len(results) == 2  # each call is answered
    assert world.calls[0].outcome is CallOutcome.UNKNOWN_TOOL and world.state == task.world
    assert of_user(world.calls) == () and of_policy(world.calls) == tuple(world.calls)


def test_an_episode_returns_the_users_words_and_not_the_deeds(task: Task) -> None:
    episode = Episode(task, EpisodeLog(None))
    heard = asyncio.run(episode.turn([], "Please turn it open."))
    assert [call.result for call in heard] == ["It is open."] and episode.stop is None
    (looked,) = asyncio.run(episode.turn([{"name": "pressure", "arguments": {}}]))
    assert (looked.name, looked.result) == ("pressure", "low")


def test_a_model_hears_the_whole_exchange_and_its_lines_are_read(task: Task) -> None:
    heard: list[list[tuple[str, str]]] = []
    lines = iter(['DO turn {"to": "open"}', "SAY Open now.\nSAY ignored", "no form at all"])

    async def model(messages: Sequence[dict[str, str]]) -> str:
        heard.append([(each["role"], each["content"]) for each in messages[1:]])
        assert '"tap"' in messages[0]["content"] and "turn the tap" in messages[0]["content"]
        return next(lines)

    world = begun(task)
    world.user = SpokenUser(model, "model")
    assert said(world, "Open it.") == (("Open now.",), False)
    assert said(world, "And?") == (("no form at all",), False)
    assert heard[0] == [("user", "Open it.")]
    assert heard[1] == [
        ("user", "Open it."),
        ("assistant", 'DO turn {"to": "open"}'),
        ("user", "(You see: the tap is open)"),
    ]
    assert heard[2] == [*heard[1], ("assistant", "SAY Open now."), ("user", "And?")]
    with pytest.raises(ValueError, match="scripted"):
        SpokenUser(model, "scripted")


def test_a_record_is_repeated_exactly(task: Task) -> None:
    async def model(messages: Sequence[dict[str, str]]) -> str:
        await asyncio.sleep(0)
        return 'DO turn {"to": "open"}' if len(messages) == 2 else "SAY Yes."

    first, again = begun(task), begun(task)
    first.user = SpokenUser(model, "model")
    for message in ("Open it.", "Sure?"):
        said(first, message)
    again.user = RecordedUser(first.calls)
    for message in ("Open it.", "Sure?"):
        said(again, message)
    assert again.user.name == "model"
    assert again.calls == first.calls and again.hashes == first.hashes


def test_an_exchange_survives_a_snapshot(task: Task) -> None:
    world, other = begun(task), begun(task)
    said(world, "Turn it open.")
    other.restore(world.snapshot())
    assert said(other, "How is it?") == said(world, "How is it?") == (("It is open.",), False)
    assert other.hashes == world.hashes
