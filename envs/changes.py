"""Where a state changed: paths of keys and list indices, without the values.

Invariant: the paths depend on the two contents alone. A dict's entry that came or went is one path,
and so is a list whose length changed; none lies below another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tooldojo.envs.digest import token_of
from tooldojo.envs.snapshot import clone
from tooldojo.envs.tracked import Node, TrackedDict, TrackedList
from tooldojo.verifiers.records import Path

Log = dict[int, tuple[Node, Any]]  # containers as they were before a call, by id
_ABSENT = object()


def changed_paths(before: Any, after: Any) -> tuple[Path, ...]:
    """The paths at which two values differ, sorted; the empty path for the whole."""
    return tuple(sorted(_differing(before, after, ())))


def call_changes(was: Any, root: Any, log: Log) -> tuple[Path, ...]:
    """`changed_paths` of a call that began with the root `was` and left `root`, at the cost of what
    the call touched; to be asked before the tree's hash is, which forgets what is out of date.
    """
    return tuple(sorted(_changed(was, root, log, ())))


def past(value: Any, log: Log) -> Any:
    """What a value was before the changes in `log`, as plain data."""
    entries = log[id(value)][1] if id(value) in log else value
    if isinstance(value, TrackedDict):
        return {key: past(item, log) for key, item in dict.items(entries)}
    if isinstance(value, TrackedList):
        return [past(item, log) for item in list.__iter__(entries)]
    return clone(value)


def _changed(was: Any, now: Any, log: Log, at: Path) -> Iterator[Path]:
    """Goes down only where a tracked container says that something below it changed."""
    if was is not now:
        yield from _differing(past(was, log) if _tracked(was) else was, now, at)
    elif isinstance(now, TrackedDict) and now._known is None:
        before = log[id(now)][1] if id(now) in log else now
        keys = list(dict.keys(before) | dict.keys(now)) if now._parts is None else now._dirty
        for key in keys:
            old, new = dict.get(before, key, _ABSENT), dict.get(now, key, _ABSENT)
            yield from _changed(old, new, log, (*at, str(key)))
    elif isinstance(now, TrackedList) and now._known is None:
        before = log[id(now)][1] if id(now) in log else now
        if len(before) != len(now):
            yield at
            return
        pairs = zip(list.__iter__(before), list.__iter__(now), strict=True)
        for index, (old, new) in enumerate(pairs):
            yield from _changed(old, new, log, (*at, str(index)))


def _differing(before: Any, after: Any, at: Path) -> Iterator[Path]:
    if before is _ABSENT or after is _ABSENT:
        if before is not after:
            yield at
    elif token_of(before) == token_of(after):
        return
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in dict.keys(before) | dict.keys(after):
            old, new = dict.get(before, key, _ABSENT), dict.get(after, key, _ABSENT)
            yield from _differing(old, new, (*at, str(key)))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(list.__iter__(before), list.__iter__(after), strict=True)
        for index, (old, new) in enumerate(pairs):
            yield from _differing(old, new, (*at, str(index)))
    else:
        yield at


def _tracked(value: Any) -> bool:
    return isinstance(value, TrackedDict | TrackedList)
