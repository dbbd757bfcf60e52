"""Settings, timeline and figures of the comparison with TRL."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from few.choose import GROUPS
from grpo_vs_trl import RATE
from trl_peer.report import compare_seed, compare_speed, promising, until_good, worst
from trl_peer.settings import PeerSettings, load_settings
from trl_peer.timeline import NAME, SPAN, Budget, Timeline

from tooldojo.configs.loading import load_recipe


def marks(seconds: list[float], kept: list[int], side: str) -> list[dict]:
    """Steps of 8 trajectories with 10 tokens each; `kept`: steps whose adapter was kept."""
    return [
        {
            "step": step,
            "seconds": end,
            "trajectories": 8 * step,
            "tokens": 80 * step,
            "reward": 0.5,
            "adapter": f"{side}/{step}" if step in kept else None,
        }
        for step, end in enumerate(seconds, 1)
    ]


OURS = {"startup_seconds": 20.0, "stolen": 0.1, "marks": marks([9, 11, 13, 15], [2, 4], "ours")}
PEER = {"startup_seconds": 5.0, "stolen": 0.2, "marks": marks([30, 38, 46, 54], [1, 3, 4], "trl")}


def curve(ours: float, peer: float) -> dict:
    """Nothing at first; this much success at the end."""
    rates = {"ours/2": 0.1, "ours/4": ours, "trl/1": 0.0, "trl/3": 0.2, "trl/4": peer}
    return {name: {"success": rate, "ci95": [0, 1], "n": 9} for name, rate in rates.items()}


def test_speed_leaves_the_first_step_out() -> None:
    figures = compare_speed(OURS, PEER)
    assert figures["ours"]["seconds_per_step"] == 2.0
    assert figures["trl"]["seconds_per_step"] == 8.0
    assert figures["ours"]["tokens_per_second"] == 40.0
    assert figures["trl"]["trajectories_per_step"] == 8.0
    assert figures["ratio"] == 4.0


def test_one_step_says_nothing_about_speed() -> None:
    with pytest.raises(ValueError, match="1 steps"):
        compare_speed(OURS | {"marks": OURS["marks"][:1]}, PEER)


@pytest.mark.parametrize(
    ("ours", "peer", "ratio", "bound"),
    [
        (0.9, 0.86, 3.6, "exact"),
        (0.9, 0.84, 40.0, "at least"),
        (0.7, 0.85, 0.09, "at most"),
        (0.7, 0.7, None, "neither side reached the target"),
    ],
)
def test_minutes_to_target(ours: float, peer: float, ratio: float | None, bound: str) -> None:
    row = compare_seed(OURS, PEER, curve(ours, peer), target=0.85, minutes=10)
    assert (row["ratio"], row["bound"]) == (ratio, bound)
    assert row["trl"]["last"]["success"] == peer
    assert row["ours"]["samples_to_target"] == (32 if ours > 0.85 else None)


@pytest.mark.parametrize("good", [[0, 3], [3], [6], []])
def test_evaluation_ends_at_the_first_that_is_good_and_has_the_last(good: list[int]) -> None:
    chain = [f"a/{step}" for step in range(7)]
    asked: list[int] = []

    def evaluate(path: str) -> dict[str, float]:
        asked.append(chain.index(path))
        return {"success": 0.9 if asked[-1] in good else 0.5}

    assert list(until_good(chain, evaluate, 0.85)) == [chain[place] for place in asked]
    first = good[0] if good else 6
    assert asked == [*range(first + 1), *([6] if first < 6 else [])]


def test_only_adapters_after_rewards_near_the_target_are_evaluated() -> None:
    steps = marks([float(i) for i in range(1, 12)], [2, 5, 6, 9, 11], "ours")
    for mark, reward in zip(steps, [0.4, *[0.7] * 8, 0.1, 0.1], strict=True):
        mark["reward"] = reward
    timeline = {"marks": steps}
    assert promising(timeline, 0.88) == ["ours/6", "ours/9", "ours/11"]
    assert promising(timeline, 0.95) == ["ours/11"]


def test_the_worst_seed_counts() -> None:
    assert worst([{"ratio": 3.0}, {"ratio": 1.5}]) == 1.5
    assert worst([{"ratio": 3.0}, {"ratio": None}]) is None


def test_timeline_keeps_adapters_and_its_own_time_out(tmp_path: Path) -> None:
    def save(folder: Path) -> None:
        folder.mkdir(parents=True)
        time.sleep(0.3)

    timeline = Timeline(tmp_path, Budget(seconds=60, steps=3, every=0.0), save)
    timeline.begin()
    assert [timeline.add(8, 80, 0.5) for _ in range(3)] == [False, False, True]
    timeline.write({"note": 1})
    record = json.loads((tmp_path / NAME).read_text())
    assert record["note"] == 1
    assert [m["trajectories"] for m in record["marks"]] == [8, 16, 24]
    assert all(Path(m["adapter"]).is_dir() for m in record["marks"])
    assert record["marks"][-1]["seconds"] < 0.3  # three times 0.3 s were not the side's


def test_timeline_ends_with_its_seconds(tmp_path: Path) -> None:
    kept: list[Path] = []
    timeline = Timeline(tmp_path, Budget(seconds=0.05, steps=10**6, every=60), kept.append)
    timeline.begin()
    assert not timeline.add(1, 1, 0.0)
    time.sleep(0.06)
    assert timeline.add(1, 1, 0.0)
    assert kept == [tmp_path / "adapters" / "00002"]  # the last one is always kept


def test_timeline_ends_where_rewards_suffice(tmp_path: Path) -> None:
    budget = Budget(seconds=60, steps=10**6, every=60, enough=0.9)
    timeline = Timeline(tmp_path, budget, Path.mkdir)
    (tmp_path / "adapters").mkdir()
    timeline.begin()
    rewards = [0.1, *[0.95] * SPAN]
    assert [timeline.add(1, 1, reward) for reward in rewards] == [*[False] * SPAN, True]


def test_the_peer_starts_from_our_recipe() -> None:
    settings, points = load_settings()
    recipe = load_recipe("quickstart", [RATE])
    objective, learner = recipe.objective, recipe.learner
    assert (settings.groups, settings.group_size) == (GROUPS, objective.group_size)
    assert settings.grpo["learning_rate"] == learner.learning_rate
    assert settings.grpo["warmup_steps"] == learner.warmup_steps
    assert settings.grpo["epsilon"] == objective.clip_low
    assert settings.grpo["epsilon_high"] == objective.clip_high
    assert settings.grpo["beta"] == objective.kl_coef
    assert points[0].varied(name="settings") == settings
    assert len({json.dumps(point.to_json()) for point in points}) == len(points)


def test_points_change_what_they_name() -> None:
    settings, points = load_settings()
    rates = {point.grpo["learning_rate"] for point in points}
    assert len(rates) == 3
    assert {(p.groups, p.group_size) for p in points} == {(4, 8), (2, 16), (8, 8)}
    assert all(p.grpo["loss_type"] == settings.grpo["loss_type"] for p in points)
    assert PeerSettings(**json.loads(json.dumps(points[3].to_json()))) == points[3]


def test_small_steps_shrink_the_micro_batch() -> None:
    settings, _ = load_settings()
    assert settings.varied(groups=2).micro_batch == 16
    with pytest.raises(ValueError, match="micro-batches of 32"):
        settings.varied(groups=5)
    with pytest.raises(ValueError, match="unknown"):
        settings.varied(engine="sglang")
