"""Keys about playing ahead: what goes together, and what is refused in one line."""

from __future__ import annotations

import pytest

from tooldojo.configs.loading import RecipeError, load_recipe


def test_over_issue_needs_room_to_run_ahead() -> None:
    section = load_recipe(
        None, ["rollout.eta=2", "rollout.over_issue=0.5", "objective.proximal=learner"]
    ).rollout
    assert (section.eta, section.over_issue) == (2, 0.5)
    with pytest.raises(RecipeError, match=r"^rollout.over_issue = 0.5 needs rollout.eta .*eta=1"):
        load_recipe(None, ["rollout.over_issue=0.5"])


@pytest.mark.parametrize(
    "bad", ["rollout.over_issue=1.5", "rollout.max_failed=2", "rollout.eta=-1"]
)
def test_values_out_of_range_are_named(bad: str) -> None:
    with pytest.raises(RecipeError, match=bad.split("=")[0]):
        load_recipe(None, ["rollout.eta=1", bad])
