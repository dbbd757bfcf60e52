"""An evaluation under way, stored in parts so that an interrupted one goes on: `EvaluationLog`.

Owns a stage of a trajectory store while it is being evaluated. Refuses to mix: what another policy
or other seeds left under the stage's name is deleted where the caller says so, and else an error.
What ended without a verdict is deleted, to be played again. Invariant: after `with`, every finished
group is stored once.
"""

from __future__ import annotations

from collections.abc import Callable

from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.training.runs.run_dir import RunDirectoryError

PART = 64  # groups per shard: at most so many are played again after kill -9


class EvaluationLog:
    """`earlier`: the groups that an interrupted evaluation of this policy left; `add` the others.

    keep: False starts from the beginning. replace: delete what another policy or other seeds left.
    part: groups per shard. before_store: called ahead of each shard.

    Raises:
        RunDirectoryError: for rows of another policy or other seeds, unless `replace`.
    """

    def __init__(
        self,
        store: TrajectoryStore,
        stage: str,
        policy: PolicyRef,
        seed: int,
        *,
        keep: bool,
        replace: bool,
        part: int = PART,
        before_store: Callable[[], object] = lambda: None,
    ) -> None:
        self.stage, self.seed = stage, seed
        self._store, self._before_store = store, before_store
        self._pending: list[Group] = []
        self._size = part
        rows = list(store.read(stage)) if keep or not replace else []
        if any((r.trajectory.policy, r.trajectory.seed) != (policy, seed) for r in rows):
            if not replace:
                raise RunDirectoryError(
                    f"{store.directory} holds trajectories of another policy or seed under the "
                    f"stage {stage!r}, and they are not replaced; choose another stage or directory"
                )
            rows = []
        rows = rows if keep else []
        if not rows:
            store.discard_after(stage, -1)
        scored = [row for row in rows if row.trajectory.score is not None]
        self.earlier = tuple(Group(r.trajectory.ordinal, r.task, (r.trajectory,)) for r in scored)
        self._part = 1 + max((row.step for row in rows), default=-1)
        if len(scored) < len(rows):
            store.discard_after(stage, -1)
            store.append(self.earlier, stage, 0)
            self._part = 1

    def add(self, group: Group) -> None:
        """Keep a finished group."""
        self._pending.append(group)
        if len(self._pending) == self._size:
            self._write()

    def __enter__(self) -> EvaluationLog:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pending:
            self._write()

    def _write(self) -> None:
        self._before_store()
        ordered = sorted(self._pending, key=lambda group: group.ordinal)
        self._store.append(ordered, self.stage, self._part)
        self._part, self._pending = self._part + 1, []
