"""Which of some tasks is worded most like another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from tooldojo.envs.task import Task


def nearest(task: Task, others: Iterable[Task]) -> Task:
    """The first of the tasks whose prompts share most words (Jaccard) with `task`'s."""
    words = _words(task.prompt)
    return max(others, key=lambda other: _overlap(words, _words(other.prompt)))


@lru_cache(maxsize=65536)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard index; 0 for two empty sets."""
    return len(left & right) / max(1, len(left | right))
