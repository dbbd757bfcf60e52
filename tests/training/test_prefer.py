"""The page for people: what it shows, and that its file reads back as what was played."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.store import StoredRow
from tooldojo.training.prefer import Side, choose, line_of, render_page
from tooldojo.training.stages.comparisons import read_comparisons
from tooldojo.training.stages.preferences import trajectory_row

WORLD = "tooldojo/Orders-v0"


@pytest.fixture
def play(skilled: Callable[..., LocalFleet]) -> Callable[..., list[Side]]:
    def played(skill: float, split: Split = Split.TRAIN) -> list[Side]:
        tasks = [IssuedTask(i, task) for i, task in enumerate(take([WORLD], split, 0, 5))]
        groups = skilled(skill, 1).play(tasks, 1)
        rows = [StoredRow("rollout", 0, g.task, t) for g in groups for t in g.trajectories]
        return [Side(f"runs/{skill}", row) for row in rows]

    return played


def test_a_file_from_the_page_reads_back_as_what_was_played(
    play: Callable[..., list[Side]], small_chat: Chat, tmp_path: Path
) -> None:
    pairs = choose(play(1.0), play(0.0), count=4, seed=0)
    assert len(pairs) == 4 and len({a.row.task.id for a, _ in pairs}) == 4
    drawn = [choose(play(1.0), play(0.0), count=4, seed=seed)[0][0].source for seed in range(6)]
    assert set(drawn) == {"runs/1.0", "runs/0.0"}  # A is either
    lines = [line_of(a, b) | {"preference": "b"} for a, b in pairs]
    path = tmp_path / "comparisons.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_comparisons(path, small_chat)
    for (a, b), pair in zip(pairs, found.pairs, strict=True):
        assert pair.chosen == trajectory_row(b.row.trajectory)
        assert pair.rejected == trajectory_row(a.row.trajectory)


def test_only_training_tasks_that_differ_are_shown(play: Callable[..., list[Side]]) -> None:
    good = play(1.0)
    assert choose(good, play(1.0), count=4, seed=0) == []
    assert choose(good, None, count=4, seed=0) == []
    assert choose(play(1.0, Split.TEST), play(0.0, Split.TEST), count=4, seed=0) == []
    both = [*good, *play(0.0)]
    assert len(choose(both, None, count=3, seed=0)) == 3


def test_the_page_is_one_file_that_runs_nothing_of_what_it_shows(
    play: Callable[..., list[Side]],
) -> None:
    (a, b), *_ = choose(play(1.0), play(0.0), count=1, seed=0)
    task = replace(a.row.task, prompt="</script><script>alert(1)</script>")
    page = render_page([line_of(replace(a, row=replace(a.row, task=task)), b)], "Pairs")
    assert page.count("</script>") == 1 and "alert(1)" in page
    assert not re.search(r'(?:src|href)="', page)
    assert a.source not in re.sub(r"const lines = .*", "", page)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_writes_what_was_chosen(play: Callable[..., list[Side]], tmp_path: Path) -> None:
    pairs = choose(play(1.0), play(0.0), count=3, seed=0)
    lines = [line_of(a, b) for a, b in pairs]
    script = re.search(r"<script>(.*)</script>", render_page(lines, "Pairs"), re.S)
    assert script is not None
    (tmp_path / "page.js").write_text(DOM + script[1] + USE)
    done = subprocess.run(
        ["node", str(tmp_path / "page.js")], capture_output=True, text=True, check=True
    )
    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.pop("preference") for line in written] == ["tie", "b", "a"]
    assert written == lines


DOM = """
const listeners = {};
const element = () => ({ dataset: {}, classList: { toggle() {} }, append() {}, setAttribute() {},
  replaceChildren() {}, addEventListener() {} });
globalThis.document = { getElementById: element, createElement: element, querySelectorAll: () => [],
  addEventListener: (name, act) => { listeners[name] = act; } };
globalThis.window = { scrollTo() {}, addEventListener() {} };
"""
USE = """
const press = (key) => listeners.keydown({ key });
press("1"); press("2"); press("1"); press("ArrowLeft"); press("ArrowLeft"); press("0");
process.stdout.write(jsonl());
"""
