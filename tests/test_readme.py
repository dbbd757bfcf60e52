"""What the README shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

from gymnasium.utils.env_checker import check_env

from tooldojo.envs.registry import world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split

README = (Path(__file__).parents[1] / "README.md").read_text()


def example() -> str:
    found = re.search(r"```python\n# lights.py\n(.*?)```", README, re.DOTALL)
    assert found, "README.md has no lights.py example"
    return found[1]


def test_the_example_is_a_world_of_at_most_fifteen_lines(tmp_path: Path) -> None:
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) <= 15
    (tmp_path / "lights.py").write_text(example())
    world = world_class(f"{tmp_path / 'lights.py'}:Lights")
    assert len(world.tool_specs()) == 2
    for task in take([world.env_id], Split.TEST, 0, 20):
        assert world().replay_gold(task).success
    check_env(world())


def test_every_file_that_the_readme_links_to_exists() -> None:
    root = Path(__file__).parents[1]
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (root / link).exists(), link
