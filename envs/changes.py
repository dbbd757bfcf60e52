"""Where a state changed: paths of keys and list indices, without the values.

Invariant: the paths depend on the two contents alone. A dict's entry that came or went is one path,
and so is a list whose length changed; none lies below another.
"""

from __future__ import annotations

from typing import Any

from tooldojo.envs.digest import token_of
from tooldojo.envs.snapshot import clone
from tooldojo.envs.tracked import Node, TrackedDict, TrackedList
from tooldojo.verifiers.records import Path

Log = dict[int, tuple[Node, Any]]  # containers as they were before a call, by id
_ABSENT = object()


def changed_paths(before: Any, after: Any) -> tuple[Path, ...]:
    """The paths at which two values differ, sorted; the empty path for the whole."""
    found: list[Path] = []
    _compare(before, after, (), found)
    return tuple(sorted(found))


def call_changes(was: Any, root: Any, log: Log) -> tuple[Path, ...]:
    """`changed_paths` of a call that began with the root `was` and left `root`, at the cost of what
    the call touched; to be asked before the tree's hash is, which forgets what is out of date.
    """
    found: list[Path] = []
    _collect(was, root, log, (), found)
    return tuple(sorted(found)) if len(found) > 1 else tuple(found)


def past(value: Any, log: Log) -> Any:
    """What a value was before the changes in `log`, as plain data."""
    entries = log[id(value)][1] if id(value) in log else value
    if isinstance(value, TrackedDict):
        return {key: past(item, log) for key, item in dict.items(entries)}
    if isinstance(value, TrackedList):
        return [past(item, log) for item in list.__iter__(entries)]
    return clone(value)


def _collect(was: Any, now: Any, log: Log, at: Path, found: list[Path]) -> None:
    """Goes down only where a tracked container says that something below it changed."""
    kind = type(now)
    if was is not now:
        before = past(was, log) if type(was) is TrackedDict or type(was) is TrackedList else was
        _compare(before, now, at, found)
    elif kind is TrackedDict and now._known is None:
        before = log[id(now)][1] if id(now) in log else now
        keys = now._dirty if now._parts is not None else dict.keys(before) | dict.keys(now)
        for key in keys:
            old, new = dict.get(before, key, _ABSENT), dict.get(now, key, _ABSENT)
            _collect(old, new, log, (*at, str(key)), found)
    elif kind is TrackedList and now._known is None:
        before = log[id(now)][1] if id(now) in log else now
        if len(before) != len(now):
            found.append(at)
            return
        pairs = zip(list.__iter__(before), list.__iter__(now), strict=True)
        for index, (old, new) in enumerate(pairs):
            _collect(old, new, log, (*at, str(index)), found)


def _compare(before: Any, after: Any, at: Path, found: list[Path]) -> None:
    if before is _ABSENT or after is _ABSENT:
        if before is not after:
            found.append(at)
    elif type(before) is type(after) is str:  # most changes
        if before != after:
            found.append(at)
    elif token_of(before) == token_of(after):
        return
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in dict.keys(before) | dict.keys(after):
            old, new = dict.get(before, key, _ABSENT), dict.get(after, key, _ABSENT)
            _compare(old, new, (*at, str(key)), found)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(list.__iter__(before), list.__iter__(after), strict=True)
        for index, (old, new) in enumerate(pairs):
            _compare(old, new, (*at, str(index)), found)
    else:
        found.append(at)
