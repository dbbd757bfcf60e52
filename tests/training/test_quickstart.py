"""Which tasks an evaluation plays, and what its summary says about them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tooldojo.configs.loading import load_recipe
from tooldojo.training.quickstart import held_out_tasks

PLAIN = """
from tooldojo import Draft, World, call, steps, tool


class Plain(World):
    @tool(mutates=True)
    def put(self, key: str) -> None:
        "Store a key."
        self.state[key] = 1

    @classmethod
    def draft(cls, rng, level):
        key = f"K{rng.randrange(10000)}"
        return Draft(f"Store {key}.", {}, steps(call("put", key=key), say=f"Result: {key}"))
"""


def splits(*keys: str) -> Counter[str]:
    recipe = load_recipe(None, ["eval.tasks=12", "eval.transfer_tasks=2", *keys])
    return Counter(task.split.value for task in held_out_tasks(recipe))


def test_harder_splits_get_a_quarter() -> None:
    found = splits('task.worlds=["tooldojo/Orders-v0"]')
    assert found == {"test": 12, "test_combos": 3, "test_wordings": 3}


def test_a_world_that_holds_nothing_back_has_new_instances_only(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    world = f"{tmp_path / 'plain.py'}:Plain"
    assert splits(f'task.worlds=["{world}"]') == {"test": 12}
    both = splits(f'task.worlds=["{world}", "tooldojo/Orders-v0"]')
    assert both == {"test": 12, "test_combos": 3, "test_wordings": 3}
