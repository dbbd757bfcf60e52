"""A `TaskSource` that prefers tasks from which a group is likely to learn something.

A group whose rewards are all equal has no advantage and trains nothing. Owns: success per kind of
task (world, level, template, condition), forgetting old results. Refuses: looking at anything but
its own scores. Invariant: what comes next depends on the seed and on the scores of finished groups,
never on the order in which they finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tooldojo.envs.seeding import derived_random
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.verifiers.records import Json, Score

FLOOR = 0.1  # chance of a kind that seems learnt or hopeless, so that it is never lost sight of
MEMORY = 0.8  # what earlier groups of a kind weigh when another one comes in
DRAWS = 20  # at most this many tasks are looked at for one that is issued


def kind_of(task: Task) -> str:
    """What tasks are told apart by."""
    return f"{task.env}/{task.level}/{task.template}/{task.condition}"


@dataclass(slots=True)
class Tally:
    """Successes among recent trajectories of a kind."""

    successes: float = 0.0
    trajectories: float = 0.0

    def signal(self, group_size: int) -> float:
        """Chance that a group of this kind has rewards that differ, from a success rate smoothed
        by one success and one failure.
        """
        rate = (self.successes + 1) / (self.trajectories + 2)
        return 1 - rate**group_size - (1 - rate) ** group_size

    def add(self, successes: int, trajectories: int) -> None:
        """One more group."""
        self.successes = MEMORY * self.successes + successes
        self.trajectories = MEMORY * self.trajectories + trajectories


@dataclass
class LearnableTasks:
    """Tasks of `source`, thinned out by the signal that their kind has given so far.

    A candidate is issued with a chance of `Tally.signal`, at least `FLOOR`; unknown kinds nearly
    always.
    """

    source: GeneratedTasks
    group_size: int
    ordinal: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    _open: dict[int, str] = field(default_factory=dict)
    _results: dict[int, tuple[int, int]] = field(default_factory=dict)

    def next(self) -> IssuedTask:
        """The next task."""
        self._settle()
        drawn = 0
        while True:
            drawn += 1
            place = self.source.ordinal
            task = self.source.next().task
            chance = self.tallies.get(kind_of(task), Tally()).signal(self.group_size)
            accepted = derived_random(self.source.seed, "accept", place).random()
            if drawn == DRAWS or accepted < max(FLOOR, chance):
                break
        issued = IssuedTask(self.ordinal, task)
        self._open[self.ordinal] = kind_of(task)
        self.ordinal += 1
        return issued

    def feedback(self, ordinal: int, scores: Sequence[Score]) -> None:
        """Remember how a group went."""
        self._results[ordinal] = (sum(score.success for score in scores), len(scores))

    def _settle(self) -> None:
        """Count finished groups in the order in which they were issued."""
        for ordinal in sorted(self._results):
            kind = self._open.pop(ordinal)
            self.tallies.setdefault(kind, Tally()).add(*self._results.pop(ordinal))

    def state_dict(self) -> dict[str, Json]:
        """The place in the sequence, the tallies, and the kinds of groups still under way."""
        self._settle()
        tallies: dict[str, Json] = {
            kind: [tally.successes, tally.trajectories] for kind, tally in self.tallies.items()
        }
        under_way: dict[str, Json] = {str(place): kind for place, kind in self._open.items()}
        return {
            "ordinal": self.ordinal,
            "drawn": self.source.ordinal,
            "tallies": tallies,
            "open": under_way,
        }

    def load_state_dict(self, state: dict[str, Json]) -> None:
        """Go on from a `state_dict`."""
        self.ordinal = int(state["ordinal"])  # type: ignore[arg-type]
        self.source.load_state_dict({"ordinal": state["drawn"]})
        tallies = state["tallies"]
        assert isinstance(tallies, dict)
        self.tallies = {kind: Tally(*map(float, pair)) for kind, pair in tallies.items()}  # type: ignore[arg-type]
        under_way = state["open"]
        assert isinstance(under_way, dict)
        self._open = {int(place): str(kind) for place, kind in under_way.items()}
        self._results = {}
