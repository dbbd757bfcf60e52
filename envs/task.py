"""Tasks and where they come from: `Task`, its gold demonstration, and the `TaskSource` protocol.

Invariant: a task's id is the hash of its content, so equal content is the same task whatever seed
or parent made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import Goal, Json, Score


class Split(StrEnum):
    """Disjoint by construction. Tuning uses VAL; only evaluation reads the three test splits."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"  # new instances of combinations and wordings that training has seen
    TEST_COMBOS = "test_combos"  # goal-and-condition combinations that training never sees
    TEST_WORDINGS = "test_wordings"  # prompt wordings that training never sees


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that somebody wants made: a name and plain-data arguments."""

    name: str
    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True)
class GoldTurn:
    """One assistant turn of a demonstration: a short thought, then calls, or the final message."""

    thought: str
    calls: tuple[Call, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One problem in one world, with everything needed to play it and to judge it.

    faults: per tool, which of its calls (0-based) fail once with a transient error, to be retried.
    template, condition, wording: what kind of task it is; the held-out splits are defined on these.
    lineage: how it was made (seed path or parent task); not part of its identity.
    Nobody changes what it holds: the id is a hash of all of it, taken once.
    """

    env: str
    prompt: str
    world: dict[str, Json]
    goal: Goal
    gold: tuple[GoldTurn, ...]
    level: int
    split: Split
    template: str = ""
    condition: str = ""
    wording: int = 0
    faults: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lineage: str = ""
    _id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """16 hex digits: the hash of what the task says, not of where it came from."""
        if not self._id:
            faults: Json = {name: list(when) for name, when in self.faults.items()}
            what: Json = [self.env, self.prompt, self.world, faults, self.goal.to_json()]
            object.__setattr__(self, "_id", content_hash(what))
        return self._id

    def to_json(self) -> dict[str, Json]:
        """Plain-data form; `from_json` is its inverse."""
        gold: list[Json] = [
            {
                "thought": turn.thought,
                "calls": [{"name": c.name, "arguments": c.arguments} for c in turn.calls],
                "message": turn.message,
            }
            for turn in self.gold
        ]
        return {
            "env": self.env,
            "prompt": self.prompt,
            "world": self.world,
            "goal": self.goal.to_json(),
            "gold": gold,
            "level": self.level,
            "split": self.split.value,
            "template": self.template,
            "condition": self.condition,
            "wording": self.wording,
            "faults": {name: list(when) for name, when in self.faults.items()},
            "lineage": self.lineage,
        }

    @classmethod
    def from_json(cls, data: dict) -> Task:
        """Inverse of `to_json`."""
        gold = tuple(
            GoldTurn(
                t["thought"],
                tuple(Call(c["name"], c["arguments"]) for c in t["calls"]),
                t["message"],
            )
            for t in data["gold"]
        )
        faults = {name: tuple(when) for name, when in data["faults"].items()}
        fixed = {"goal": Goal.from_json(data["goal"]), "gold": gold, "faults": faults}
        return cls(**{**data, **fixed, "split": Split(data["split"])})

    def moved(self, split: Split) -> Task:
        """The same task under another split."""
        return replace(self, split=split)


@dataclass(frozen=True, slots=True)
class IssuedTask:
    """A task with its place in the run: `ordinal` counts the tasks a source has issued, from 0."""

    ordinal: int
    task: Task


class TaskSource(Protocol):
    """Where tasks come from; part of every checkpoint. Curricula and self-play are sources too."""

    def next(self) -> IssuedTask:
        """The next task; ordinals rise by one."""
        ...

    def feedback(self, ordinal: int, scores: Sequence[Score]) -> None:
        """Tell the source how a group went; failed trajectories are not in `scores`."""
        ...

    def state_dict(self) -> dict[str, Json]:
        """Everything needed to go on from here."""
        ...

    def load_state_dict(self, state: dict[str, Json]) -> None:
        """Go on from a `state_dict`."""
        ...
