"""`StateTree`: a world's state as dicts and lists that know what changed in them.

Tools read and write it like plain data. What is hashed, copied or rolled back is only what changed:
each container keeps its hash, and a copy of the whole state shares every container that did not
change since. Containers of an earlier copy are tracked when they are first reached.

Invariants: the hash depends on the content alone, whatever way it was reached; a frozen copy never
changes. A container that a tool puts into the state belongs to it from the end of the call: later
changes through another reference are not seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import ItemsView, Iterable, Iterator, ValuesView
from json.encoder import encode_basestring
from typing import Any

from tooldojo.envs.snapshot import clone
from tooldojo.verifiers.canonical import canonical, canonical_text

_LARGE = 32  # entries from which on a dict's hash is a sum, so that one entry costs the same in any
_SHORT = 96  # characters up to which a container stands for itself
_MODULUS = 1 << 128


def state_digest(value: object) -> str:
    """16 hex digits: the hash of plain data, of which key order is no part; numbers as `canonical`.

    Raises:
        ValueError: for what is no plain data.
    """
    return _blake(_token(value)).hexdigest()[:16]


def compact(value: Any) -> Any:
    """A part of a state as plain data, to be read at once; shared where nothing is under change."""
    if (type(value) is TrackedDict or type(value) is TrackedList) and not value._tree.loose:
        return value.frozen()
    return value


def _blake(text: str) -> Any:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)


def _token(value: object) -> str:
    """A text that stands for a value: JSON for a leaf or what is short, else a hash, unclosed."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)  # type: ignore[arg-type]
    if kind is int:
        return int.__repr__(value)  # type: ignore[arg-type]
    if kind is float:
        return repr(canonical(value))  # type: ignore[arg-type]
    if kind is TrackedDict or kind is TrackedList:
        return value.token()  # type: ignore[union-attr]
    if isinstance(value, dict):
        parts = [_part(key, item) for key, item in value.items()]
        if len(parts) < _LARGE:
            return _small(parts)
        return _large(sum(map(_number, parts)) % _MODULUS)
    if isinstance(value, list | tuple):
        return _row(map(_token, value))
    return canonical_text(value)  # type: ignore[arg-type]


def _part(key: object, value: object) -> str:
    return f"{encode_basestring(str(key))}:{_token(value)}"


def _small(parts: Iterable[str]) -> str:
    text = ",".join(sorted(parts))
    return f"{{{text}}}" if len(text) <= _SHORT else "{" + _blake(text).hexdigest()


def _number(part: str) -> int:
    return int.from_bytes(_blake(part).digest())


def _large(total: int) -> str:
    return f"{{{total:032x}+"


def _row(tokens: Iterable[str]) -> str:
    text = ",".join(tokens)
    return f"[{text}]" if len(text) <= _SHORT else "[" + _blake(text).hexdigest()


class TrackedDict(dict):
    """A dict of a `StateTree`."""

    __slots__ = (
        "_dirty",
        "_frozen",
        "_known",
        "_loose",
        "_parts",
        "_place",
        "_total",
        "_tree",
        "_up",
    )

    def __init__(self, base: dict, tree: StateTree, up: _Node | None, place: object) -> None:
        super().__init__(base)
        self._tree, self._up, self._place = tree, up, place
        self._frozen: dict | None = base
        self._known: str | None = None  # the token, while nothing changed
        self._parts: dict[object, Any] | None = None  # by key: text, or number where there are many
        self._total = 0
        self._dirty: set[object] = set()  # keys whose part is out of date
        self._loose: set[object] = set()  # keys of plain containers that came in during this call

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        kind = type(value)
        if (kind is dict or kind is list) and key not in self._loose:
            value = _track(value, self._tree, self, key)
            dict.__setitem__(self, key, value)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._change(key)
        if isinstance(value, dict | list):
            value = _incoming(value, self, key)
            if type(value) is not TrackedDict and type(value) is not TrackedList:
                self._loose.add(key)
                self._tree.loose.append(self)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self._change(key)
        dict.__delitem__(self, key)

    def _change(self, key: Any) -> None:
        _touch(self)
        self._dirty.add(key)
        self._loose.discard(key)

    def token(self) -> str:
        """See `_token`; only parts that changed are computed."""
        if self._known is not None:
            return self._known
        large = len(self) >= _LARGE
        parts: dict[object, Any] | None = self._parts
        if parts is None or (len(parts) >= _LARGE) != large:
            parts = {key: _part(key, self._kept(key)) for key in dict.keys(self)}
            if large:
                parts = {key: _number(part) for key, part in parts.items()}
                self._total = sum(parts.values()) % _MODULUS
        else:
            for key in self._dirty:
                old = parts.pop(key, 0)
                if key in self:
                    part = _part(key, dict.__getitem__(self, key))
                    parts[key] = _number(part) if large else part
                if large:
                    self._total = (self._total - old + parts.get(key, 0)) % _MODULUS
        self._parts = parts
        self._dirty.clear()
        self._known = _large(self._total) if large else _small(parts.values())
        return self._known

    def _kept(self, key: Any) -> Any:
        """An entry; a large container is tracked, so that its hash is not computed again."""
        value = dict.__getitem__(self, key)
        return self[key] if isinstance(value, dict | list) and len(value) >= _LARGE else value

    def frozen(self) -> dict:
        """A plain copy that shares what did not change with earlier ones; nobody may change it."""
        if self._frozen is None:
            self._frozen = {key: _frozen(value) for key, value in dict.items(self)}
        return self._frozen

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if dict.__contains__(self, key) else default

    def __iter__(self) -> Iterator[Any]:  # keeps dict(self) and {**self} from passing by tracking
        return dict.__iter__(self)

    def values(self) -> Any:
        return ValuesView(self)

    def items(self) -> Any:
        return ItemsView(self)

    def pop(self, key: Any, *default: Any) -> Any:
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[Any, Any]:
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            self[key] = value

    def copy(self) -> dict:
        return {key: self[key] for key in self}

    def __or__(self, other: dict) -> dict:
        return self.copy() | dict(other)

    def __ror__(self, other: dict) -> dict:
        return dict(other) | self.copy()

    def __ior__(self, other: Any) -> TrackedDict:
        self.update(other)
        return self

    def __deepcopy__(self, memo: dict) -> dict:
        return clone(self)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return dict, (clone(self),)


