"""One step's batch: tasks from the source, groups from the fleet, and dynamic sampling around dead
groups.

Owns how far playing may run ahead of training. Invariants: a group that began under version v is
trained on no later than version v + eta, however long it takes, so no group is ever dropped for
being slow; each task that was issued comes back in one batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.task import IssuedTask, Task, TaskSource
from tooldojo.rollouts.records import Group
from tooldojo.training.learning.staleness import check_staleness, staleness_figures
from tooldojo.verifiers.records import Json

OnGroup = Callable[[Group], None]


class Stream(Protocol):
    """Where groups are played: `rollouts.stream.GroupStream`."""

    def put(self, issued: list[IssuedTask]) -> None:
        """Add tasks to play."""
        ...

    def get(self) -> Group:
        """The next group to finish."""
        ...

    def finished(self) -> list[Group]:
        """All that have finished, without waiting."""
        ...


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Everything that one step settles. `groups` is sorted by ordinal, so the update does not
    depend on timing; version: of the policy that the step updates.
    """

    groups: tuple[Group, ...]
    version: int

    @property
    def live(self) -> tuple[Group, ...]:
        """The groups with a learning signal: rewards that differ."""
        return tuple(group for group in self.groups if not group.dead)

    def statistics(self) -> dict[str, float]:
        """Figures of the batch by their standard names; failures by class are counted, never
        averaged in.
        """
        scored = [t for g in self.groups for t in g.scored]
        failed = [t for g in self.groups for t in g.trajectories if t.score is None]
        told = [g for g in self.groups if g.scored]  # one that failed as a whole says nothing
        count = max(1, len(scored))
        figures = {
            "groups/played": float(len(self.groups)),
            "groups/dead": sum(g.dead for g in told) / max(1, len(told)),
            "success": sum(t.score.success for t in scored if t.score) / count,
            "reward": sum(t.reward.total for t in scored if t.reward) / count,
            "truncated": sum(t.ending.truncated for t in scored) / count,
            "turns": sum(t.turns for t in scored) / count,
            "tokens/sampled": float(sum(t.sampled_tokens for t in scored)),
            "tokens/sampled_per_trajectory": sum(t.sampled_tokens for t in scored) / count,
            "failed": float(len(failed)),
            **staleness_figures(self.live, self.version),
        }
        for trajectory in failed:
            name = f"failed/{trajectory.ending.blame.value}"
            figures[name] = figures.get(name, 0.0) + 1
        return figures


class Pipeline:
    """Tasks from `source` through `stream` to finished groups, each settled once.

    `played` are the finished groups that no step has taken yet, by ordinal.
    """

    def __init__(self, source: TaskSource, stream: Stream) -> None:
        self.source, self.stream = source, stream
        self.played: dict[int, Group] = {}
        self._playing: dict[int, IssuedTask] = {}
        self._began: dict[int, int] = {}  # version under which a group was issued
        self._versions: Counter[int] = Counter()  # of the groups that are being played

    @property
    def ahead(self) -> int:
        """Groups that were issued and that no step has taken."""
        return len(self._playing) + len(self.played)

    def issue(self, count: int, version: int) -> None:
        """Draw tasks and let them be played."""
        self._put([self.source.next() for _ in range(count)], version)

    def take(self, count: int, due: int, on_group: OnGroup) -> list[Group]:
        """At least `count` groups, the first issued first, and all that began under version `due`
        or earlier; waits until they have finished.
        """
        while len(self.played) < count or any(version <= due for version in self._versions):
            self._receive(self.stream.get(), on_group)
        chosen = {ordinal for ordinal in self.played if self._began[ordinal] <= due}
        rest = [ordinal for ordinal in sorted(self.played) if ordinal not in chosen]
        chosen |= set(rest[: max(0, count - len(chosen))])
        for ordinal in chosen:
            del self._began[ordinal]
        return [self.played.pop(ordinal) for ordinal in sorted(chosen)]

    def settle(self, on_group: OnGroup) -> None:
        """Fetch what has finished, without waiting."""
        for group in self.stream.finished():
            self._receive(group, on_group)

    def state_dict(self) -> list[Json]:
        """The tasks that are still being played: [ordinal, task] each."""
        return [[each.ordinal, each.task.to_json()] for each in self._playing.values()]

    def load_state_dict(self, state: Json, played: tuple[Group, ...], version: int) -> None:
        """Go on: what was being played is played again, under the same seeds; `played` waits."""
        assert isinstance(state, list)
        for group in played:
            self.played[group.ordinal] = group
            self._began[group.ordinal] = min(t.policy.version for t in group.trajectories)
        pairs = [(int(ordinal), Task.from_json(task)) for ordinal, task in state]  # type: ignore[misc,arg-type]
        self._put([IssuedTask(*pair) for pair in pairs], version)

    def _put(self, issued: list[IssuedTask], version: int) -> None:
        for each in issued:
            self._playing[each.ordinal], self._began[each.ordinal] = each, version
        self._versions += Counter({version: len(issued)})
        self.stream.put(issued)

    def _receive(self, group: Group, on_group: OnGroup) -> None:
        del self._playing[group.ordinal]
        self._versions -= Counter([self._began[group.ordinal]])  # drops those that reach 0
        self.played[group.ordinal] = group
        self.source.feedback(group.ordinal, [t.score for t in group.scored if t.score])
        on_group(group)


