"""The loop: sample, score, advantage, update, publish.

Owns the order of things and what is written down after each step. Engines go on playing while the
learner updates when `rollout.eta` lets them run ahead. Invariant: what a step trains on was sampled
by the version published before it or one of the `eta` before that, and a checkpoint lies between
two steps: its seconds are charged to the step that follows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from tooldojo.configs.schema import Recipe, RolloutSection
from tooldojo.training.runs.metrics import StepTimings, bottleneck_line, trajectory_seconds
from tooldojo.training.runs.progress import step_reporter
from tooldojo.training.sampling import StepBatch
from tooldojo.training.session import TRAIN, Learning, Session, open_session
from tooldojo.verifiers.records import Json

OnStep = Callable[[int, dict[str, float], str], None]


def train(session: Session, learning: Learning, on_step: OnStep) -> None:
    """Train to the recipe's last step; a step's figures are on disk before the next begins."""
    recipe, learner, clock = session.recipe, learning.learner, Clock()
    while learning.step < recipe.learner.steps:
        with clock("rollout"):
            left = recipe.learner.steps - learning.step
            batch = learning.tasks.batch(learning.version, left, session.on_group)  # sample, score
        with clock("learner"):
            groups = learner.teaching(batch.groups)
            figures = learner.update(groups) if groups else {}  # advantage, update
        learning.step += 1
        with clock("publish"):
            session.publish(learning)  # and prove that the engines hold it
        if recipe.eval.every and learning.step % recipe.eval.every == 0:
            with clock("eval"):
                figures |= session.validate(learning)
        with clock("store"):
            session.record_players()
            session.store.append(batch.groups, TRAIN, learning.step - 1)
        timings = clock.timings(batch, recipe.rollout)
        metrics = figures | batch.statistics() | timings.to_metrics()
        metrics |= session.fleet.usage().to_metrics()
        learning.metrics.write(learning.step, metrics)
        on_step(learning.step, metrics, bottleneck_line(timings))
        clock = Clock()
        last = learning.step == recipe.learner.steps
        if last or learning.step % recipe.run.checkpoint_every == 0:
            with clock("checkpoint"):  # last: what it counts as done must be on disk
                session.checkpoint(learning)


def run_training(recipe: Recipe, resume: bool, console: Console) -> dict[str, Json]:
    """`tooldojo train`: the loop on the recipe's policy, fresh or from an adapter directory."""
    with open_session(recipe, resume) as session:
        learning = session.start_learning()
        try:
            with step_reporter(console, recipe.learner.steps) as report:
                train(session, learning, report)
        finally:
            learning.close()
        return {
            "dir": recipe.run.dir,
            "steps": learning.step,
            "adapter": str(Path(recipe.run.dir) / "adapters" / f"v{learning.version}"),
        }


@dataclass(slots=True)
class Clock:
    """Seconds of a step by stage."""

    began: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Charge the time inside to `stage`."""
        start = time.perf_counter()
        yield
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start

    def timings(self, batch: StepBatch, rollout: RolloutSection) -> StepTimings:
        """What the step took so far."""
        trajectories = [t for group in batch.groups for t in group.trajectories]
        return StepTimings(
            time.perf_counter() - self.began,
            self.stages,
            trajectory_seconds(trajectories),
            len(batch.groups),
            len(batch.live),
            len(trajectories),
            rollout.max_inflight,
            overlapped=rollout.eta > 0,
        )