class TrackedList(list):
    """A list of a `StateTree`; its hash is made from those that its items keep."""

    __slots__ = ("_frozen", "_known", "_loose", "_place", "_tree", "_up")

    def __init__(self, base: list, tree: StateTree, up: _Node | None, place: object) -> None:
        super().__init__(base)
        self._tree, self._up, self._place = tree, up, place
        self._frozen: list | None = base
        self._known: str | None = None
        self._loose: set[int] = set()  # ids of plain containers that came in during this call

    def token(self) -> str:
        """See `_token`."""
        if self._known is None:
            self._known = _row(map(_token, self))
        return self._known

    def frozen(self) -> list:
        """See `TrackedDict.frozen`."""
        if self._frozen is None:
            self._frozen = [_frozen(item) for item in list.__iter__(self)]
        return self._frozen

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        value = list.__getitem__(self, index)
        kind = type(value)
        if (kind is dict or kind is list) and id(value) not in self._loose:
            value = _track(value, self._tree, self, None)
            list.__setitem__(self, index, value)
        return value

    def __iter__(self) -> Iterator[Any]:
        place = 0
        while place < len(self):
            yield self[place]
            place += 1

    def __reversed__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self) - 1, -1, -1))

    def _in(self, value: Any) -> Any:
        if isinstance(value, dict | list):
            value = _incoming(value, self, None)
            if type(value) is not TrackedDict and type(value) is not TrackedList:
                self._loose.add(id(value))
                self._tree.loose.append(self)
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            given = list(value)
            _touch(self)
            if index.step in (None, 1):
                start, stop, _ = index.indices(len(self))
                list.__delitem__(self, slice(start, stop))
                index = slice(start, start)
            list.__setitem__(self, index, [self._in(each) for each in given])
            return
        _touch(self)
        list.__setitem__(self, index, self._in(value))

    def __delitem__(self, index: Any) -> None:
        _touch(self)
        list.__delitem__(self, index)

    def append(self, value: Any) -> None:
        _touch(self)
        list.append(self, self._in(value))

    def insert(self, index: Any, value: Any) -> None:
        _touch(self)
        list.insert(self, index, self._in(value))

    def extend(self, values: Iterable[Any]) -> None:
        for value in list(values):
            self.append(value)

    def pop(self, index: Any = -1) -> Any:
        value = self[index]
        del self[index]
        return value

    def remove(self, value: Any) -> None:
        del self[self.index(value)]

    def clear(self) -> None:
        del self[:]

    def sort(self, **how: Any) -> None:
        ordered = sorted(self, **how)
        _touch(self)
        list.__setitem__(self, slice(None), ordered)

    def reverse(self) -> None:
        _touch(self)
        list.reverse(self)

    def copy(self) -> list:
        return [*self]

    def __add__(self, other: list) -> list:
        return [*self, *other]

    def __radd__(self, other: list) -> list:
        return [*other, *self]

    def __mul__(self, times: Any) -> list:
        return self.copy() * times

    __rmul__ = __mul__

    def __iadd__(self, values: Iterable[Any]) -> TrackedList:
        self.extend(values)
        return self

    def __imul__(self, times: Any) -> TrackedList:
        self[:] = self.copy() * times
        return self

    def __deepcopy__(self, memo: dict) -> list:
        return clone(self)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return list, (clone(self),)


_Node = TrackedDict | TrackedList


