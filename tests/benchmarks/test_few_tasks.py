"""The few tasks on which benchmarks of training train."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import shutil
from pathlib import Path

from few import choose
from few.choose import candidates, nearest_to_half

from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split


def kept_at(place: Path) -> str:
    """The world's file, as a benchmark keeps it."""
    place.mkdir()
    shutil.copyfile(Path(choose.__file__).with_name("orders.py"), place / "orders.py")
    return f"{place / 'orders.py'}:FewOrders"


def test_what_is_solved_always_or_never_is_left_out() -> None:
    rates = {(1, 0): 0.0, (1, 1): 0.625, (2, 0): 1.0, (2, 1): 0.375, (3, 0): 0.5, (3, 1): 0.9}
    assert nearest_to_half(rates, 3) == [(3, 0), (1, 1), (2, 1)]


def test_the_chosen_tasks_take_turns(tmp_path: Path) -> None:
    before = candidates(kept_at(tmp_path / "pilot"))
    shutil.rmtree(tmp_path / "pilot")  # two files may not have a world of one name
    chosen = list(before)[::9]
    world = kept_at(tmp_path / "few")
    (tmp_path / "few" / "orders.json").write_text(json.dumps({"drafts": chosen}))
    source = GeneratedTasks([world], Split.TRAIN, 0)
    drawn = [source.next().task for _ in range(3 * len(chosen))]
    wanted = {before[draft].id for draft in chosen}
    rounds = [drawn[at : at + len(chosen)] for at in range(0, len(drawn), len(chosen))]
    assert len(chosen) > 1 and all({task.id for task in each} == wanted for each in rounds)
    assert all(task.split is Split.TRAIN for task in drawn)
