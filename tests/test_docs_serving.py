"""What docs/serving.md shows works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tooldojo.training.cli.main import app

PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_examples_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 3
    for code in examples:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_commands_exist() -> None:
    named = set(re.findall(r"^tooldojo (\w+)", PAGE, re.MULTILINE))
    assert named == {"eval", "rollout", "serve", "mcp"}
    assert named <= {command.name for command in app.registered_commands}
