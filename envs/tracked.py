"""`TrackedDict` and `TrackedList`: a world's state as containers that know what changed in them.

Tools read and write them like plain data. Each keeps its token (`envs.digest`) and a frozen copy
until it changes, and tells those above it when it does; containers of an earlier copy are tracked
when they are first reached. `envs.state_tree` owns what happens at the end of a call.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, ValuesView
from typing import TYPE_CHECKING, Any

from tooldojo.envs.digest import (
    LARGE,
    MODULUS,
    Digested,
    Known,
    few,
    many,
    number_of,
    part_of,
    row,
    token_of,
)
from tooldojo.envs.snapshot import clone

if TYPE_CHECKING:
    from tooldojo.envs.state_tree import StateTree

KEEPING = 8  # entries from which on a container keeps its hash, though nobody looked into it


def compact(value: Any) -> Any:
    """A part of a state as plain data, to be read at once; shared where nothing is under change."""
    if (type(value) is TrackedDict or type(value) is TrackedList) and not value._tree.loose:
        return value.frozen()
    return value


class TrackedDict(Digested, dict):
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

    def __init__(self, base: dict, tree: StateTree, up: Node | None, place: object) -> None:
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
            value = track(value, self._tree, self, key)
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
        """See `token_of`; only parts that changed are computed."""
        if self._known is not None:
            return self._known
        large = len(self) >= LARGE
        parts: dict[object, Any] | None = self._parts
        if parts is None or (len(parts) >= LARGE) != large:
            parts = {key: part_of(key, self._kept(key)) for key in dict.keys(self)}
            if large:
                parts = {key: number_of(part) for key, part in parts.items()}
                self._total = sum(parts.values()) % MODULUS
        else:
            for key in self._dirty:
                old = parts.pop(key, 0)
                if key in self:
                    part = part_of(key, dict.__getitem__(self, key))
                    parts[key] = number_of(part) if large else part
                if large:
                    self._total = (self._total - old + parts.get(key, 0)) % MODULUS
        self._parts = parts
        self._dirty.clear()
        self._known = many(self._total) if large else few(parts.values())
        return self._known

    def _kept(self, key: Any) -> Any:
        """An entry; one of some size is tracked, so that its hash is not computed again."""
        value = dict.__getitem__(self, key)
        return self[key] if isinstance(value, dict | list) and len(value) >= KEEPING else value

    def known(self) -> Known | None:
        """The token, for trees that begin with the frozen copy; None where it is out of date."""
        if self._known is None:
            return None
        return Known(self.frozen(), self._known, dict(self._parts or {}), self._total)

    def recall(self, known: Known) -> None:
        """Take over what is known of the container that this one stands for."""
        self._known, self._parts, self._total = known.token, dict(known.parts), known.total

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


class TrackedList(Digested, list):
    """A list of a `StateTree`; its hash is made from those that its items keep."""

    __slots__ = ("_frozen", "_known", "_loose", "_place", "_tree", "_up")

    def __init__(self, base: list, tree: StateTree, up: Node | None, place: object) -> None:
        super().__init__(base)
        self._tree, self._up, self._place = tree, up, place
        self._frozen: list | None = base
        self._known: str | None = None
        self._loose: set[int] = set()  # ids of plain containers that came in during this call

    def token(self) -> str:
        """See `token_of`."""
        if self._known is None:
            self._known = row(map(token_of, self))
        return self._known

    def known(self) -> Known | None:
        """See `TrackedDict.known`."""
        return None if self._known is None else Known(self.frozen(), self._known)

    def recall(self, known: Known) -> None:
        """See `TrackedDict.recall`."""
        self._known = known.token

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
            value = track(value, self._tree, self, None)
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


Node = TrackedDict | TrackedList


def track(value: Any, tree: StateTree, up: Node | None, place: object) -> Node:
    """A container of plain data as one of `tree`, which holds it at `place` of `up`."""
    node: Node
    if isinstance(value, dict):
        node = TrackedDict(value, tree, up, place)
    else:
        node = TrackedList(value, tree, up, place)
    known = tree.known.get(id(value))
    if known is not None:
        node.recall(known)
    return node


def _frozen(value: Any) -> Any:
    if type(value) is TrackedDict or type(value) is TrackedList:
        return value.frozen()
    return value


def _touch(node: Node) -> None:
    """Before a container changes: keep what it was, and let all above it know."""
    log = node._tree.log
    if log is not None and id(node) not in log:
        # dict.copy would go by way of __iter__ and track every entry
        as_is = dict(dict.items(node)) if isinstance(node, TrackedDict) else list.copy(node)
        log[id(node)] = (node, as_is)
    at: Node | None = node
    while at is not None and (at._known is not None or at._frozen is not None):
        at._known = at._frozen = None
        if isinstance(at._up, TrackedDict):
            at._up._dirty.add(at._place)
        at = at._up


def _incoming(value: Any, node: Node, place: object) -> Any:
    """A container on its way into `node`: a tracked one moves, or is copied where one holds it."""
    if type(value) is not TrackedDict and type(value) is not TrackedList:
        return value
    if value._tree is node._tree and (
        not _held(value) or (value._up is node and place is not None and value._place == place)
    ):
        value._up, value._place = node, place
        return value
    return clone(value)


def _held(value: Node) -> bool:
    up = value._up
    if isinstance(up, TrackedDict):
        return dict.get(up, value._place) is value
    return up is None or any(item is value for item in list.__iter__(up))
