"""One step's batch: tasks from the source, groups from the fleet, and dynamic sampling around dead
groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.task import IssuedTask, TaskSource
from tooldojo.rollouts.records import Group


class Player(Protocol):
    """What the batch is played by: a fleet of engines, or one sampler in this process."""

    def play(self, issued: Sequence[IssuedTask], group_size: int) -> Iterable[Group]:
        """Groups as they finish, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Everything played for one step. `groups` is sorted by ordinal, so the update does not depend
    on timing.
    """

    groups: tuple[Group, ...]

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
        count = max(1, len(scored))
        figures = {
            "groups/played": float(len(self.groups)),
            "groups/dead": sum(g.dead for g in self.groups) / max(1, len(self.groups)),
            "success": sum(t.score.success for t in scored if t.score) / count,
            "reward": sum(t.reward.total for t in scored if t.reward) / count,
            "truncated": sum(t.ending.truncated for t in scored) / count,
            "turns": sum(t.turns for t in scored) / count,
            "tokens/sampled": float(sum(t.sampled_tokens for t in scored)),
            "tokens/sampled_per_trajectory": sum(t.sampled_tokens for t in scored) / count,
            "failed": float(len(failed)),
        }
        for trajectory in failed:
            name = f"failed/{trajectory.ending.blame.value}"
            figures[name] = figures.get(name, 0.0) + 1
        return figures


class DynamicSampler:
    """Plays enough groups that about `groups` of them carry a signal.

    How many to play is estimated from the share of dead groups so far (exponential mean), and
    capped by `max_oversampling`; one top-up follows when fewer than half as many live groups came
    back. All live groups train: none is thrown away for being one too many, which would bias
    against slow tasks.
    """

    def __init__(
        self, section: ObjectiveSection, source: TaskSource, live_rate: float = 1.0
    ) -> None:
        self.section, self.source, self.live_rate = section, source, live_rate

    def batch(self, player: Player, on_group: Callable[[Group], None]) -> StepBatch:
        """Play one step's groups; `on_group` sees each as it finishes."""
        cap = int(
            self.section.groups
            * (self.section.max_oversampling if self.section.dynamic_sampling else 1)
        )
        wanted = self.section.groups
        if self.section.dynamic_sampling:
            wanted = min(cap, math.ceil(wanted / max(self.live_rate, 1e-3)))
        played = list(self._play(player, wanted, on_group))
        live = sum(not group.dead for group in played)
        if self.section.dynamic_sampling and live < self.section.groups / 2 and len(played) < cap:
            played += self._play(player, min(wanted, cap - len(played)), on_group)
            live = sum(not group.dead for group in played)
        self.live_rate = 0.7 * self.live_rate + 0.3 * live / len(played)
        return StepBatch(tuple(sorted(played, key=lambda group: group.ordinal)))

    def _play(
        self, player: Player, count: int, on_group: Callable[[Group], None]
    ) -> Iterator[Group]:
        issued = [self.source.next() for _ in range(count)]
        for group in player.play(issued, self.section.group_size):
            self.source.feedback(group.ordinal, [t.score for t in group.scored if t.score])
            on_group(group)
            yield group
