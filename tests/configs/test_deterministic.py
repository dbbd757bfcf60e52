"""`run.deterministic` decides keys that are left out and refuses keys that contradict it."""

from __future__ import annotations

import pytest

from tooldojo.configs.loading import RecipeError, load_recipe

EXACT = "run.deterministic=true"


def test_it_decides_what_the_recipe_leaves_out() -> None:
    recipe = load_recipe(None, [EXACT])
    assert (recipe.learner.autocast, recipe.learner.threads) == ("off", 1)
    assert (recipe.policy.dtype, recipe.rollout.engine_dtype) == ("float32", "float32")
    assert recipe.rollout.transport == "merged"
    assert load_recipe(None, [EXACT, "learner.threads=2"]).learner.threads == 2


def test_without_it_nothing_changes() -> None:
    assert load_recipe(None) == load_recipe(None, ["run.deterministic=false"])
    assert load_recipe(None).learner.autocast == "auto"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("rollout.workers", "2", "1"),
        ("rollout.eta", "1", "0"),
        ("rollout.engine_dtype", "bfloat16", "float32"),
        ("rollout.engine", "transformers", "vllm"),
        ("rollout.transport", "adapter", "merged or auto"),
        ("rollout.enforce_eager", "false", "true"),
        ("rollout.gpus_per_worker", "0.5", "0.0"),
        ("learner.autocast", "bfloat16", "off"),
        ("sft.autocast", "auto", "off"),
        ("preference.autocast", "bfloat16", "off"),
        ("learner.threads", "0", "a fixed number, 1 or more"),
        ("policy.dtype", "bfloat16", "float32"),
        ("policy.quantization", "nf4", "none"),
    ],
)
def test_a_contradiction_is_one_line(key: str, value: str, allowed: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(None, [EXACT, f"{key}={value}"])
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{key} = {value} cannot be reproduced")
    assert f"allows {allowed}; set {key}=" in line and line.endswith("or run.deterministic=false")


def test_a_judge_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"objective\.judge = a:b cannot be reproduced"):
        load_recipe(None, [EXACT, "objective.judge=a:b"])
    assert load_recipe("quickstart", ["objective.judge=a:b"]).objective.judge == "a:b"


def test_reward_weights_are_finite() -> None:
    with pytest.raises(RecipeError, match="finite number"):
        load_recipe(None, ['objective.reward_weights={"success": Infinity}'])
    with pytest.raises(RecipeError, match=r"objective\.reward_weights"):
        load_recipe(None, ["objective.reward_weights=3"])


def test_a_malformed_section_is_still_the_schema_s_error() -> None:
    with pytest.raises(RecipeError, match=r"run.deterministic = 'maybe'"):
        load_recipe(None, ["run.deterministic=maybe"])