class StateTree:
    """One world's state: `root`, which tools read and write, and what has been done to it.

    log: containers as they were before the call under way changed them, by id; None between calls.
    loose: where plain containers came in during a call.
    """

    def __init__(self, state: dict) -> None:
        self.log: dict[int, tuple[_Node, Any]] | None = None
        self.loose: list[_Node] = []
        self.root: Any = _track(state, self, None, None)
        self._before: tuple[Any, str] = (self.root, "")
        self._last = ("", "")  # the root's token, and the digest made of it

    def begin(self) -> None:
        """Before a call that may write: from here `rollback` and `commit` count."""
        self._before = self.root, self.digest()
        self.log = {}

    def commit(self) -> bool:
        """Keep what the call did; whether it changed anything, if only 1 to 1.0 or to True.

        Raises:
            ValueError: where it left something that is no plain data.
        """
        log, self.log = self.log or {}, None
        root, digest = self._before
        if self.digest() != digest:  # asked for in any case: it refuses what is no plain data
            return True
        near = self.root is not root or any(node != before for node, before in log.values())
        return near and clone(self.root) != _past(root, log)

    def rollback(self) -> None:
        """Undo what the call did."""
        log, self.log = self.log or {}, None
        self.root = self._before[0]
        self.loose.clear()
        for node, before in log.values():
            _restore(node, before)

    def digest(self) -> str:
        """The state's `state_digest`."""
        self._adopt()
        token = self.root.token()
        if token != self._last[0]:
            self._last = token, _blake(token).hexdigest()[:16]
        return self._last[1]

    def frozen(self) -> dict:
        """The state as plain data that shares what did not change; nobody may change it."""
        self._adopt()
        return self.root.frozen()

    def _adopt(self) -> None:
        """Track what came in as plain data."""
        if type(self.root) is not TrackedDict or self.root._tree is not self:
            self.root = _track(clone(self.root), self, None, None)
        for node in self.loose:
            items = dict.items(node) if isinstance(node, TrackedDict) else enumerate(node)
            for place, value in list(items):
                key = place if isinstance(node, TrackedDict) else id(value)
                if key in node._loose:
                    _place_in(node, place, clone(value))
            node._loose.clear()
        self.loose.clear()


def _place_in(node: _Node, place: Any, value: Any) -> None:
    if isinstance(node, TrackedDict):
        dict.__setitem__(node, place, _track(value, node._tree, node, place))
    else:
        list.__setitem__(node, place, _track(value, node._tree, node, None))


def _track(value: Any, tree: StateTree, up: _Node | None, place: object) -> _Node:
    if isinstance(value, dict):
        return TrackedDict(value, tree, up, place)
    return TrackedList(value, tree, up, place)


def _past(value: Any, log: dict[int, tuple[_Node, Any]]) -> Any:
    """What a value was before the changes in `log`, as plain data."""
    entries = log[id(value)][1] if id(value) in log else value
    if isinstance(value, TrackedDict):
        return {key: _past(item, log) for key, item in dict.items(entries)}
    if isinstance(value, TrackedList):
        return [_past(item, log) for item in list.__iter__(entries)]
    return clone(value)


def _frozen(value: Any) -> Any:
    if type(value) is TrackedDict or type(value) is TrackedList:
        return value.frozen()
    return value


def _touch(node: _Node) -> None:
    """Before a container changes: keep what it was, and let all above it know."""
    log = node._tree.log
    if log is not None and id(node) not in log:
        # dict.copy would go by way of __iter__ and track every entry
        as_is = dict(dict.items(node)) if isinstance(node, TrackedDict) else list.copy(node)
        log[id(node)] = (node, as_is)
    at: _Node | None = node
    while at is not None and (at._known is not None or at._frozen is not None):
        at._known = at._frozen = None
        if isinstance(at._up, TrackedDict):
            at._up._dirty.add(at._place)
        at = at._up


def _restore(node: _Node, before: Any) -> None:
    """Put a container's entries back; those that are containers belong to it again."""
    if isinstance(node, TrackedDict):
        dict.clear(node)
        dict.update(node, before)
        entries: Iterable[tuple[Any, Any]] = before.items()
    else:
        list.__setitem__(node, slice(None), before)
        entries = ((None, item) for item in before)
    node._loose.clear()
    for place, value in entries:
        if type(value) is TrackedDict or type(value) is TrackedList:
            value._up, value._place = node, place


def _incoming(value: Any, node: _Node, place: object) -> Any:
    """A container on its way into `node`: a tracked one moves, or is copied where one holds it."""
    if type(value) is not TrackedDict and type(value) is not TrackedList:
        return value
    if value._tree is node._tree and (
        not _held(value) or (value._up is node and place is not None and value._place == place)
    ):
        value._up, value._place = node, place
        return value
    return clone(value)


def _held(value: _Node) -> bool:
    up = value._up
    if isinstance(up, TrackedDict):
        return dict.get(up, value._place) is value
    return up is None or any(item is value for item in list.__iter__(up))
