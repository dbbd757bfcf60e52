"""What docs/worlds.md and docs/sandbox.md show works as shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tooldojo.envs.gates.audit import audit_world
from tooldojo.envs.gates.check import check_world
from tooldojo.envs.registry import world_class
from tooldojo.envs.wrappers.settings import Wrappers

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")


def examples(page: str) -> list[tuple[str, str]]:
    """Names and code of a page's Python blocks."""
    return re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL)


def test_the_examples_run(tmp_path: Path) -> None:
    names = [name for name, _ in examples(PAGE)]
    assert names == ["lockers.py", "lamps.py", "play.py", "caller.py", "wrapped.py"]
    run_all(examples(PAGE), tmp_path)


def test_a_world_of_functions_takes_fifteen_lines_and_passes_its_gates(tmp_path: Path) -> None:
    code = dict(examples(PAGE))["lamps.py"]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 15
    reference = tmp_path / "lamps.py"
    reference.write_text(code, encoding="utf-8")
    lamps = world_class(f"{reference}:Lamps")
    assert lamps.env_id == "user/Lamps-v0"
    assert check_world(lamps.env_id, tasks=6) == []
    assert audit_world(lamps.env_id, trajectories=300).passed


@pytest.mark.usefixtures("isolation")
def test_the_example_of_the_sandbox_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert [name for name, _ in examples(page)] == ["sandboxed.py"]
    run_all(examples(page), tmp_path)


def run_all(found: list[tuple[str, str]], tmp_path: Path) -> None:
    """Run examples as scripts, one after the other in one folder."""
    for name, code in found:
        (tmp_path / name).write_text(code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


def test_every_wrapper_is_listed() -> None:
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert table == list(Wrappers.__dataclass_fields__)
