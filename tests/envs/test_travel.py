"""Travel: what its tools promise, and that its tasks can be solved by the policy and by nothing
cheaper.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from random import Random

import pytest

from tooldojo.envs.gates.play import play, start
from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.envs.travel.scene import Scene
from tooldojo.envs.travel.story import Story
from tooldojo.envs.travel.tasks import TEMPLATES
from tooldojo.envs.travel.wordings import WORDINGS
from tooldojo.envs.travel.world import Travel

COUNT = 100


def _flight(**changes: object) -> dict:
    flight = {"origin": "AAA", "destination": "BBB", "date": "May 3", "departs": "07:45"}
    return flight | {"price": 240, "seats": 2} | changes


def _world() -> Travel:
    world = Travel()
    world.state = {
        "weather": {"BBB": {"May 3": "rain"}},
        "flights": {"F100": _flight(), "F200": _flight(seats=0), "F300": _flight(date="May 4")},
        "bookings": {"B500": {"flight": "F200", "traveller": "Mira Holt", "seats": 1}},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Travel.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Travel.levels for task in _tasks(level)]


def _play(task: Task, turns: tuple[GoldTurn, ...]) -> Travel:
    world = start(task, len(turns) + 1)
    play(world, turns)
    assert isinstance(world, Travel)
    return world


def test_search_shows_only_the_route_and_day() -> None:
    found = _world().search_flights("AAA", "BBB", "May 3")
    assert found == (
        "F100: price 240, departs 07:45, seats 2; F200: price 240, departs 07:45, seats 0"
    )
    assert _world().search_flights("BBB", "AAA", "May 3") == "no flights"


def test_booking_and_cancelling_move_seats() -> None:
    world = _world()
    booking = world.book_flight("F100", "Mira Holt", 2).removeprefix("booked ")
    assert world.state["flights"]["F100"]["seats"] == 0
    assert f"{booking}: F100 to BBB" in world.list_bookings("Mira Holt")
    world.cancel_booking(booking)
    assert world.state == _world().state


def test_the_order_of_two_bookings_does_not_matter() -> None:
    one, two = _world(), _world()
    for world, order in ((one, ("F100", "F300")), (two, ("F300", "F100"))):
        for flight in order:
            world.book_flight(flight, "Mira Holt")
    assert one.state == two.state


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("book_flight", {"flight_id": "F999", "traveller": "Mira Holt"}, "F999"),
        ("book_flight", {"flight_id": "F200", "traveller": "Mira Holt"}, "F200 has 0 free seats"),
        ("book_flight", {"flight_id": "F100", "traveller": "Mira Holt", "seats": 3}, "F100"),
        ("book_flight", {"flight_id": "F100", "traveller": "Mira Holt", "seats": 0}, "0"),
        ("cancel_booking", {"booking_id": "B999"}, "B999"),
        ("get_flight", {"flight_id": "F999"}, "F999"),
        ("get_weather", {"city": "ZZZ", "date": "May 3"}, "ZZZ"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(**arguments)
    assert world.state == _world().state


@pytest.mark.parametrize("level", Travel.levels)
def test_gold_scores_one_and_quotes_only_what_was_seen(level: int) -> None:
    for task in _tasks(level):
        world = _play(task, task.gold)
        assert world.score is not None and world.score.value == 1.0
        seen = task.prompt
        for call in world.calls:
            for value in call.arguments.values():
                assert str(value) in seen, (task.prompt, call)
            seen += "\n" + call.result
        last = re.sub(r"^Result: \w*", "", task.goal.answer or "")
        assert all(word in seen for word in last.split()), (task.prompt, task.goal.answer)


def test_a_repeated_write_fails() -> None:
    played = 0
    for task in _all():
        writes = [turn for turn in task.gold if turn.calls and turn.calls[0].name == "book_flight"]
        if writes and task.goal.answer and "booked" in task.goal.answer:
            world = _play(task, (*task.gold[:-1], writes[-1], task.gold[-1]))
            extra_ran = world.calls[-1].outcome.value == "ok"
            assert world.score is not None and world.score.success is not extra_ran
            played += extra_ran
    assert played > 50


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert _play(task, (GoldTurn("", (), ""),)).score.value == 0.0  # type: ignore[union-attr]
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert _play(task, near.gold).score.value == 0.0  # type: ignore[union-attr]


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    declined = [t for t in tasks if not any(turn.calls for turn in t.gold)]
    assert 0.07 < len(declined) / len(tasks) < 0.15
    assert 0.1 < sum(bool(t.faults) for t in tasks) / len(tasks) < 0.21
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) <= 5
    assert all(6 <= len(turn.thought.split()) <= 18 for t in tasks for turn in t.gold)
    assert len(Travel.system_prompt.split()) <= 130


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())
    assert all(len(t.prompt.split(". ")) <= 4 for t in _all())


def test_unseen_combinations_are_made_of_seen_parts() -> None:
    pairs = {(t.name, c) for level in TEMPLATES.values() for t in level for c in t.conditions}
    assert pairs >= Travel.unseen_combos
    seen = pairs - Travel.unseen_combos
    for template, condition in Travel.unseen_combos:
        assert template in {t for t, _ in seen}
        for part in condition.split("_"):
            assert any(part in c.split("_") for _, c in seen)


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Travel.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Travel.make_task(1, split, level, 0).split is split


def test_no_booking_takes_the_id_that_a_new_one_will_get() -> None:
    scene = Scene(Random(3))
    promised = Story(scene).book("", "F100", "Mira Holt")
    others = {scene.booking("Tal Orme", "F100") for _ in range(899)}
    assert promised not in others and len(others) == 899
