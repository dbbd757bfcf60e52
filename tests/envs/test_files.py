"""Files: what its tools promise, and that its tasks can be solved by the policy and by nothing
cheaper.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.envs.files.scene import Scene
from tooldojo.envs.files.tasks import TEMPLATES
from tooldojo.envs.files.wordings import WORDINGS
from tooldojo.envs.files.world import Files
from tooldojo.envs.gates.play import play, play_task, start
from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import CallOutcome

COUNT = 100


def _world() -> Files:
    world = Files()
    world.state = {
        "files": {
            "memos100/C1000.txt": {"lines": ["hazel 1", "aspen 2"], "mode": "open"},
            "memos100/C2000.log": {"lines": ["aspen 7"], "mode": "locked"},
            "scans200/C1000.txt": {"lines": [], "mode": "open"},
        },
        "packed": {},
    }
    return world


@cache
def _tasks(level: int) -> tuple[Task, ...]:
    return tuple(Files.make_task(5, Split.TRAIN, level, i) for i in range(COUNT))


def _all() -> list[Task]:
    return [task for level in Files.levels for task in _tasks(level)]


def test_reads_show_what_is_there() -> None:
    world = _world()
    assert world.list_folder("memos100") == "C1000.txt: 2 lines, open; C2000.log: 1 lines, locked"
    assert world.show_file("memos100/C1000.txt") == "hazel 1; aspen 2"
    assert world.show_file("scans200/C1000.txt") == "empty"
    assert world.search_word("memos100", "aspen") == "C1000.txt: aspen 2; C2000.log: aspen 7"
    assert world.search_word("memos100", "asp") == "no line"
    assert world.state == _world().state


def test_edits_change_one_file() -> None:
    world = _world()
    world.add_line("memos100/C1000.txt", "rowan 3")
    world.replace_line("memos100/C1000.txt", "hazel 1", "hazel 9")
    assert world.state["files"]["memos100/C1000.txt"]["lines"] == ["hazel 9", "aspen 2", "rowan 3"]
    world.move_file("memos100/C1000.txt", "drills300")
    assert sorted(world.state["files"]) == [
        "drills300/C1000.txt", "memos100/C2000.log", "scans200/C1000.txt",
    ]  # fmt: skip


def test_a_folder_is_packed_whole_or_not_at_all() -> None:
    world = _world()
    with pytest.raises(ToolError, match=r"memos100/C2000.log is locked"):
        world.pack_folder("memos100")
    assert world.state == _world().state
    world.set_mode("memos100/C2000.log", "open")
    world.pack_folder("memos100")
    assert world.state["packed"] == {
        "memos100": {"C1000.txt": ["hazel 1", "aspen 2"], "C2000.log": ["aspen 7"]}
    }
    assert list(world.state["files"]) == ["scans200/C1000.txt"]


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("list_folder", ("rosters1",), "no folder rosters1"),
        ("show_file", ("memos100/C3000.txt",), "no file memos100/C3000.txt"),
        ("search_word", ("../etc", "root"), "no folder"),
        ("move_file", ("memos100/C1000.txt", "scans200"), "is there already"),
        ("move_file", ("memos100/C1000.txt", "../scans"), "no folder"),
        ("move_file", ("memos100/C2000.log", "scans200"), "C2000.log is locked"),
        ("add_line", ("memos100/C2000.log", "x 1"), "C2000.log is locked"),
        ("add_line", ("memos100/C1000.txt", "x; y"), "without ;"),
        ("add_line", ("memos100/C1000.txt", "x\ny"), "one line"),
        ("replace_line", ("memos100/C1000.txt", "rowan 1", "x 1"), "no line rowan 1"),
        ("set_mode", ("memos100/C2000.log", "locked"), "locked already"),
    ],
)
def test_the_impossible_is_refused_by_name(tool: str, arguments: tuple, named: str) -> None:
    world = _world()
    with pytest.raises(ToolError, match=named):
        getattr(world, tool)(*arguments)
    assert world.state == _world().state


def test_a_file_has_room_for_so_many_lines() -> None:
    world = _world()
    for number in range(18):
        world.add_line("memos100/C1000.txt", f"rowan {number}")
    with pytest.raises(ToolError, match="20 lines"):
        world.add_line("memos100/C1000.txt", "rowan 99")


@given(st.integers(0, 10**6))
def test_a_word_asked_for_stands_in_one_file(seed: int) -> None:
    scene = Scene(Random(seed))
    word, folder = scene.word(), scene.folder()
    path = scene.file(folder, [f"{word} 100"])
    scene.file(folder)
    scene.clutter()
    having = [p for p in scene.files if any(line.startswith(word) for line in scene.lines(p))]
    assert having == [path]
    words = [line.split()[0] for line in scene.lines(path)]
    assert len(words) == len(set(words))


def test_doing_nothing_or_what_another_task_asks_scores_nothing() -> None:
    tasks = _all()
    for task in tasks:
        assert play_task(task, (GoldTurn("", (), ""),)).score.value == 0.0
        words = set(task.prompt.split())
        rivals = [t for t in tasks if t is not task]
        near = max(rivals, key=lambda t: len(words & set(t.prompt.split())))
        assert play_task(task, near.gold).score.value == 0.0, (task.prompt, near.prompt)


def test_locks_are_recovered_from() -> None:
    recovered: Counter[str] = Counter()
    for task in _tasks(3):
        world = start(task, len(task.gold) + 1)
        play(world, task.gold)
        refused = [c for c in world.calls if c.outcome is CallOutcome.TOOL_ERROR]
        recovered[task.template] += any("is locked" in c.result for c in refused)
    assert all(recovered[name] for name in ("pack_recover", "move_both", "rename_word"))


def test_the_mix_of_tasks() -> None:
    tasks = _all()
    declined = [t for t in tasks if not any(turn.calls for turn in t.gold)]
    assert 0.06 < len(declined) / len(tasks) < 0.16
    assert len({task.goal.answer for task in declined}) > 0.9 * len(declined)
    lengths = Counter(sum(bool(turn.calls) for turn in t.gold) for t in tasks)
    assert max(lengths) == 5
    long = [t for t in _tasks(3) if sum(bool(turn.calls) for turn in t.gold) >= 4]
    assert len(long) > 0.6 * COUNT
    assert all(5 <= len(turn.thought.split()) <= 20 for t in tasks for turn in t.gold)
    assert len(Files.system_prompt.split()) <= 145


def test_the_request_and_the_rules_fix_the_closing_line() -> None:
    """Of two files the one moved last counts, so the order is asked for; a fact that is asked goes
    before what was done, with the path that the request can mean.
    """
    moved = [t for t in _tasks(3) if t.template == "move_both"]
    for task in moved:
        files: dict = task.world["files"]  # type: ignore[assignment]
        word = str(task.gold[0].calls[0].arguments["word"])
        paths = sorted(p for p, about in files.items() if word in " ".join(about["lines"]).split())
        assert "order of their names" in task.prompt and len(paths) == 2
        assert task.goal.answer == f"Result: moved {paths[1]}"
    unseen = [Files.make_task(5, Split.TEST_COMBOS, 3, i) for i in range(12)]
    counted = [t for t in unseen if (t.template, t.condition) == ("edit_move", "move")]
    for task in counted:
        _, count, path = (task.goal.answer or "").split()
        assert count.isdecimal() and path in task.world["files"]  # type: ignore[operator]
    assert moved and counted
    rule = "the code is its value, whatever was done; a path is the file's at the start"
    assert rule in Files.system_prompt


def test_templates_and_wordings_are_complete() -> None:
    templates = [t for level in TEMPLATES.values() for t in level]
    assert {t.name for t in templates} == set(WORDINGS)
    assert all(len(set(wordings)) == 5 for wordings in WORDINGS.values())


@pytest.mark.parametrize("split", [Split.TEST_COMBOS, Split.TEST_WORDINGS])
@pytest.mark.parametrize("level", Files.levels)
def test_held_out_splits_exist_at_every_level(split: Split, level: int) -> None:
    assert Files.make_task(1, split, level, 0).split is split
