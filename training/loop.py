"""The loop: sample, score, advantage, update, publish.

Owns the order of things and what is written down after each step. Invariant: what a step trains on was sampled by
the version published before it, and a checkpoint lies between two steps, never inside one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tooldojo.training.checkpoint import Checkpoint, save_checkpoint
from tooldojo.training.metrics import StepTimings, bottleneck_line, trajectory_seconds
from tooldojo.training.sampling import StepBatch
from tooldojo.training.session import Session

OnStep = Callable[[int, dict[str, float], str], None]


def train(session: Session, on_step: OnStep = lambda step, metrics, line: None) -> None:
    """Train until the recipe's last step; every step's trajectories and figures are on disk before the next begins."""
    recipe = session.recipe
    for step in range(session.step, recipe.learner.steps):
        clock = Clock()
        with clock("rollout"):
            batch = session.tasks.batch(session.fleet, session.on_group)  # sample, score
        with clock("learner"):
            figures = session.learner.update(batch.live) if batch.live else {}  # advantage, update
        with clock("publish"):
            session.publish(step + 1)  # and prove that the engines hold it
        session.step = step + 1
        if recipe.eval.every and session.step % recipe.eval.every == 0:
            with clock("eval"):
                figures |= session.validate()
        with clock("checkpoint"):
            session.store.append(batch.groups, "train", step)
            if session.step % recipe.run.checkpoint_every == 0 or session.step == recipe.learner.steps:
                save(session)
        timings = clock.timings(batch, recipe.rollout.max_inflight)
        metrics = batch.statistics() | figures | timings.to_metrics()
        session.metrics.write(session.step, metrics)
        on_step(session.step, metrics, bottleneck_line(timings))


def save(session: Session) -> None:
    """A checkpoint between two steps: everything that the next step depends on."""
    state = Checkpoint(
        step=session.step,
        learner=session.learner.state(),
        source=session.tasks.source.state_dict(),
        sampler={"live_rate": session.tasks.live_rate},
        policy=session.current,
    )
    save_checkpoint(session.run / "state", state, keep=session.recipe.run.keep_checkpoints)


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

    def timings(self, batch: StepBatch, max_inflight: int) -> StepTimings:
        """What the step took so far."""
        trajectories = [t for group in batch.groups for t in group.trajectories]
        return StepTimings(
            time.perf_counter() - self.began,
            self.stages,
            trajectory_seconds(trajectories),
            len(batch.groups),
            len(batch.live),
            len(trajectories),
            max_inflight,
        )
