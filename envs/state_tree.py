"""`StateTree`: a world's state, which a call changes, commits or rolls back.

What is hashed, copied or rolled back is only what changed: each container keeps its hash, and a
copy of the whole state shares every container that did not change since.

Invariants: the hash depends on the content alone, whatever way it was reached; a frozen copy never
changes. A container that a tool puts into the state belongs to it from the end of the call: later
changes through another reference are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tooldojo.envs.changes import call_changes, past
from tooldojo.envs.digest import KnownTokens, shortened
from tooldojo.envs.snapshot import clone
from tooldojo.envs.tracked import KEEPING, Node, TrackedDict, TrackedList, track
from tooldojo.verifiers.records import Path


class StateTree:
    """One world's state: `root`, which tools read and write, and what has been done to it.

    log: containers as they were before the call under way changed them, by id; None between calls.
    loose: where plain containers came in during a call.
    known: tokens of containers of the state that it began with.
    changed: where the last call that was committed changed the state, as `changes.changed_paths`.
    """

    def __init__(self, state: dict, known: KnownTokens | None = None) -> None:
        self.known = KnownTokens() if known is None else known
        self.log: dict[int, tuple[Node, Any]] | None = None
        self.loose: list[Node] = []
        self.changed: tuple[Path, ...] = ()
        self.root: Any = track(state, self, None, None)
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
        self._adopt()
        self.changed = call_changes(root, self.root, log)  # the digest forgets what is out of date
        if self.digest() != digest:  # asked for in any case: it refuses what is no plain data
            return True
        near = self.root is not root or any(node != before for node, before in log.values())
        return near and clone(self.root) != past(root, log)

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
            self._last = token, shortened(token)
        return self._last[1]

    def frozen(self) -> dict:
        """The state as plain data that shares what did not change; nobody may change it."""
        self._adopt()
        return self.root.frozen()

    def known_tokens(self) -> KnownTokens:
        """Tokens of the containers of `frozen()`, so that trees which begin with it hash only what
        they change.

        Raises:
            ValueError: where the state is no plain data.
        """
        self.digest()
        found, waiting = KnownTokens(), [self.root]
        while waiting:
            node = waiting.pop()
            known = node.known() if len(node) >= KEEPING or node is self.root else None
            if known is not None:
                found[id(known.container)] = known
            items = dict.values(node) if isinstance(node, TrackedDict) else list.__iter__(node)
            waiting += [each for each in items if isinstance(each, TrackedDict | TrackedList)]
        return found

    def _adopt(self) -> None:
        """Track what came in as plain data."""
        if type(self.root) is not TrackedDict or self.root._tree is not self:
            self.root = track(clone(self.root), self, None, None)
        for node in self.loose:
            items = dict.items(node) if isinstance(node, TrackedDict) else enumerate(node)
            for place, value in list(items):
                key = place if isinstance(node, TrackedDict) else id(value)
                if key in node._loose:
                    _place_in(node, place, clone(value))
            node._loose.clear()
        self.loose.clear()


def _place_in(node: Node, place: Any, value: Any) -> None:
    if isinstance(node, TrackedDict):
        dict.__setitem__(node, place, track(value, node._tree, node, place))
    else:
        list.__setitem__(node, place, track(value, node._tree, node, None))


def _restore(node: Node, before: Any) -> None:
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
