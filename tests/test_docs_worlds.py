"""What docs/worlds.md shows works as shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tooldojo.envs.wrappers.settings import Wrappers

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in examples] == ["lockers.py", "play.py", "caller.py", "wrapped.py"]
    for name, code in examples:
        (tmp_path / name).write_text(code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


def test_every_wrapper_is_listed() -> None:
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert table == list(Wrappers.__dataclass_fields__)
