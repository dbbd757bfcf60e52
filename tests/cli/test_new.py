"""`tooldojo new`: what it writes is a world that passes its own test, and it overwrites nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tooldojo.envs.gates.audit import audit_world
from tooldojo.envs.gates.check import check_world
from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split
from tooldojo.training.cli.main import app


def new(*args: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["new", *args, "--json"])
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


def test_the_new_world_passes_its_test_and_loads_by_path(tmp_path: Path) -> None:
    code, said = new("car_park", "--folder", str(tmp_path))
    assert code == 0 and said["reference"] == "car_park.py:CarPark"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["car_park.py", "test_car_park.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_car_park.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr
    world = world_class(f"{tmp_path / 'car_park.py'}:CarPark")
    assert world.env_id == "user/CarPark-v0"
    assert list(world.tool_specs()) == ["find_car", "set_gate"]
    task = take([world.env_id], Split.TEST, 0, 1)[0]
    assert [c.name for turn in task.gold for c in turn.calls] == ["find_car", "set_gate"]
    assert check_world(world.env_id, 4) == [] and audit_world(world.env_id, 400).findings == []
    wrapped = world_class(f"{tmp_path / 'car_park.py'}:CarPark?rename=1&nest=1")
    assert wrapped().replay_gold(take([wrapped.env_id], Split.TEST, 0, 1)[0]).success


def test_the_next_commands_are_printed(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["new", "shop", "--folder", str(tmp_path)])
    assert f"  pytest {tmp_path / 'test_shop.py'}\n" in done.stdout
    assert f"  tooldojo play {tmp_path / 'shop.py'}:Shop --policy gold\n" in done.stdout
    assert f"  tooldojo check {tmp_path / 'shop.py'}:Shop\n" in done.stdout
    assert f"  tooldojo audit {tmp_path / 'shop.py'}:Shop\n" in done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text("mine")
    code, said = new("shop", "--folder", str(tmp_path))
    assert code == 2 and "test_shop.py: it exists, and nothing is overwritten" in said["error"]
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Shop", "is no name for a world"),
        ("2shops", "is no name for a world"),
        ("a-b", "is no name for a world"),
        ("../shop", "is no name for a world"),
        ("class", "is no name for a world"),
        ("json", "would hide another module"),
        ("tooldojo", "would hide another module"),
        ("test_it", "would hide another module"),
        ("random", "would hide another module"),
        ("draft", "makes a class Draft, which its file imports"),
        ("tool_error", "makes a class ToolError, which its file imports"),
        ("world", "makes a class World, which its file imports"),
    ],
)
def test_bad_names_are_refused(tmp_path: Path, name: str, complaint: str) -> None:
    code, said = new(name, "--folder", str(tmp_path))
    assert code == 2 and complaint in said["error"]
    assert not list(tmp_path.iterdir())
