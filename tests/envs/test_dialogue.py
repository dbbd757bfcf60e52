"""Dialogue: what the customer understands and does, what the tools promise, what is judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooldojo.envs.dialogue.desk import networks
from tooldojo.envs.dialogue.household import SETTINGS, Customer, Household, lamp
from tooldojo.envs.dialogue.tasks import TEMPLATES
from tooldojo.envs.dialogue.wordings import WORDINGS
from tooldojo.envs.dialogue.world import Dialogue
from tooldojo.envs.gates.play import play_task
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.envs.users import MOST_DEEDS, Heard, closes
from tooldojo.verifiers.records import CallOutcome

COUNT = 60


def _world() -> Dialogue:
    world = Dialogue()
    row = {"name": "Ilka Drummel", "plan": "basic", "line": "open", "owes": 7, "box": "R100001"}
    world.state = {
        "accounts": {"C10000": row},
        "boxes": ["R100002"],
        "orders": {},
        "visits": {},
        "user": {
            "name": "Ilka Drummel",
            "account": "C10000",
            "box": "R100001",
            "day": "Monday",
            "settings": {
                "guest": "on", "filter": "off", "bridge": "off", "cable": "in", "channel": "6",
            },
            "fresh": True,
            "slips": {},
        },
    }  # fmt: skip
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Dialogue.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Dialogue.levels for task in _tasks(level)]


def _first(message: str, **changes: object) -> Call | str:
    """The customer's first deed for a message, or the words."""
    world = _world()
    world.state["user"] |= changes
    side = Household(world.state)
    reply = asyncio.run(Customer().answer(Heard(message, side.mind(), side.deeds, ())))
    return reply.deed or reply.text


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("What is your account number?", "My account number is C10000."),
        ("Could you read me the number on the box?", "The number on the box is R100001."),
        ("Which day suits you?", "Monday suits me."),
        ("Which colour has the light?", "The lamp is green."),
        ("Is guest on or off?", "It says guest on."),
        (
            "Your account number? And the lamp?",
            "My account number is C10000. The lamp is green.",
        ),
        ("Lovely weather.", "Sorry, I do not understand that."),
        ("Please reboot it.", Call("restart", {})),
        ("Turn off the guest network.", Call("set", {"name": "guest", "value": "off"})),
        ("Set the channel to 11, please.", Call("set", {"name": "channel", "value": "11"})),
        ("Pull the cable out.", Call("set", {"name": "cable", "value": "out"})),
    ],
)
def test_what_the_customer_understands(message: str, reply: Call | str) -> None:
    assert _first(message) == reply


def test_several_things_are_done_and_told_in_order() -> None:
    world = Dialogue()
    world.reset(options={"task": next(t for t in _tasks(1) if t.template == "part")})
    account = world.state["user"]["account"]
    message = "Set guest to off and filter to on and restart it. Which account number do you have?"
    results = world.step({"calls": (), "message": message})[0]
    assert results == (
        "Done, guest is off. Done, filter is on. I restarted the box; the lamp is green. "
        f"My account number is {account}.",
    )
    names = [call.name for call in world.calls]
    assert names == ["user:set", "user:set", "user:restart", "user:said"]
    assert world.state["user"]["settings"]["filter"] == "on"


WORDS = "set turn restart guest filter channel cable bridge on off in out 7 99 and . ? lamp account"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS.split()), max_size=50), min_size=1, max_size=4))
def test_no_message_crashes_the_world(messages: list[list[str]]) -> None:
    world = Dialogue()
    world.reset(options={"task": next(t for t in _tasks(3) if t.condition == "guest_forgets")})
    for words in messages:
        if not closes(" ".join(words)):
            (reply,) = world.step({"calls": (), "message": " ".join(words)})[0]
            assert reply
    found = world.state["user"]["settings"]
    assert all(value in SETTINGS[name] for name, value in found.items()) and len(found) == 5


def test_what_is_too_much_for_one_exchange_is_left_out() -> None:
    world = Dialogue()
    world.reset(options={"task": _tasks(1)[0]})
    (reply,) = world.step({"calls": (), "message": "Please restart. " * 30})[0]
    assert reply.count("restarted") == MOST_DEEDS == len(world.calls) - 1


def test_a_slip_happens_once() -> None:
    world = _world()
    world.reset(options={"task": next(t for t in _tasks(2) if t.condition == "plan_slip")})
    right, wrong = world.state["user"]["account"], world.state["user"]["slips"]["account"]
    ask = {"calls": (), "message": "What is your account number?"}
    said = [world.step(ask)[0][0] for _ in range(3)]
    assert said == [f"My account number is {each}." for each in (wrong, right, right)]


