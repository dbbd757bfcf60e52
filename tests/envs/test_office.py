"""Office: what its tools promise, and that its tasks can be solved by the policy and by nothing
cheaper.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from tooldojo.envs.gates.play import play, play_task, start
from tooldojo.envs.office.scene import Scene
from tooldojo.envs.office.story import Story
from tooldojo.envs.office.tasks import TEMPLATES
from tooldojo.envs.office.wordings import WORDINGS
from tooldojo.envs.office.world import Office
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import CallOutcome

COUNT = 100


def _mail(**changes: object) -> dict:
    mail = {"sender": "Olga F", "topic": "audit", "asks": "meet on Tue", "label": "none"}
    return mail | {"reply": "none", "sent_to": []} | changes


def _world() -> Office:
    world = Office()
    meeting = {"topic": "audit", "day": "Mon", "time": "11:00", "people": ["Edna B", "Olga F"]}
    world.state = {
        "people": ["Anton C", "Edna B", "Olga F"],
        "busy": {"Edna B": {"Mon": ["09:00", "10:00"]}, "Olga F": {"Mon": ["16:00"]}},
        "meetings": {"I5000": meeting},
        "mails": {"C1000": _mail(), "C2000": _mail(reply="no", sent_to=["Edna B"])},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Office.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Office.levels for task in _tasks(level)]


def _play(task: Task, turns: tuple[GoldTurn, ...]) -> Office:
    world = start(task, len(turns) + 1)
    play(world, turns)
    assert isinstance(world, Office)
    return world


def _value(task: Task, turns: tuple[GoldTurn, ...]) -> float:
    return play_task(task, turns).score.value


def test_a_plan_shows_the_hours_without_engagement_or_meeting() -> None:
    assert _world().day_plan("Edna B", "Mon") == "12:00, 13:00, 14:00, 15:00, 16:00"
    world = _world()
    world.state["busy"]["Anton C"] = {"Sun": [f"{hour:02d}:00" for hour in range(9, 17)]}
    assert world.day_plan("Anton C", "Sun") == "no free hour"


def test_reads_name_first_then_facts() -> None:
    world = _world()
    assert world.find_meetings("Olga F") == "I5000: audit, Mon 11:00, Edna B"
    assert world.find_meetings("Anton C") == "no meetings"
    assert world.list_inbox("Olga F") == "C1000: audit; C2000: audit"
    assert world.list_inbox("Edna B") == "no mails"
    assert world.open_mail("C1000") == "audit, from Olga F, label none, asks: meet on Tue"
    assert world.state == _world().state


def test_a_new_meeting_takes_an_hour_of_everybody_in_it() -> None:
    world = _world()
    meeting = world.set_meeting("hiring", "Mon", "13:00", ["Olga F", "Edna B"]).split()[1]
    assert world.state["meetings"][meeting] == {
        "topic": "hiring", "day": "Mon", "time": "13:00", "people": ["Edna B", "Olga F"],
    }  # fmt: skip
    assert "13:00" not in world.day_plan("Edna B", "Mon") + world.day_plan("Olga F", "Mon")
    world.cancel_meeting(meeting)
    assert world.state == _world().state


def test_the_order_of_people_and_meetings_does_not_matter() -> None:
    one, two = _world(), _world()
    one.set_meeting("hiring", "Tue", "09:00", ["Olga F", "Edna B"])
    one.set_meeting("audit", "Wed", "10:00", ["Anton C"])
    two.set_meeting("audit", "Wed", "10:00", ["Anton C"])
    two.set_meeting("hiring", "Tue", "09:00", ["Edna B", "Olga F"])
    assert one.state == two.state


def test_moving_answering_forwarding_and_labelling() -> None:
    world = _world()
    world.move_meeting("I5000", "Tue", "09:00")
    world.answer_mail("C1000", "yes")
    world.forward_mail("C1000", "Edna B")
    world.label_mail("C1000", "urgent")
    assert world.state["meetings"]["I5000"]["day"] == "Tue"
    assert world.state["meetings"]["I5000"]["time"] == "09:00"
    assert world.state["mails"]["C1000"] == _mail(reply="yes", sent_to=["Edna B"], label="urgent")


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("day_plan", {"person": "Ivan K", "day": "Mon"}, "no person Ivan K"),
        ("day_plan", {"person": "Edna B", "day": "May"}, "no day May"),
        ("find_meetings", {"person": "Ivan K"}, "Ivan K"),
        ("move_meeting", {"meeting_id": "I9990", "day": "Mon", "time": "12:00"}, "I9990"),
        ("move_meeting", {"meeting_id": "I5000", "day": "Mon", "time": "16:00"}, "Olga F is busy"),
        ("move_meeting", {"meeting_id": "I5000", "day": "Mon", "time": "17:00"}, "no hour 17:00"),
        ("cancel_meeting", {"meeting_id": "I9990"}, "I9990"),
        ("open_mail", {"mail_id": "C9990"}, "C9990"),
        ("answer_mail", {"mail_id": "C2000", "reply": "yes"}, "already has the answer no"),
        ("forward_mail", {"mail_id": "C2000", "person": "Edna B"}, "already has C2000"),
        ("forward_mail", {"mail_id": "C2000", "person": "Ivan K"}, "Ivan K"),
        ("label_mail", {"mail_id": "C9990", "label": "later"}, "C9990"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


@pytest.mark.parametrize("people", [[], ["Edna B", "Edna B"], ["Edna B", "Ivan K"]])
def test_a_meeting_needs_known_people_each_once(people: list[str]) -> None:
    world = _world()
    with pytest.raises(ToolError):
        world.set_meeting("hiring", "Tue", "09:00", people)
    assert world.state == _world().state


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert _value(task, (GoldTurn("", (), ""),)) == 0.0
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert _value(task, near.gold) == 0.0, (task.prompt, near.prompt)


def test_what_is_declined_is_closed_by_the_name_of_who_asks() -> None:
    declined = [t for t in _all() if not any(turn.calls for turn in t.gold)]
    for task in declined:
        line = task.goal.answer or ""
        code, _, who = line.removeprefix("Result: ").partition(" ")
        assert code in ("refused", "unsupported")
        named = [p for p in task.world["people"] if p in task.prompt]  # type: ignore[union-attr]
        assert who == min(named, key=task.prompt.index)
    assert len({task.goal.answer for task in declined}) > 0.9 * len(declined)


def test_refused_calls_are_recovered_from() -> None:
    recovered = 0
    for task in (t for t in _tasks(3) if t.template == "fallback"):
        world = _play(task, task.gold)
        refused = [c for c in world.calls if c.name == "set_meeting" and "is busy" in c.result]
        assert refused and refused[0].outcome is CallOutcome.TOOL_ERROR
        recovered += any(c.mutated for c in world.calls)
    assert recovered >= 3


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    declined = [t for t in tasks if not any(turn.calls for turn in t.gold)]
    assert 0.07 < len(declined) / len(tasks) < 0.15
    assert 0.1 < sum(bool(t.faults) for t in tasks) / len(tasks) < 0.21
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) == 5
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) > 0.6 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    assert len(Office.system_prompt.split()) <= 145


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Office.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Office.make_task(1, split, level, 0).split is split


def test_no_meeting_takes_the_id_that_a_new_one_will_get() -> None:
    scene = Scene(Random(3))
    story = Story(scene)
    promised = story.book("", "audit", "Mon", "09:00", ["Edna B", "Olga F"])
    others = {scene.meeting("hiring", "Tue", "10:00", []) for _ in range(8999)}
    assert promised not in others and len(others) == 8999


def test_who_is_busy_is_one_person_whom_the_error_names() -> None:
    ends = [t for t in _tasks(1) if (t.template, t.condition) == ("book_named", "busy")]
    busy = [t for t in ends if not t.faults]
    assert busy
    for task in busy:
        who = (task.goal.answer or "").removeprefix("Result: busy ")
        call = task.gold[-2].calls[0]
        people: list = call.arguments["people"]  # type: ignore[assignment]
        other = Call(call.name, {**call.arguments, "people": people[::-1]})
        world = _play(task, (GoldTurn("", (other,)), task.gold[-1]))
        assert world.calls[0].result.startswith(f'{{"error": "{who} is busy')
        assert world.score is not None and world.score.success
