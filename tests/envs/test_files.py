"""Files: what its tools promise, and that its tasks can be solved by the policy and by nothing
cheaper.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
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
from tooldojo.envs.snapshot import clone
from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.envs.tools import ToolError
from tooldojo.verifiers.records import CallOutcome

COUNT = 100
BACK = r"\1\2\3\4\5\6\7"  # two equal halves, which a line of 59 characters has not
pytestmark = pytest.mark.usefixtures("bubblewrap")  # its shell, which tasks are drawn with


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


def test_commands_read_and_write_the_tree() -> None:
    world = _world()
    assert world.run_command("grep -hw aspen memos100/* | wc -l") == "2"
    assert world.run_command("cut -d' ' -f1 memos100/* | sort | uniq -d") == "aspen"
    assert world.run_command("grep -hw 'aspen' memos100/*|sort -k2nr | head -n1") == "aspen 7"
    assert world.state == _world().state
    assert world.run_command("sort -u memos100/* > scans200/C1000.txt") == "ok"
    assert world.run_command("echo x 1 > scans200/C9.txt && tail -n1 scans200/C9.txt") == "x 1"
    assert world.run_command("cut -d' ' -f1 memos100/C1000.txt >> scans200/C9.txt") == "ok"
    files = _world().state["files"]
    files["scans200/C1000.txt"]["lines"] = ["aspen 2", "aspen 7", "hazel 1"]
    files["scans200/C9.txt"] = {"mode": "open", "lines": ["x 1", "hazel", "aspen"]}
    assert world.state == {"files": files, "packed": {}}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("date", "no program date; there are cat, "),
        ("cat memos100/C1000.txt | date", "no program date"),
        ("cat memos100/C1000.txt; cat memos100/C1000.txt", "not allowed here: ;"),
        ("cat $HOME", r"not allowed here: \$HOME"),
        ("cat `date`", "not allowed here: `date`"),
        ('cat "$HOME"', 'not allowed here: "'),
        ("cat {a,b}", "not allowed here: {a,b}"),
        ("cat <(date)", "not allowed here: <"),
        ("cat memos100/C1000.txt &", "not allowed here: &"),
        ("cat memos100/C1000.txt &&", "not complete"),
        ("", "not complete"),
        ("| cat", r"not allowed here: \|"),
        ("cat\nmemos100/C1000.txt", "on one line"),
        ("cat " + "x" * 200, "at most 200 characters"),
        ("sort -R memos100/*", "sort has no -R here; its options are "),
        ("sort ''-R memos100/*", "sort has no -R here"),
        ("sort --random-sort memos100/*", "sort has no --random-sort"),
        ("cat /proc/uptime", "a path is folder/file, not /proc/uptime"),
        ("cat '/proc/uptime'", "a path is folder/file"),
        ("cat memos100/../../proc/uptime", "a path is folder/file"),
        ("cat .*/proc/uptime", "a path is folder/file"),
        ("cat memos100/* > ../x.txt", "written is a file, folder/name.txt for example, not ../x"),
        ("cat memos100/* > memos100/*", "written is a file"),
        ("cat memos100/* | sort > memos100/C1000.txt", "a pipe cannot write memos100/C1000.txt"),
        ("cat memos100/* > scans200/C1.txt | wc -l", r"not allowed here: \|"),
        ("sort > scans200/C1.txt memos100/*", r"not allowed here: memos100/\*"),
        ("uniq memos100/C1000.txt scans200/C1000.txt", "uniq reads a pipe here"),
        ("cat nothing | wc -l", "cat: nothing: No such file or directory"),
        ("cat memos100/* > rosters1/C1.txt", "rosters1/C1.txt: No such file or directory"),
        ("sort -u memos100/* > memos100/C2000.log", "memos100/C2000.log is locked"),
        ("echo 'x;y' > scans200/C1.txt", "without ;"),
        ("tr a-z '\\000' < memos100/C1000.txt", "not allowed here: <"),
        ("cat memos100/C1000.txt | tr a-z '\\001'", "prints what is no text"),
        ("cat long300/C1.txt memos100/* > scans200/C1.txt", "room for 20 lines, not for 23"),
        ("cat" + " */*" * 40, "prints or writes too much"),
        (f"grep -xE '{'(x*)' * 7}{BACK}' long300/C1.txt", "takes too long"),
    ],
)  # fmt: skip
def test_commands_that_are_refused_or_fail_change_nothing(command: str, named: str) -> None:
    world = _world()
    world.state["files"]["long300/C1.txt"] = {"lines": ["x" * 59] * 20, "mode": "open"}
    calls = [{"name": "run_command", "arguments": {"command": command}}]
    world.reset(options={"task": replace(_tasks(1)[0], world=clone(world.state))})
    start, (result,) = world.state_hash(), world.step({"calls": calls, "message": ""})[0]
    assert re.search(named, json.loads(result)["error"])
    assert world.state_hash() == start


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
