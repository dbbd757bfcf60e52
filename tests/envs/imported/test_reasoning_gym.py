"""reasoning-gym data sets as worlds, on a stand-in and, where it is installed, on the package."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tooldojo.configs.loading import RecipeError
from tooldojo.envs.gates.check import check_world
from tooldojo.envs.imported import reasoning_gym
from tooldojo.envs.imported.outside import Outside
from tooldojo.envs.registry import register, world_class
from tooldojo.envs.source import take
from tooldojo.envs.task import Split, Task
from tooldojo.envs.tools import ToolLost
from tooldojo.envs.verdict import Audit, Verdict, refuse_untrusted
from tooldojo.envs.world import VerifierCrash, World
from tooldojo.verifiers.records import StopReason

SUMS = "reasoning_gym/sums-v0"
installed = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None,
    reason="reasoning-gym is not installed; pip install 'tooldojo[reasoning-gym]'",
)


def fresh(env_id: str) -> type[World]:
    """Loaded anew: the registry would keep the world of another test's stand-in."""
    return register(env_id)(reasoning_gym.load(env_id))


def said(task: Task, message: str) -> World:
    world = world_class(task.env)()
    world.reset(options={"task": task})
    world.step({"calls": (), "message": message})
    return world


@pytest.mark.usefixtures("stand_in")
def test_a_data_set_is_a_world_that_conforms() -> None:
    fresh(SUMS)
    assert check_world(SUMS, tasks=6) == []


@pytest.mark.usefixtures("stand_in")
def test_its_own_verifier_scores_the_final_message() -> None:
    fresh(SUMS)
    task = take([SUMS], Split.TRAIN, 0, 1)[0]
    right = said(task, f" {task.gold[0].message}\n")
    assert right.score is not None and right.score.success
    assert right.evidence().gathered == {"outside_score": 1.0}
    wrong = said(task, "0")
    assert wrong.score is not None and wrong.score.value == 0.0
    assert wrong.score.why == "outside_score: the imported verifier gave 0"


@pytest.mark.usefixtures("stand_in")
def test_without_an_answer_nothing_is_asked() -> None:
    fresh(SUMS)
    world = world_class(SUMS)()
    world.reset(options={"task": take([SUMS], Split.TRAIN, 0, 1)[0]})
    score = world.finish(StopReason.MAX_TOKENS)
    assert score.value == 0.0 and world.gathered == {}


def test_tasks_depend_on_the_seed_alone(stand_in: Outside) -> None:
    fresh(SUMS)
    first = take([SUMS], Split.TEST, 3, 5)
    stand_in.close()
    assert take([SUMS], Split.TEST, 3, 5) == first


@pytest.mark.usefixtures("stand_in")
def test_splits_that_hold_nothing_back_are_empty() -> None:
    fresh(SUMS)
    with pytest.raises(LookupError, match="no task of level 1 for the split 'test_combos'"):
        take([SUMS], Split.TEST_COMBOS, 0, 1)


@pytest.mark.usefixtures("stand_in")
def test_a_data_set_without_answers_gives_no_task() -> None:
    env_id = "reasoning_gym/unstored-v0"
    fresh(env_id)
    with pytest.raises(LookupError, match="have no answer"):
        take([env_id], Split.TRAIN, 0, 1)


@pytest.mark.usefixtures("stand_in")
def test_an_item_that_comes_out_otherwise_gives_no_verdict() -> None:
    env_id = "reasoning_gym/drifting-v0"
    fresh(env_id)
    task = take([env_id], Split.TRAIN, 0, 1)[0]
    take([env_id], Split.TRAIN, 1, 70)  # so that the item must be made again
    with pytest.raises(VerifierCrash, match="no longer gives the question"):
        said(task, "0")


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("message", "failure"), [("raise", VerifierCrash), ("die", ToolLost)])
def test_a_verifier_that_fails_gives_no_verdict(message: str, failure: type[Exception]) -> None:
    env_id = "reasoning_gym/fatal-v0"
    fresh(env_id)
    task = take([env_id], Split.TRAIN, 0, 1)[0]
    with pytest.raises(failure):
        said(task, message)
    assert said(task, "0").score is not None


@pytest.mark.usefixtures("stand_in")
def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(LookupError, match="did you mean 'reasoning_gym/sums-v0'"):
        world_class("reasoning_gym/sum-v0")


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LookupError, match=r"pip install 'tooldojo\[reasoning-gym\]'"):
        world_class("reasoning_gym/never-v0")


def test_a_blocked_data_set_is_no_world() -> None:
    shipped = json.loads(reasoning_gym.VERDICTS.read_text(encoding="utf-8"))["datasets"]
    blocked = [name for name, row in shipped.items() if row["audit"] == Audit.BLOCKED]
    assert blocked and all(shipped[name]["reasons"] for name in blocked)
    with pytest.raises(LookupError, match=f"{blocked[0]}-v0 is blocked: "):
        world_class(f"reasoning_gym/{blocked[0]}-v0")


def test_verdicts_hold_for_the_version_that_was_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"a": {"audit": "passed", "reasons": []}, "b": {"audit": "blocked", "reasons": ["x"]}}
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"of": "reasoning-gym 9.9", "datasets": rows}))
    monkeypatch.setattr(reasoning_gym, "VERDICTS", path)
    reasoning_gym._shipped.cache_clear()
    try:
        assert reasoning_gym.verdict_of("a").audit is Audit.UNAUDITED
        assert reasoning_gym.verdict_of("b").audit is Audit.BLOCKED
        assert reasoning_gym.verdict_of("c").audit is Audit.UNAUDITED
        monkeypatch.setattr(reasoning_gym, "package", lambda: "reasoning-gym 9.9")
        assert reasoning_gym.verdict_of("a") == Verdict(Audit.PASSED, (), "reasoning-gym 9.9")
    finally:
        reasoning_gym._shipped.cache_clear()


@pytest.mark.parametrize("audit", [Audit.PASSED, Audit.FLAGGED, Audit.UNAUDITED])
def test_an_imported_world_trains_only_where_the_recipe_says_so(audit: Audit) -> None:
    worlds = [("tooldojo/Orders-v0", None), (SUMS, Verdict(audit, ("minds space",)))]
    with pytest.raises(RecipeError, match=r"sums-v0 .* set task.allow_unaudited=true"):
        refuse_untrusted(worlds, allowed=False)
    refuse_untrusted(worlds, allowed=True)
    refuse_untrusted(worlds[:1], allowed=False)


def test_a_blocked_world_never_trains() -> None:
    worlds = [(SUMS, Verdict(Audit.BLOCKED, ("runs the answer as code",)))]
    with pytest.raises(RecipeError, match="does not train: blocked"):
        refuse_untrusted(worlds, allowed=True)


@installed
def test_the_package_itself_plays() -> None:
    env_id = "reasoning_gym/leg_counting-v0"
    assert check_world(env_id, tasks=4) == []
