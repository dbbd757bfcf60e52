"""A run settles how policies reach its engines, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.rollouts.publish import Transport
from tooldojo.training.loop import run_training
from tooldojo.training.runs.run_dir import TRANSPORT, RunDirectory
from tooldojo.training.transport import Trial, settle_transport


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path / "run", load_recipe(None), resume=False) as opened:
        yield opened


def asking(transport: str) -> Recipe:
    return load_recipe(None, [f"rollout.transport={transport}"])


def never(recipe: Recipe, transport: Transport) -> Trial:
    raise AssertionError(f"{transport} was tried")


@pytest.mark.parametrize(
    ("asked", "chosen"), [("auto", "merged"), ("merged", "merged"), ("adapter", "adapter")]
)
def test_what_the_recipe_says_is_taken_and_put_on_record(
    run: RunDirectory, asked: str, chosen: str
) -> None:
    settled = settle_transport(asking(asked), run, never)
    assert settled.rollout.transport == chosen
    said = json.loads((run / TRANSPORT).read_text())
    assert said == {"asked": asked, "chosen": chosen, "trials": []}


@pytest.mark.parametrize(("play", "chosen"), [(3.0, "merged"), (1.0, "adapter")])
def test_the_transport_with_the_shorter_step_is_taken(
    run: RunDirectory, play: float, chosen: str
) -> None:
    def try_out(recipe: Recipe, transport: Transport) -> Trial:
        assert recipe.rollout.transport == transport
        return Trial(transport, play if transport is Transport.ADAPTER else 2.0, 0.5)

    assert settle_transport(asking("measured"), run, try_out).rollout.transport == chosen
    said = json.loads((run / TRANSPORT).read_text())
    assert [trial["play"] for trial in said["trials"]] == [2.0, play]
    assert settle_transport(asking("measured"), run, never).rollout.transport == chosen


@pytest.mark.engine
@pytest.mark.slow
def test_a_run_tries_both_and_goes_on_with_one(tmp_path: Path) -> None:
    from rich.console import Console

    keys = ["rollout.transport=measured", "learner.steps=1", f"run.dir={tmp_path / 'run'}"]
    small = ["objective.groups=2", "objective.group_size=2", "run.tensorboard=false"]
    run_training(load_recipe(None, [*keys, *small, "eval.every=0"]), False, Console(quiet=True))
    said = json.loads((tmp_path / "run" / TRANSPORT).read_text())
    assert [trial["transport"] for trial in said["trials"]] == ["merged", "adapter"]
    spent = {trial["transport"]: trial["play"] + trial["publish"] for trial in said["trials"]}
    assert said["chosen"] == min(spent, key=lambda name: spent[name])
