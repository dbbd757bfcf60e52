"""Each rule on made-up metrics: it speaks where it should, with its figure, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tooldojo.configs.loading import load_recipe
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.doctor import diagnose, read_symptoms
from tooldojo.training.doctor.reading import Played, Symptoms, read_played
from tooldojo.training.doctor.rules import RULES
from tooldojo.training.runs.metrics import MetricsLog
from tooldojo.training.runs.run_dir import write_recipe

STEPS = 24
Metric = Callable[[float], float]  # of the share of the run that is over, 0 to 1

HEALTHY: dict[str, Metric] = {
    "entropy": lambda x: 0.3 - 0.1 * x,
    "approx_kl": lambda x: 0.002,
    "kl": lambda x: 0.05 * x,
    "clip_fraction": lambda x: 0.01,
    "groups/dead": lambda x: 0.3,
    "success": lambda x: 0.4 + 0.4 * x,
    "reward": lambda x: 0.38 + 0.4 * x,
    "truncated": lambda x: 0.02,
    "failed": lambda x: 0.0,
    "rollout/trajectories": lambda x: 100.0,
    "mismatch_mean": lambda x: 0.001,
    "grad_norm": lambda x: 0.4,
    "loss": lambda x: 0.01,
    "tokens/sampled_per_trajectory": lambda x: 120.0,
    "seconds/step": lambda x: 10.0,
    "seconds/rollout": lambda x: 5.0,
    "seconds/learner": lambda x: 4.0,
    "val/success": lambda x: 0.4 + 0.3 * x,
    "val/success/low": lambda x: 0.35 + 0.3 * x,
    "staleness/mean": lambda x: 0.0,
    "staleness/max": lambda x: 0.0,
}
LAST = 1 - 1 / STEPS


def symptoms(**changes: Metric) -> Symptoms:
    """A healthy run of 24 steps with some metrics changed; `__` in a name stands for `/`."""
    metrics = HEALTHY | {name.replace("__", "/"): metric for name, metric in changes.items()}
    rows = [
        {"step": i + 1, **{name: metric(i / STEPS) for name, metric in metrics.items()}}
        for i in range(STEPS)
    ]
    played = Played(2400, 0, 7200, 30, 900.0, 0.0)
    return Symptoms(load_recipe(None), rows, {"rl": {"failed": {}, "tasks": 300}}, played)


def test_a_healthy_run_has_nothing_wrong() -> None:
    assert diagnose(symptoms()) == ()


CASES: list[tuple[str, dict[str, Metric], str, bool]] = [
    ("entropy_collapse", {"entropy": lambda x: 0.3 * 0.01**x}, "fell from 0.19", True),
    ("entropy_blowup", {"entropy": lambda x: 0.3 + 3 * x}, "rose from 0.613 to 2.86", True),
    ("kl_blowup", {"approx_kl": lambda x: 0.2 * x}, "by 0.171 nats per token", True),
    ("kl_blowup", {"kl": lambda x: 0.75}, "0.75 nats per token away", True),
    ("clipping", {"clip_fraction": lambda x: 0.25}, "25% of the tokens", True),
    ("dead_groups", {"groups__dead": lambda x: 0.9, "success": lambda x: 0.1 + 0.1 * x},
     "90% of the groups have equal rewards at success 0.19", True),
    ("dead_groups", {"groups__dead": lambda x: 0.9, "success": lambda x: 0.5 + 0.5 * x},
     "at success 0.93", False),
    ("truncated", {"truncated": lambda x: 0.4}, "cut off 40% of", True),
    ("failures", {"failed": lambda x: 5.0, "failed__infra": lambda x: 5.0},
     "120 of 2400 trajectories have no verdict (120 infra)", True),
    ("reward_without_success",
     {"reward": lambda x: 0.2 + 0.6 * x, "success": lambda x: 0.6 - 0.4 * x},
     "reward rose from 0.26 to 0.71 while success fell from 0.56 to 0.26", True),
    ("overfitting", {"val__success": lambda x: 0.7 - 0.4 * x},
     f"fell from 0.70 to {0.7 - 0.4 * LAST:.2f}", True),
    ("mismatch", {"mismatch_mean": lambda x: 0.1}, "differ by 0.1 nats per token", True),
    ("gradient_spikes", {"grad_norm": lambda x: 8.0 if x == 0.5 else 0.4},
     "reached 8, 20 times its median", False),
    ("noisy_gradient",
     {"grad_signal": lambda x: 0.01, "grad_noise": lambda x: 10, "groups__trained": lambda x: 16},
     "step of 16 groups is mostly noise: for as much signal as noise it takes about 1,000", False),
    ("no_progress", {"success": lambda x: 0.5}, "from 0.50 to 0.50 in 24 steps", False),
    ("growing_length",
     {"tokens__sampled_per_trajectory": lambda x: 100 + 200 * x, "success": lambda x: 0.6},
     "grew from 121 to 271 sampled tokens", True),
    ("staleness", {"staleness__max": lambda x: 2.0},
     "up to 2 versions old; rollout.eta allows 0", True),
    ("bottleneck", {"seconds__rollout": lambda x: 8.0, "seconds__learner": lambda x: 1.0},
     "rollout 80 % of the step", False),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "changes", "figure", "problem"), CASES)
def test_a_rule_speaks_with_its_figure(
    rule: str, changes: dict[str, Metric], figure: str, problem: bool
) -> None:
    found = {finding.rule: finding for finding in diagnose(symptoms(**changes))}
    assert rule in found, found
    assert figure in found[rule].seen
    assert found[rule].problem is problem and found[rule].advice
    assert not {name for name, each in found.items() if each.problem} - {rule}


def changed(base: Symptoms, **fields: object) -> Symptoms:
    names = ("recipe", "metrics", "evaluations", "played")
    values = {name: fields.get(name, getattr(base, name)) for name in names}
    return Symptoms(**values)  # type: ignore[arg-type]


def test_what_trajectories_and_evaluations_say() -> None:
    base = symptoms()
    bad = changed(base, played=Played(2400, 8, 1000, 150, 900.0, 1800.0))
    found = {finding.rule: finding for finding in diagnose(bad)}
    assert found.keys() == {"malformed", "failures_by_length"}
    assert found["malformed"].seen.startswith("150 of 1000 training turns")
    assert "are 1800 tokens long in the median, the others 900" in found["failures_by_length"].seen
    short = changed(base, evaluations={"rl": {"failed": {"infra": 9}, "tasks": 300}})
    assert [f.seen for f in diagnose(short)] == [
        "evaluation 'rl' has 9 of 300 tasks without a verdict"
    ]


def test_numbers_that_were_not_finite_are_named_by_step() -> None:
    base = symptoms()
    rows = [dict(row) for row in base.metrics]
    rows[6]["loss"] = None  # type: ignore[assignment]
    (finding,) = diagnose(changed(base, metrics=rows))
    assert (finding.rule, finding.seen) == ("not_finite", "loss was not finite at step 7")


def test_every_rule_has_a_case() -> None:
    elsewhere = {
        "malformed", "failures_by_length", "evaluation_failures", "not_finite", "nothing_trained",
    }  # fmt: skip
    assert {rule.__name__ for rule in RULES} == {case[0] for case in CASES} | elsewhere


def test_an_untrained_run_is_no_problem_and_a_folder_without_a_run_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(RuntimeError, match="holds no run"):
        read_symptoms(tmp_path)
    write_recipe(tmp_path / "config.toml", load_recipe(None))
    (finding,) = diagnose(read_symptoms(tmp_path))
    assert (finding.rule, finding.problem) == ("nothing_trained", False)


def test_a_run_directory_is_read(tmp_path: Path) -> None:
    write_recipe(tmp_path / "config.toml", load_recipe(None, ["rollout.eta=1"]))
    (tmp_path / "eval").mkdir()
    summary = {"summary": {"failed": {}, "tasks": 10}, "rows": []}
    (tmp_path / "eval" / "sft.json").write_text(json.dumps(summary))
    with MetricsLog(tmp_path) as log:
        for step in range(1, 9):
            log.write(step, {"entropy": 1.0, "loss": float("nan") if step == 8 else 0.1})
    read = read_symptoms(tmp_path)
    assert read.recipe.rollout.eta == 1 and read.evaluations["sft"]["tasks"] == 10
    assert len(read.values("entropy")) == 8 and len(read.values("loss")) == 7
    assert [finding.rule for finding in diagnose(read)] == ["not_finite"]


def test_training_trajectories_are_counted(
    skilled: Callable[..., LocalFleet], heldout: Callable[[int], list[Task]], tmp_path: Path
) -> None:
    issued = [IssuedTask(i, task) for i, task in enumerate(heldout(6))]
    groups = list(skilled(0.0, 1).play(issued, 1))
    store = TrajectoryStore(tmp_path)
    store.append(groups[:5], "train", 0)
    store.append(groups[5:], "rl", 0)
    counted, turns = read_played(store), [t for g in groups[:5] for t in g.trajectories]
    assert (counted.scored, counted.failed) == (5, 0)
    assert counted.turns == sum(trajectory.turns for trajectory in turns)
    bad = [t for each in turns for t in each.segments[0].turns if t.malformed is not None]
    assert counted.malformed == len(bad)
    lengths = sorted(len(trajectory.segments[0].ids_T) for trajectory in turns)
    assert counted.scored_length == lengths[2]
