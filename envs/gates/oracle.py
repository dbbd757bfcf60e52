"""A second opinion on a trajectory, which shares no code with the verifiers.

It compares how a run ended with how the demonstration ended: the final state by a digest of its
own, the final message by its last line, and whether a forbidden text was written on the way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tooldojo.envs.task import Task
from tooldojo.verifiers.records import Evidence, Json, StopReason


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run came to: a digest of the final state and of what was gathered then, the last line
    said (None for no message), and whether a forbidden text was told, word for word.
    """

    state: str
    line: str | None
    told: bool = False


def ending_of(task: Task, evidence: Evidence) -> Ending:
    """How a run of `task` ended, without the paths that the goal ignores."""
    state = state_digest(evidence.world_after, task.goal.ignore)
    if evidence.gathered:
        state += state_digest(evidence.gathered)
    line = last_line(evidence.answer if _answered(evidence) else None)
    return Ending(state, line, _told(evidence, task.goal.forbidden))


def _told(evidence: Evidence, forbidden: Sequence[str]) -> bool:
    written: list[Json] = [*evidence.messages, evidence.answer]
    written += [call.arguments for call in evidence.calls]
    patterns = [r"\W+".join(map(re.escape, text.split())) for text in forbidden]
    return any(
        re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)
        for pattern in patterns
        for text in _leaves(written)
    )


def _leaves(value: Json) -> list[str]:
    """All keys and all values that are no containers, as text."""
    if isinstance(value, dict):
        return [*value, *_leaves(list(value.values()))]
    return (
        [leaf for each in value for leaf in _leaves(each)]
        if isinstance(value, list)
        else [str(value)]
    )


def _answered(evidence: Evidence) -> bool:
    return evidence.stop is StopReason.ANSWERED


def state_digest(state: Json, ignore: Sequence[str] = ()) -> str:
    """SHA-256 of the state as sorted JSON, one spelling per number, ignored paths left out."""
    text = json.dumps(_bare(state, [path.split(".") for path in ignore]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _bare(value: Json, ignore: list[list[str]]) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, dict | list):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    kept: dict[str, Json] = {}
    for key, item in items:
        rest = [path[1:] for path in ignore if path[0] in ("*", str(key))]
        if [] not in rest:
            kept[str(key)] = _bare(item, rest)
    return kept if isinstance(value, dict) else list(kept.values())


def last_line(message: str | None) -> str | None:
    """The last line that says something, in small letters, without outer marks."""
    if message is None:
        return None
    words = [line.split() for line in message.lower().split("\n") if line.split()]
    line = " ".join(words[-1]) if words else ""
    return line[:-1] if line.endswith(".") else line
