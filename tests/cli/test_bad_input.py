"""What the machine or a user's world cannot give: one line, the right exit code, nothing half
written.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORLD = """
from tooldojo.envs.draft import Draft
from tooldojo.envs.task import GoldTurn
from tooldojo.envs.tools import tool
from tooldojo.envs.world import World

class Nothing(World):
    levels = ()

    @tool(mutates=False)
    def look(self, place: str) -> str:
        "Look."
        return place

class Same(Nothing):
    levels = (1,)

    @classmethod
    def draft(cls, rng, level):
        return Draft("Say A.", {}, [GoldTurn("I say it.", (), "A")], "say", "always", 0)
"""


def tooldojo(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tooldojo.training.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    return lines[0]


@pytest.fixture
def small_disk(capable: Callable[[int], bool], tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KB."""
    if not capable(21):  # CAP_SYS_ADMIN
        pytest.skip("file systems can be mounted by root only")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_no_half_shard(small_disk: Path) -> None:
    out = small_disk / "out"
    done = tooldojo("rollout", "--policy", "gold", "--tasks", "400", "--out", str(out))
    assert done.returncode == 1 and "the disk is full" in one_line(done)
    assert list(out.iterdir()) == []
    done = tooldojo("rollout", "--policy", "gold", "--tasks", "4", "--out", str(out))
    assert done.returncode == 0 and len(list(out.glob("*.parquet"))) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nothing", "user/Nothing-v0 has no level; it has none; set `levels` of the class"),
        ("Same", "only 1 distinct train tasks in"),
    ],
)
def test_a_world_without_enough_tasks(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "world.py").write_text(WORLD)
    worlds = f'task.worlds=["{tmp_path}/world.py:{name}"]'
    out = tmp_path / "out"
    done = tooldojo("rollout", worlds, "--policy", "gold", "--tasks", "3", "--out", str(out))
    assert done.returncode == 2 and message in one_line(done)
    assert not out.exists()
