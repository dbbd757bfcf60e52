"""The API catalogue: what its tools and schemas promise; only discovery solves its tasks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tooldojo.envs.catalogue.tables import APIS, AREAS, Operation, api_of, search
from tooldojo.envs.catalogue.tasks import MOST_CALLS, TEMPLATES
from tooldojo.envs.catalogue.wordings import WORDINGS
from tooldojo.envs.catalogue.world import Catalogue
from tooldojo.envs.gates.play import play, play_task, start
from tooldojo.envs.task import Call, GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError

COUNT = 60


def _row(**changes: object) -> dict:
    return {"name": "Norlock", "cargo": "salt", "draught": 4, "crew": 9, "warden": "W100"} | changes


def _world() -> Catalogue:
    world = Catalogue()
    records: dict = {name: {} for name in AREAS}
    records["harbour"] = {"R200": _row(), "R300": _row(name="Calwick", draught=7)}
    for subject, name in (("W100", "Pelstow"), ("W101", "Seldale")):
        records["rota"][subject] = {"name": name, "shift": "noon", "hours": 8, "grade": 2}
    world.state = {"records": records, "frozen": ["museum"]}
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Catalogue.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Catalogue.levels for task in _tasks(level)]


def _play(task: Task, turns: tuple[GoldTurn, ...]) -> Catalogue:
    world = start(task, len(turns) + 1)
    play(world, turns)
    assert isinstance(world, Catalogue)
    return world


def _value(task: Task, turns: tuple[GoldTurn, ...]) -> float:
    return play_task(task, turns).score.value


def test_the_catalogue_is_large_and_every_api_can_be_found() -> None:
    assert len(APIS) == 79
    for api in APIS.values():
        field = api.field or (api.area.kind.name if "by_" in api.name else "")
        assert api in search(f"{api.operation} {api.area.noun} {field}")


def test_areas_name_their_verbs_and_parameters_differently() -> None:
    shown = [
        (api.name, list(api.params))
        for area in ("harbour", "museum", "bakery")
        for api in [api_of(AREAS[area], Operation.SET, AREAS[area].first.name)]
    ]
    assert shown == [
        ("harbour.update_draught", ["ferry_id", "draught"]),
        ("museum.change_width", ["etching", "new_width"]),
        ("bakery.set_grams", ["id", "value"]),
    ]


def test_searching_and_describing() -> None:
    world = _world()
    assert world.search_apis("set ferry draught") == (
        "harbour.update_draught: Set the draught of a ferry; "
        "harbour.update_cargo: Set the cargo of a ferry; "
        "harbour.update_crew: Set the crew of a ferry"
    )
    assert world.search_apis("xyzzy") == "no API fits"
    assert world.describe_api("harbour.update_draught") == (
        "ferry_id: text; draught: integer 2 to 14"
    )
    assert world.describe_api("museum.filter_by_wing") == "wing: north|south|east|west"
    assert (world.area_status("museum"), world.area_status("harbour")) == ("frozen", "open")


@pytest.mark.parametrize(
    ("api", "arguments", "shown"),
    [
        (
            "harbour.read_ferry",
            {"ferry_id": "R200"},
            "name Norlock, cargo salt, draught 4, crew 9, warden W100",
        ),
        ("harbour.lookup_ferry", {"name": "Calwick"}, "R300"),
        ("harbour.tally_by_cargo", {"cargo": "salt"}, "2"),
        ("harbour.select_by_cargo", {"cargo": "coal"}, "none"),
        (
            "rota.select_by_shift",
            {"shift": "noon"},
            "W100: name Pelstow, shift noon, hours 8, grade 2 | "
            "W101: name Seldale, shift noon, hours 8, grade 2",
        ),
    ],
)
def test_queries(api: str, arguments: dict, shown: str) -> None:
    world = _world()
    assert world.query_api(api, arguments) == shown
    assert world.state == _world().state


def test_changes() -> None:
    world = _world()
    assert world.submit_api("harbour.update_draught", {"ferry_id": "R200", "draught": 5}) == (
        "draught of R200 is 5"
    )
    world.submit_api("harbour.update_warden", {"ferry_id": "R200", "warden": "W101"})
    assert world.submit_api("harbour.delete_ferry", {"ferry_id": "R300"}) == "removed R300"
    new = {"name": "Tamvane", "cargo": "coal", "draught": 2, "crew": 3, "warden": "W101"}
    subject = world.submit_api("harbour.add_ferry", dict(new)).removeprefix("created ")
    assert world.state["records"]["harbour"] == {
        "R200": _row(draught=5, warden="W101"),
        subject: new,
    }


_SET = "harbour.update_draught"


@pytest.mark.parametrize(
    ("tool", "api", "arguments", "named"),
    [
        ("submit_api", _SET, {"id": "R200", "draught": 5}, "takes ferry_id, draught"),
        ("submit_api", _SET, {"ferry_id": "R200"}, r"draught is missing \(integer 2 to 14\)"),
        ("submit_api", _SET, {"ferry_id": "R200", "draught": 15}, "integer 2 to 14, not 15"),
        ("submit_api", _SET, {"ferry_id": "R200", "draught": "5"}, "not '5'"),
        ("submit_api", _SET, {"ferry_id": "R999", "draught": 5}, "no ferry R999"),
        (
            "submit_api",
            "harbour.update_cargo",
            {"ferry_id": "R200", "cargo": "mud"},
            "not 'mud'",
        ),
        ("submit_api", "harbour.update_warden", {"ferry_id": "R200", "warden": "W9"}, "W9"),
        ("submit_api", "rota.delete_warden", {"warden_id": "W100"}, "in use by R200"),
        ("submit_api", "harbour.read_ferry", {"ferry_id": "R200"}, "use query_api"),
        ("query_api", _SET, {"ferry_id": "R200", "draught": 5}, "use submit_api"),
        ("query_api", "harbour.set_draught", {}, "harbour.update_draught"),
        ("query_api", "harbour.lookup_ferry", {"name": "Nobody"}, "Nobody"),
    ],
)
def test_errors_say_what_to_do(tool: str, api: str, arguments: dict, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(api, arguments)
    assert world.state == _world().state


def test_a_name_that_exists_is_refused() -> None:
    new = {"name": "Norlock", "cargo": "coal", "draught": 2, "crew": 3, "warden": "W101"}
    with pytest.raises(ToolError, match="Norlock"):
        _world().submit_api("harbour.add_ferry", new)  # type: ignore[arg-type]


def test_gold_looks_up_every_api_that_it_calls() -> None:
    for task in _all():
        seen = task.prompt
        world = _play(task, task.gold)
        assert world.score is not None and world.score.value == 1.0
        described: set = set()
        for call in world.calls:
            api = call.arguments.get("api")
            if call.name == "describe_api":
                assert str(api) in seen
                described.add(api)
            elif api is not None:
                assert api in described
                assert set(call.arguments["arguments"]) <= set(APIS[str(api)].params)  # type: ignore[arg-type]
            seen += "\n" + call.result


def test_another_value_in_a_change_scores_nothing() -> None:
    changed = 0
    for task in _all():
        for made in (c for c in _play(task, task.gold).calls if c.mutated):
            api = APIS[str(made.arguments["api"])]
            arguments: dict = made.arguments["arguments"]  # type: ignore[assignment]
            for name, value in arguments.items():
                choices = api.params[name].choices
                other = value - 1 if isinstance(value, int) else f"{value}x"
                if choices:
                    other = next(choice for choice in choices if choice != value)
                wrong = {"api": api.name, "arguments": {**arguments, name: other}}
                turns = list(task.gold)
                turns[made.turn] = replace(turns[made.turn], calls=(Call("submit_api", wrong),))
                assert _value(task, tuple(turns)) == 0.0
                changed += 1
    assert changed > 60


def test_wardens_in_use_are_not_removed() -> None:
    retired = [task for task in _tasks(3) if task.template == "retire"]
    ends = {task.condition: (task.goal.answer or "").split()[1] for task in retired}
    assert ends == {
        "used_shift": "changed", "used_keep": "kept", "open_shift": "removed",
        "open_keep": "removed", "frozen_shift": "refused",
    }  # fmt: skip
    for task in retired:
        if task.condition.startswith("used"):
            assert any("in use" in call.result for call in _play(task, task.gold).calls)


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert _value(task, (GoldTurn("", (), ""),)) == 0.0
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert _value(task, near.gold) == 0.0


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    lengths = [sum(bool(turn.calls) for turn in t.gold) for t in tasks]
    assert 0.06 < lengths.count(0) / len(tasks) < 0.18
    assert max(lengths) <= MOST_CALLS < Catalogue.max_turns - 1
    top = [sum(bool(turn.calls) for turn in t.gold) for t in _tasks(3)]
    assert sum(n >= 4 for n in top) > 0.6 * COUNT
    still = [t for t in tasks if t.goal.world == t.world]
    assert len(still) > 0.3 * len(tasks)
    assert all(4 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    assert len(Catalogue.system_prompt.split()) <= 140


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Catalogue.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Catalogue.make_task(1, split, level, 0).split is split


def test_what_is_declined_or_compared_is_closed_with_a_value_read() -> None:
    """A line built of the request alone would not do."""
    seen, compared = set(), ("compare", "best_of")
    declined = (("set_field", "outside"), ("create_row", "outside"), ("retire", "used_keep"))
    for task in _all():
        if task.template in compared or (task.template, task.condition) in declined:
            world = _play(task, task.gold)
            value = (task.goal.answer or "").split()[-2]
            assert any(value in call.result for call in world.calls)
            seen.add(task.template)
    assert seen == {"set_field", "retire", "compare", "best_of", "create_row"}
