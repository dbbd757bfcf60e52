"""Imported worlds train only where the recipe says so; that is asked before anything is opened."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tooldojo.configs.loading import RecipeError
from tooldojo.configs.schema import Recipe, RunSection, TaskSection
from tooldojo.envs.draft import Draft, call, steps
from tooldojo.envs.registry import register
from tooldojo.envs.tools import tool
from tooldojo.envs.verdict import Audit, Verdict
from tooldojo.envs.world import World
from tooldojo.training.session import open_policy


def switch(env_id: str, verdict: Verdict) -> str:
    class Switch(World):
        @tool(mutates=True)
        def press(self) -> None:
            """Press it."""
            self.state["on"] = True

        @classmethod
        def draft(cls, rng: Random, level: int) -> Draft:
            line = f"Result: {rng.randrange(1000)}"
            return Draft(line, {"on": False}, steps(call("press"), say=line))

    Switch.verdict = verdict
    return register(env_id)(Switch).env_id


def refused(world: str, allow: bool, folder: Path) -> str:
    task = TaskSection(worlds=(world,), allow_unaudited=allow)
    recipe = Recipe(task=task, run=RunSection(dir=str(folder / "run")))
    with pytest.raises(RecipeError) as caught, open_policy(recipe, resume=False):
        pass
    assert not (folder / "run").exists()
    return str(caught.value)


def test_without_the_key_it_is_refused_in_one_line(tmp_path: Path) -> None:
    world = switch("imported/Flagged-v0", Verdict(Audit.FLAGGED, ("minds space",)))
    said = refused(world, False, tmp_path)
    assert said == (
        "imported/Flagged-v0 is imported and its audit says flagged (minds space); "
        "set task.allow_unaudited=true to train on it nevertheless"
    )


def test_a_blocked_one_is_refused_with_the_key_as_well(tmp_path: Path) -> None:
    world = switch("imported/Blocked-v0", Verdict(Audit.BLOCKED, ("pays for nothing",)))
    said = refused(world, True, tmp_path)
    assert said.startswith("imported/Blocked-v0 does not train: blocked (pays for nothing)")


def test_with_the_key_the_run_opens(tmp_path: Path) -> None:
    world = switch("imported/Allowed-v0", Verdict(Audit.UNAUDITED))
    task = TaskSection(worlds=(world,), allow_unaudited=True)
    recipe = Recipe(task=task, run=RunSection(dir=str(tmp_path / "run")))
    with open_policy(recipe, resume=False) as opened:
        assert opened.run.path == tmp_path / "run"
