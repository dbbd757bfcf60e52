"""A `TaskSource` that makes new tasks out of those that its solver has met: self-play, scripted.

A proposer varies, hardens or joins earlier tasks; a proposal is issued only when its own gold is
proven to solve it, and kept only while groups solve it sometimes but not always (the edge of what
the solver can do, as in Absolute Zero, https://arxiv.org/abs/2505.03335). Refuses: goals that
nobody has played. Invariant: what comes next depends on the seed and on the scores of finished
groups, never on the order in which they finished; every task says in its lineage what it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tooldojo.envs.curriculum import kind_of
from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.snapshot import clone
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import IssuedTask, Task
from tooldojo.verifiers.records import Json, Score

FRESH, NEW = 0.4, 0.3  # shares of drawn tasks and of new proposals; the rest plays kept ones again
POOL = 64  # tasks remembered on each side; the oldest go
TRIES = 40  # draws in search of a task of the parent's kind


@dataclass
class SelfPlayTasks:
    """Tasks of `source`, and tasks made of them.

    edge: solved by some members of their last group, and played again until that ends. solved: by
    all members; what harder tasks are made of.
    """

    source: GeneratedTasks
    ordinal: int = 0
    edge: dict[str, Task] = field(default_factory=dict)
    solved: dict[str, Task] = field(default_factory=dict)
    _open: dict[int, Task] = field(default_factory=dict)
    _results: dict[int, tuple[int, int]] = field(default_factory=dict)

    def next(self) -> IssuedTask:
        """The next task."""
        self._settle()
        rng = derived_random(self.source.seed, "selfplay", self.ordinal)
        choice, task = rng.random(), None
        if choice >= FRESH and (self.edge or self.solved):
            task = self._propose(rng) if choice < FRESH + NEW or not self.edge else None
            if task is None and self.edge:
                task = self.edge[rng.choice(sorted(self.edge))]
        if task is None:
            task = self.source.next().task
        issued = IssuedTask(self.ordinal, task)
        self._open[self.ordinal] = task
        self.ordinal += 1
        return issued

    def _propose(self, rng: Random) -> Task | None:
        """A new proven task of one or two that were met, or None where none came of it."""
        known = self.edge | self.solved
        parent = known[rng.choice(sorted(known))]
        if parent.id in self.edge:
            return vary(parent, rng)
        alike = [task for task in self.solved.values() if task.env == parent.env]
        others = sorted((t for t in alike if t.id != parent.id), key=lambda task: task.id)
        proposers: list[Callable[[], Task | None]] = [lambda: harden(parent, rng)]
        if others:
            proposers.append(lambda: join(parent, rng.choice(others)))
        return rng.choice(proposers)()

    def feedback(self, ordinal: int, scores: Sequence[Score]) -> None:
        """Remember how a group went."""
        self._results[ordinal] = (sum(score.success for score in scores), len(scores))

    def _settle(self) -> None:
        """Sort finished groups into edge, solved and forgotten, in the order of their issue."""
        for ordinal in sorted(self._results):
            task = self._open.pop(ordinal)
            successes, played = self._results.pop(ordinal)
            if not played:
                continue
            for pool in (self.edge, self.solved):
                pool.pop(task.id, None)
            if successes:
                pool = self.solved if successes == played else self.edge
                pool[task.id] = task
                while len(pool) > POOL:
                    del pool[next(iter(pool))]

    def state_dict(self) -> dict[str, Json]:
        """The place in the sequence, both pools, and the tasks of groups still under way."""
        self._settle()
        return {
            "ordinal": self.ordinal,
            "drawn": self.source.ordinal,
            "edge": [task.to_json() for task in self.edge.values()],
            "solved": [task.to_json() for task in self.solved.values()],
            "open": [[ordinal, task.to_json()] for ordinal, task in self._open.items()],
        }

    def load_state_dict(self, state: dict[str, Json]) -> None:
        """Go on from a `state_dict`."""
        self.ordinal = int(state["ordinal"])  # type: ignore[arg-type]
        self.source.load_state_dict({"ordinal": state["drawn"]})
        self.edge, self.solved = (_pool(state[name]) for name in ("edge", "solved"))
        under_way = state["open"]
        assert isinstance(under_way, list)
        self._open = {place: Task.from_json(task) for place, task in under_way}  # type: ignore[misc]
        self._results = {}


def _pool(data: Json) -> dict[str, Task]:
    assert isinstance(data, list)
    tasks = [Task.from_json(each) for each in data]  # type: ignore[arg-type]
    return {task.id: task for task in tasks}


def vary(parent: Task, rng: Random) -> Task | None:
    """Another task of the parent's kind: same world, level, template and condition."""
    return _drawn(parent, parent.level, rng, "vary", lambda task: kind_of(task) == kind_of(parent))


def harden(parent: Task, rng: Random) -> Task | None:
    """A task of the next level, of the parent's template where that level has it; None at the top
    level.
    """
    above = [level for level in world_class(parent.env).levels if level > parent.level]
    if not above:
        return None

    def alike(task: Task) -> bool:
        return task.template == parent.template

    return _drawn(parent, min(above), rng, "harden", alike)


def _drawn(
    parent: Task, level: int, rng: Random, how: str, alike: Callable[[Task], bool]
) -> Task | None:
    world, seed = world_class(parent.env), rng.randrange(2**31)
    for ordinal in range(TRIES):
        task = world.make_task(seed, parent.split, level, ordinal)
        if alike(task) and task.id != parent.id:
            return replace(task, lineage=f"{how} of {parent.id}: {task.lineage}")
    return None


def join(first: Task, second: Task) -> Task | None:
    """Both requests in one task, one after the other, in a world that holds the records of both.

    None where the second demonstration alone solves it, since the first request leaves no trace,
    where the records contradict each other, where a gold call answers otherwise than in its own
    task, where the turns are too many, or where the content belongs to another split.
    """
    world = world_class(first.env)
    plain = not any(t.faults or t.goal.calls or t.goal.forbidden for t in (first, second))
    records = _merged(first.world, second.world)
    gold = (*(turn for turn in first.gold if turn.calls), *second.gold)
    if not plain or records is None or "?" in first.env or len(gold) > world.max_turns:
        return None
    draft = Draft(
        f"{first.prompt}\nThen: {second.prompt}\nClose as the second request asks.",
        records,
        gold,
        f"{first.template}+{second.template}",
        f"{first.condition}+{second.condition}",
        second.wording,
        answer=second.goal.answer,
        ignore=tuple(sorted({*first.goal.ignore, *second.goal.ignore})),
    )
    lineage = f"join of {first.id} {second.id}"
    level = max(first.level, second.level)
    task = world.task_from(draft, first.split, level, lineage)
    if task is None or _answers(task) != [*_answers(first), *_answers(second)]:
        return None
    halved = world().replay_gold(replace(task, gold=second.gold)).success
    return None if halved else task


def _answers(task: Task) -> list[str]:
    """What a task's gold calls are told, in order."""
    world = world_class(task.env)()
    world.replay_gold(task)
    return [call.result for call in world.calls]


def _merged(one: dict[str, Json], other: dict[str, Json]) -> dict[str, Json] | None:
    """Both records; None where the same place holds different values."""
    found = clone(one)
    for key, value in other.items():
        mine = found.get(key)
        if key not in found or mine == value:
            found[key] = clone(value)
        elif isinstance(mine, dict) and isinstance(value, dict):
            below = _merged(mine, value)
            if below is None:
                return None
            found[key] = below
        else:
            return None
    return found