class HopelessRun(RuntimeError):
    """So much fails that training on what is left makes no sense."""


def check_failed(groups: Sequence[Group], most: float) -> None:
    """Refuse a step of which too much is missing.

    Raises:
        HopelessRun: with the count, the limit and the commonest reason.
    """
    members = [t for group in groups for t in group.trajectories]
    reasons = Counter(
        f"{t.ending.stop.value} in {t.env} ({t.failure.message if t.failure else 'no reason'})"
        for t in members
        if t.score is None
    )
    if reasons.total() > most * len(members):
        reason, count = reasons.most_common(1)[0]
        raise HopelessRun(
            f"{reasons.total()} of {len(members)} trajectories of a step have no verdict, more "
            f"than rollout.max_failed={most:g} allows; {count} times {reason}. Repair that and go "
            "on with --resume"
        )


class DynamicSampler:
    """Plays enough groups that about `groups` of them carry a signal.

    How many to play is estimated from the share of dead groups so far (exponential mean), and
    capped by `max_oversampling`; one top-up follows when fewer than half as many live groups came
    back. All live groups train: none is thrown away for being one too many, which would bias
    against slow tasks.

    eta: versions by which a trained token may be behind; 0 is exactly on-policy. over_issue: share
    of a batch by which playing may run ahead beyond that, to fill engines in a long tail.
    max_failed: share of a batch that may have no verdict.
    """

    def __init__(
        self,
        section: ObjectiveSection,
        pipeline: Pipeline,
        live_rate: float = 1.0,
        *,
        eta: int = 0,
        over_issue: float = 0.0,
        max_failed: float = 1.0,
    ) -> None:
        self.section, self.pipeline, self.live_rate = section, pipeline, live_rate
        self.eta, self.over_issue, self.max_failed = eta, over_issue, max_failed

    def batch(self, version: int, steps_left: int, on_group: OnGroup) -> StepBatch:
        """The groups to update policy `version` on; `on_group` sees each as it finishes.

        steps_left: this step included; the last one leaves nothing behind.

        Raises:
            StalenessError: for a token of a version that may not train here: a bug.
            HopelessRun: when too many trajectories failed.
        """
        eta = min(self.eta, steps_left - 1)
        cap = int(
            self.section.groups
            * (self.section.max_oversampling if self.section.dynamic_sampling else 1)
        )
        wanted = self.section.groups
        if self.section.dynamic_sampling:
            wanted = min(cap, math.ceil(wanted / max(self.live_rate, 1e-3)))
        played = self._play(wanted, version, eta, on_group)
        check_failed(played, self.max_failed)
        live = sum(not group.dead for group in played)
        if self.section.dynamic_sampling and live < self.section.groups / 2 and len(played) < cap:
            played += self._play(min(wanted, cap - len(played)), version, eta, on_group)
            check_failed(played, self.max_failed)
            live = sum(not group.dead for group in played)
        told = sum(bool(group.scored) for group in played)  # what failed says nothing about tasks
        if told:
            self.live_rate = 0.7 * self.live_rate + 0.3 * live / told
        check_staleness(played, version, self.eta)
        return StepBatch(tuple(sorted(played, key=lambda group: group.ordinal)), version)

    def _play(self, count: int, version: int, eta: int, on_group: OnGroup) -> list[Group]:
        """AReaL's capacity rule (arXiv 2505.24298): accepted + running < (eta + version + 1)
        * batch, here without what earlier steps have taken.
        """
        capacity = math.ceil((eta + 1 + (self.over_issue if eta else 0)) * count)
        self.pipeline.issue(max(0, capacity - self.pipeline.ahead), version)
        return self.pipeline.take(count, version - eta, on_group)

    def state_dict(self) -> dict[str, Json]:
        """The estimate, and what is being played; finished groups are `pipeline.played`."""
        return {"live_rate": self.live_rate, "playing": self.pipeline.state_dict()}

    def load_state_dict(
        self, state: dict[str, Json], played: tuple[Group, ...], version: int
    ) -> None:
        """Go on from a `state_dict` under policy `version`."""
        self.live_rate = float(state["live_rate"])  # type: ignore[arg-type]
        self.pipeline.load_state_dict(state["playing"], played, version)
