"""A recipe's values are what the schema says: no number that is none, no switch that is a number,
no empty name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tooldojo.configs.loading import RecipeError, load_recipe, parse_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.configs.study import load_study

FLOATS = sorted(
    (section, key)
    for section, values in Recipe().model_dump().items()
    for key, value in values.items()
    if isinstance(value, float)
)
SWITCHES = sorted(
    (section, key)
    for section, values in Recipe().model_dump().items()
    for key, value in values.items()
    if isinstance(value, bool)
)


@given(st.sampled_from(FLOATS), st.sampled_from([float("inf"), float("-inf"), float("nan"), True]))
def test_every_float_is_a_finite_number(place: tuple[str, str], value: float) -> None:
    section, key = place
    with pytest.raises(RecipeError, match=rf"{section}\.{key} = .*(finite|valid) number"):
        parse_recipe({section: {key: value}})


@given(st.sampled_from(SWITCHES), st.sampled_from([0, 1, "yes", "False"]))
def test_a_switch_is_true_or_false(place: tuple[str, str], value: Any) -> None:
    section, key = place
    with pytest.raises(RecipeError, match=rf"{section}\.{key} = .*valid boolean"):
        parse_recipe({section: {key: value}})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("sft.epochs=inf", "sft.epochs = 'inf': input should be a valid number"),
        ("sft.epochs=Infinity", "sft.epochs = inf: input should be a finite number"),
        ("sft.epochs=1e9", "sft.epochs = 1000000000.0: input should be less than or equal to"),
        ("learner.learning_rate=3", "learner.learning_rate = 3: input should be less than"),
        ("policy.lora_dropout=1", "policy.lora_dropout = 1: input should be less than 1"),
        ("rollout.deadline=1e12", "rollout.deadline = 1000000000000.0: input should be less"),
        ("task.demos=true", "task.demos = True: input should be a valid integer"),
        ("task.levels=[true]", "task.levels.0 = True: input should be a valid integer"),
        ("learner.steps=2.5", "learner.steps = 2.5: input should be a valid integer"),
        ("run.dir=", "run.dir = '': string should have at least 1 character"),
        ("policy.model=", "policy.model = '': string should have at least 1 character"),
        ("task.worlds=[]", "task.worlds = []: tuple should have at least 1 item"),
    ],
)
def test_what_is_no_value_is_named(key: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(None, [key])
    assert str(caught.value).startswith(message)


def test_whole_numbers_are_numbers_and_lists_are_lists() -> None:
    keys = ["sft.epochs=3", "task.levels=[1, 2]", 'eval.transfer_worlds=["a"]']
    recipe = load_recipe(None, [*keys, 'endpoint.leave_out=["seed"]'])
    assert (recipe.sft.epochs, recipe.task.levels) == (3.0, (1, 2))
    assert (recipe.eval.transfer_worlds, recipe.endpoint.leave_out) == (("a",), ("seed",))
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe


def test_a_study_has_a_directory(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('dir = ""\n[grid]\n"run.seed" = [1]\n')
    with pytest.raises(RecipeError, match="dir: string should have at least 1 character"):
        load_study(tmp_path / "grid.toml")
