"""Which tasks are worded most like another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from tooldojo.envs.task import Task


def likeness(task: Task, other: Task) -> float:
    """Jaccard index of the prompts' words; 0 for two empty prompts."""
    left, right = _words(task.prompt), _words(other.prompt)
    return len(left & right) / max(1, len(left | right))


def nearest(task: Task, others: Iterable[Task]) -> Task:
    """The first of the tasks whose prompts share most words (Jaccard) with `task`'s."""
    return max(others, key=lambda other: likeness(task, other))


def by_likeness(task: Task, others: Iterable[Task]) -> list[Task]:
    """The tasks, those first whose prompts share most words (Jaccard) with `task`'s."""
    return sorted(others, key=lambda other: -likeness(task, other))


@lru_cache(maxsize=65536)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
