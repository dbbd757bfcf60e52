"""Methods fill in what a recipe leaves out; combinations that mean nothing are refused."""

from __future__ import annotations

from typing import get_args

import pytest

from tooldojo.configs.loading import RecipeError, load_recipe, parse_recipe
from tooldojo.configs.methods import METHODS
from tooldojo.configs.schema import ObjectiveSection


def test_every_method_is_a_value_of_the_key_and_can_be_honoured() -> None:
    assert set(METHODS) == set(get_args(ObjectiveSection.model_fields["method"].annotation))
    for method, keys in METHODS.items():
        section = load_recipe("quickstart", [f"objective.method={method}"]).objective
        assert section.method == method
        assert {key: getattr(section, key) for key in keys} == keys


def test_the_recipe_s_own_keys_stay() -> None:
    recipe = load_recipe(None, ["objective.method=gspo", "objective.clip_high=0.01"])
    assert (recipe.objective.clip_low, recipe.objective.clip_high) == (3e-4, 0.01)
    assert parse_recipe(recipe.model_dump()) == recipe


def test_the_default_is_the_method_that_it_names() -> None:
    assert ObjectiveSection() == ObjectiveSection(method="dapo")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["advantage=gae"], "objective.advantage = gae needs objective.credit = token or turn"),
        (["credit=token"], "objective.credit = token needs objective.advantage = gae"),
        (["discount=0.9"], "objective.discount = 0.9 needs objective.credit = turn or state"),
        (["method=ppo", "credit=state"], "objective.advantage = gae needs objective.credit"),
        (["advantage=reinforce", "credit=state"], "objective.credit = state needs objective.adv"),
        (["gae_lambda=0.9"], "objective.gae_lambda = 0.9 needs objective.advantage = gae"),
        (["value_clip=0.5"], "objective.value_clip = 0.5 needs objective.advantage = gae"),
        (["method=cispo", "dual_clip=9"], "objective.dual_clip = 9.0 needs objective.loss = clip"),
        (["dual_clip=1.1"], "objective.dual_clip = 1.1 must be 0 (off) or more than"),
        (["correction=token_mask"], "objective.correction = token_mask needs objective.proximal"),
        (["correction_max=3"], "objective.correction_max = 3.0 needs objective.correction"),
        (["kl=reward"], "objective.kl = reward has no effect with kl_coef = 0"),
        (["overlong_length=9"], "objective.overlong_length = 9 has no effect"),
        (["overlong_buffer=9"], "objective.overlong_buffer = 9 is more than"),
        (["method=toolpo", "call_error_penalty=0"], "objective.credit = tool credits penalties"),
        (["method=psr", "positive_weight=0"], "objective.positive_weight = negative_weight = 0"),
    ],
)
def test_what_cannot_be_honoured_is_one_line(keys: list[str], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("quickstart", [f"objective.{key}" for key in keys])
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
