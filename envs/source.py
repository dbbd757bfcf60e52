"""Generated tasks as a `TaskSource`: worlds and levels drawn by hashed seeds, without end."""

from __future__ import annotations

from collections.abc import Sequence

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.verifiers.records import Json, Score


class GeneratedTasks:
    """Tasks of one split over one or more worlds, levels in equal shares.

    Task `ordinal` depends only on (seed, split, ordinal), so a resumed run sees the same tasks.
    """

    def __init__(
        self, worlds: Sequence[str], split: Split, seed: int, levels: Sequence[int] = ()
    ) -> None:
        if not worlds:
            raise ValueError("a task source needs at least one world; set task.worlds")
        self.classes = [world_class(reference) for reference in worlds]
        self.split, self.seed, self.levels = split, seed, tuple(levels)
        self.ordinal = 0

    def task(self, ordinal: int) -> Task:
        """The task at a place: worlds take turns, levels are shuffled within each round."""
        world = self.classes[ordinal % len(self.classes)]
        levels = [level for level in world.levels if not self.levels or level in self.levels]
        if not levels:
            had = ", ".join(map(str, world.levels)) or "none; set `levels` of the class"
            asked = f" of {', '.join(map(str, self.levels))}" if self.levels else ""
            raise LookupError(f"{world.env_id} has no level{asked}; it has {had}")
        turn, place = divmod(ordinal // len(self.classes), len(levels))
        order = derived_random(self.seed, "levels", self.split.value, turn).sample(
            levels, len(levels)
        )
        return world.make_task(self.seed, self.split, order[place], ordinal)

    def next(self) -> IssuedTask:
        """The next task."""
        issued = IssuedTask(self.ordinal, self.task(self.ordinal))
        self.ordinal += 1
        return issued

    def feedback(self, ordinal: int, scores: Sequence[Score]) -> None:
        """Uniform sampling learns nothing from scores."""

    def state_dict(self) -> dict[str, Json]:
        """The place in the sequence."""
        return {"ordinal": self.ordinal}

    def load_state_dict(self, state: dict[str, Json]) -> None:
        """Go on from a `state_dict`."""
        self.ordinal = int(state["ordinal"])  # type: ignore[arg-type]


def holding(
    worlds: Sequence[str], split: Split, seed: int, levels: Sequence[int] = ()
) -> list[str]:
    """Those of `worlds` that have tasks of a split at every chosen level; a world that holds no
    combinations or wordings back has none of those splits.
    """
    return [each for each in worlds if _holds(each, split, seed, levels)]


def _holds(world: str, split: Split, seed: int, levels: Sequence[int]) -> bool:
    source = GeneratedTasks([world], split, seed, levels)
    try:
        for ordinal in range(len(source.classes[0].levels)):
            source.task(ordinal)
    except LookupError:
        return False
    return True


def take(
    worlds: Sequence[str], split: Split, seed: int, count: int, levels: Sequence[int] = ()
) -> list[Task]:
    """The first `count` distinct tasks of a source."""
    source = GeneratedTasks(worlds, split, seed, levels)
    found: dict[str, Task] = {}
    while len(found) < count:
        if source.ordinal > 50 * count + 200:
            raise LookupError(
                f"only {len(found)} distinct {split.value} tasks in {', '.join(worlds)}; "
                f"asked for {count}"
            )
        task = source.next().task
        found.setdefault(task.id, task)
    return list(found.values())
