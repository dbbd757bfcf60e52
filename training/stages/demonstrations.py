"""Verified demonstrations as token rows: rendered by the same `Chat` as rollouts, masked by
construction.

Invariant: labels are set exactly on what a policy would sample (thoughts, calls, final messages,
stop ids); prompts and tool results never carry a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Task
from tooldojo.rollouts.chat import Chat
from tooldojo.verifiers.records import Json

IGNORE = -100


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One training row: ids_T and labels_T of equal length, labels -100 where no loss is taken."""

    input_ids: list[int]
    labels: list[int]

    def extend(self, ids: Iterable[int], *, learn: bool) -> None:
        """Add tokens behind the others, with or without loss on them."""
        added = list(ids)
        self.input_ids.extend(added)
        self.labels.extend(added if learn else [IGNORE] * len(added))


def demonstration(task: Task, chat: Chat) -> TokenRow:
    """The task's gold played in its world and written down as the policy would have to write it.

    Raises:
        ValueError: when the gold does not score 1: an unverified demonstration never trains
        anybody.
    """
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": len(task.gold) + 1})
    schemas = [spec.schema for spec in world.listed_tools()]
    row = TokenRow([], [])
    row.extend(chat.prompt_ids(world.system_prompt, schemas, task.prompt), learn=False)
    for turn in task.gold:
        row.extend(chat.gold_ids(turn), learn=True)
        calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
        results, *_ = world.step({"calls": calls, "message": turn.message or ""})
        if results:
            row.extend(chat.observation_ids(results, spoken=not calls), learn=False)
    if world.score is None or not world.score.success:
        raise ValueError(f"the gold of task {task.id} does not succeed: {world.score}")
    return row


def demonstrations(tasks: Sequence[Task], chat: Chat) -> list[TokenRow]:
    """One row per task."""
    return [demonstration(task, chat) for task in tasks]


def as_columns(rows: Sequence[TokenRow]) -> dict[str, list[list[int]]]:
    """Columns as TRL's SFTTrainer takes pre-tokenised data."""
    return {"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]}


def token_counts(rows: Sequence[TokenRow]) -> dict[str, Json]:
    """How many tokens there are and how many carry loss."""
    trained = sum(label != IGNORE for row in rows for label in row.labels)
    return {"rows": len(rows), "tokens": sum(len(r.input_ids) for r in rows), "trained": trained}
