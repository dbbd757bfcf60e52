"""What docs/rewards.md shows works as shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tooldojo.configs.loading import parse_recipe
from tooldojo.verifiers.binding import FACTS
from tooldojo.verifiers.process import CALL_REWARDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "rewards.md").read_text(encoding="utf-8")
PLAY = """
from desk import Desk
from polite_desk import PoliteDesk
from tooldojo.envs.registry import register
from tooldojo.envs.task import Split
from tooldojo.rollouts.judges import NamedJudge

for world in (Desk, PoliteDesk):
    register(f"docs/{world.__name__}-v0")(world)
    task = world.make_task(0, Split.TRAIN, 1, 0)
    assert world().replay_gold(task).value == 1.0
    played = world()
    played.judge = NamedJudge("house_judge.py:tone")
    played.reset(options={"task": task})
    for turn in task.gold:
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        played.step({"calls": calls, "message": turn.message or ""})
    (progress,) = played.process_rewards({})
    assert progress.turns == (0.1, 0.1, 0.0), progress
    print(played.score.value, played.score.components)
"""


def test_the_examples_run(tmp_path: Path) -> None:
    examples = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
    assert list(examples) == ["desk.py", "polite_desk.py", "house_judge.py"]
    for name, code in (examples | {"play.py": PLAY}).items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "play.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    bare, polite = done.stdout.splitlines()
    assert bare.startswith("1.0 {'final_state': 1.0, 'answer': 1.0, 'kept': 1.0, 'brief': 1.0}")
    assert polite.startswith("0.75 ") and "'tone': 0.5" in polite


def test_the_recipe_is_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    weights = parse_recipe(tomllib.loads(text)).objective.reward_weights
    assert weights["argument_accuracy"] == 0.1


def test_every_argument_and_call_reward_is_listed() -> None:
    table = re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", " ".join(table)))
    assert set(FACTS) | {part.name for part in CALL_REWARDS} <= listed