def test_a_forgotten_setting_is_said_to_be_done_and_is_not() -> None:
    task = next(t for t in _tasks(3) if t.condition == "guest_forgets")
    world = Dialogue()
    world.reset(options={"task": task})
    before = world.state["user"]["settings"]["guest"]
    wanted = "off" if before == "on" else "on"
    tell = {"calls": (), "message": f"Please set guest to {wanted}."}
    assert world.step(tell)[0] == (f"Done, guest is {wanted}.",)
    assert world.state["user"]["settings"]["guest"] == before
    assert world.step(tell)[0] == (f"Done, guest is {wanted}.",)
    assert world.state["user"]["settings"]["guest"] == wanted


def test_the_lamp_shows_both_sides() -> None:
    world = _world()
    assert lamp(world.state) == "green"
    world.switch_plan("C10000", "ultra")
    assert lamp(world.state) == "yellow" and not world.state["user"]["fresh"]
    world.state["accounts"]["C10000"]["line"] = "barred"
    assert lamp(world.state) == "red"
    side = Household(world.state)
    side.do(Call("set", {"name": "cable", "value": "out"}))
    assert lamp(world.state) == "dark"
    with pytest.raises(ToolError, match="does not answer"):
        world.read_box("C10000")
    side.do(Call("set", {"name": "cable", "value": "in"}))
    world.unbar_line("C10000")
    assert side.do(Call("restart", {})) == "the lamp is green"


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("open_account", {"account": "C9"}, "no account C9"),
        ("unbar_line", {"account": "C10000"}, "not barred"),
        ("switch_plan", {"account": "C10000", "plan": "basic"}, "already has basic"),
        ("bind_box", {"account": "C10000", "box": "R9"}, "no box R9"),
        ("book_visit", {"account": "C10000", "day": "Sunday"}, "no day Sunday"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


def test_tools_tell_and_do() -> None:
    world = _world()
    assert world.open_account("C10000") == (
        "Ilka Drummel; plan basic; line open; owes 7; box R100001"
    )
    assert world.read_box("C10000").endswith("cable in, channel 6; lamp green")
    seen = networks("R100001")
    assert len(set(seen.values())) == 3
    assert world.scan_channels("C10000") == ", ".join(f"channel {c}: {n}" for c, n in seen.items())
    world.bind_box("C10000", "R100002")
    world.ship_part("C10000", "cable")
    world.book_visit("C10000", "Friday")
    assert world.state["accounts"]["C10000"]["box"] == "R100002" and world.state["boxes"] == []
    assert world.state["orders"] == {"C10000": ["cable"]}
    assert world.state["visits"] == {"C10000": ["Friday"]}


def test_nothing_that_the_customer_must_be_asked_stands_in_the_request() -> None:
    for task in _all():
        user = task.world["user"]
        assert isinstance(user, dict)
        assert str(user["account"]) not in task.prompt and str(user["box"]) not in task.prompt


def test_both_sides_are_judged() -> None:
    """Without the last message to the customer, or without the last write, a task fails."""
    told = [t for t in _tasks(3) if t.template in ("unbar", "plan", "new_box", "both")]
    checked = 0
    for task in told:
        for place, turn in enumerate(task.gold[:-1]):
            if turn.message and turn.message.startswith("Please"):
                turns = (*task.gold[:place], *task.gold[place + 1 :])
                assert play_task(task, turns).score.components["final_state"] == 0.0
                checked += 1
    assert checked >= 10


def test_other_words_do_as_well() -> None:
    task = next(t for t in _tasks(2) if t.template == "switch" and not t.faults)
    turns = [
        GoldTurn(turn.thought, (), turn.message.replace("Please set", "Would you kindly switch"))
        if turn.message and not closes(turn.message)
        else turn
        for turn in task.gold
    ]
    assert turns != list(task.gold)
    assert play_task(task, turns).score.success


def test_demonstrations_earn_the_call_rewards_in_full() -> None:
    weights = {"tool_selection": 1.0, "argument_accuracy": 1.0, "call_form": 1.0}
    for task in _all():
        world = Dialogue()
        world.replay_gold(task)
        earned = {part.name: sum(part.turns) for part in world.process_rewards(weights)}
        assert earned == pytest.approx(weights), task.prompt


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    lengths = Counter(len(t.gold) - 1 for t in tasks)
    assert max(lengths) <= 7
    long = [t for t in _tasks(3) if len(t.gold) > 4]
    assert len(long) > 0.6 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    asked = [t for t in tasks if any(not c.calls for c in t.gold[:-1])]
    assert len(asked) > 0.8 * len(tasks)
    recovered = [
        t for t in _tasks(3)
        if any(c.outcome is CallOutcome.TOOL_ERROR for c in play_task(t, t.gold).calls)
    ]  # fmt: skip
    assert len(recovered) > 0.2 * COUNT


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())
