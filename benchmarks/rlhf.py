"""RLHF: GRPO against a reward model trained on verdicts, with the verifier's success beside it.

Warm start, play, reward model, then GRPO that never sees the verifier. Says whether the learned
reward kept rising while success turned down (Gao et al. 2022, https://arxiv.org/abs/2210.10760).
Interrupted, it goes on.

python benchmarks/rlhf.py [--quick]
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from common import arguments, finish, tooldojo

from tooldojo.configs.loading import load_recipe
from tooldojo.configs.schema import Recipe
from tooldojo.training.runs.metrics import NAME, read_metrics
from tooldojo.training.session import TRAIN, Learning, Session, open_session
from tooldojo.training.stages.reward_model import (
    RewardModel,
    load_reward_model,
    with_learned_reward,
)
from tooldojo.verifiers.intervals import wilson

WINDOW = 4  # steps whose trajectories are pooled into one rate


def main() -> None:
    """All stages; a finished one is not repeated."""
    args = arguments(__doc__ or "")
    out = args.out / ("rlhf-quick" if args.quick else "rlhf")
    demos, tasks, steps = (400, 48, 12) if args.quick else (600, 256, 80)
    reward = train_reward_model(out, demos, tasks)
    recipe = load_recipe(
        "quickstart",
        [
            f"policy.model={json.dumps(str(out / 'sft/adapters/sft'))}",
            f"run.dir={json.dumps(str(out / 'grpo'))}",
            f"learner.steps={steps}",
            "learner.learning_rate=3e-4",
            "objective.groups=8",
            "objective.dynamic_sampling=false",
            "objective.call_error_penalty=0",
            "run.checkpoint_every=2",
        ],
    )
    optimise(recipe, out / "reward/adapters/reward")
    rows = read_metrics(out / "grpo" / NAME)
    figures = judge(rows)
    draw(rows, out / "rlhf.svg")
    finish({"reward_model": reward, **figures, "plot": str(out / "rlhf.svg")})


def train_reward_model(out: Path, demos: int, tasks: int) -> dict:
    """The warm start, its trajectories, and the reward model's figures on held-out tasks."""
    warm, played, reward = out / "sft", out / "rollout", out / "reward"
    if not (warm / "adapters/sft").exists():
        resume = ["--resume"] if (warm / "config.toml").exists() else []
        keys = (f"task.demos={demos}", "sft.eval_every=50", f"run.dir={warm}")
        tooldojo("sft", "quickstart", *keys, *resume)
    policy = str(warm / "adapters/sft")
    if not any(played.glob("*.parquet")):
        options = ("--tasks", str(tasks), "--group-size", "8", "--out", str(played))
        tooldojo("rollout", "quickstart", "--policy", policy, *options)
    if not (reward / "adapters/reward").exists():
        resume = ["--resume"] if (reward / "config.toml").exists() else []
        keys = (f"policy.model={policy}", f"run.dir={reward}", "preference.epochs=2")
        tooldojo("reward", "quickstart", *keys, "--data", str(played), *resume)
    found = json.loads((reward / "reward.json").read_text())
    kept = ("train_pairs", "held_out_pairs", "held_out_accuracy", "shorter_is_better")
    return {name: found[name] for name in kept}


def optimise(recipe: Recipe, adapter: Path) -> None:
    """GRPO on the learned reward alone; the verifier's success is only written down."""
    directory = Path(recipe.run.dir)
    if (directory / "adapters" / f"v{recipe.learner.steps + 1}").exists():
        return
    with open_session(recipe, (directory / "config.toml").exists()) as session:
        learning, model = session.start_learning(), load_reward_model(adapter)
        try:
            while learning.step < recipe.learner.steps:
                step(session, learning, model)
        finally:
            learning.metrics.close()


def step(session: Session, learning: Learning, model: RewardModel) -> None:
    """Sample, score by the reward model, update, publish."""
    batch = learning.tasks.batch(session.fleet, session.on_group)
    groups = with_learned_reward(batch.groups, model)
    rewards = [reward for group in groups for reward in group.rewards]
    live = [group for group in groups if not group.dead]
    figures = learning.learner.update(live) if live else {}
    learning.step += 1
    session.publish(learning)
    session.record_players()
    session.store.append(groups, TRAIN, learning.step - 1)
    scored = sum(len(group.scored) for group in groups)
    metrics = batch.statistics() | figures | {"reward": fmean(rewards), "scored": scored}
    learning.metrics.write(learning.step, metrics)
    print(f"step {learning.step}  learned {metrics['reward']:+.3f}  true {metrics['success']:.3f}")
    last = learning.step == session.recipe.learner.steps
    if last or learning.step % session.recipe.run.checkpoint_every == 0:
        session.checkpoint(learning)


def judge(rows: Sequence[dict]) -> dict:
    """Success by windows of steps, and whether it turned down while the learned reward rose."""
    windows = []
    for start in range(0, len(rows), WINDOW):
        part = rows[start : start + WINDOW]
        trials = sum(int(row["scored"]) for row in part)
        solved = round(sum(row["success"] * row["scored"] for row in part))
        reward = fmean(row["reward"] for row in part)
        windows.append(
            {"until": part[-1]["step"], "reward": reward, "success": asdict(wilson(solved, trials))}
        )
    best = max(windows, key=lambda window: window["success"]["rate"])
    last = windows[-1]
    turned = last["success"]["high"] < best["success"]["low"] and last["reward"] > best["reward"]
    said = (
        f"success peaks by step {best['until']} and falls while the learned reward rises"
        if turned
        else f"no turning point in {rows[-1]['step']} steps: success did not fall below its best "
        "interval while the learned reward rose"
    )
    return {"windows": windows, "turning_point": best["until"] if turned else None, "said": said}


def draw(rows: Sequence[dict], path: Path) -> None:
    """Learned reward and true success over steps, each with its own axis."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure((7, 4), layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    steps = [row["step"] for row in rows]
    left.plot(steps, [row["reward"] for row in rows], color="C0")
    right.plot(steps, [row["success"] for row in rows], color="C1")
    errors = [1.96 * math.sqrt(r["success"] * (1 - r["success"]) / r["scored"]) for r in rows]
    low = [row["success"] - error for row, error in zip(rows, errors, strict=True)]
    high = [row["success"] + error for row, error in zip(rows, errors, strict=True)]
    right.fill_between(steps, low, high, color="C1", alpha=0.2)
    left.set_xlabel("step")
    left.set_ylabel("learned reward", color="C0")
    right.set_ylabel("success by the verifier", color="C1")
    right.set_ylim(0, 1)
    FigureCanvasSVG(figure).print_svg(path)


if __name__ == "__main__":
    main()
