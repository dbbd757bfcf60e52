"""Kinds of function bodies: what one is called in words, its code, and what it computes.

A body is one expression of `a` and `b`. Invariant: `Body.value` and the code agree on all whole
numbers from 0 on, and another number in the code changes a value on `Body.corners`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

NUMBERS = (2, 60)  # in bodies; the policy refuses those over 90
VALUES = (0, 99)  # of a and b


@dataclass(frozen=True, slots=True)
class Body:
    """One body. words: as a request says it. corners: arguments that show its numbers."""

    kind: str
    words: str
    code: str
    value: Callable[[int, int], int]
    corners: tuple[tuple[int, int], ...]


def _scale(k: int, _m: int) -> Body:
    return Body(
        "scale", f"a times {k} plus b", f"a * {k} + b", lambda a, b: a * k + b, ((1, 0), (7, 3))
    )


def _drop(k: int, _m: int) -> Body:
    return Body(
        "drop", f"a minus {k} times b", f"a - {k} * b", lambda a, b: a - k * b, ((0, 1), (9, 2))
    )


def _cap(k: int, _m: int) -> Body:
    return Body(
        "cap",
        f"the smaller of a and {k}",
        f"min(a, {k})",
        lambda a, b: min(a, k),
        ((999, 0), (0, 1)),
    )


def _floor(k: int, _m: int) -> Body:
    return Body(
        "floor",
        f"the larger of b and {k}",
        f"max(b, {k})",
        lambda a, b: max(b, k),
        ((0, 0), (1, 999)),
    )


def _gate(k: int, m: int) -> Body:
    return Body(
        "gate", f"b if a is above {k}, else {m}", f"b if a > {k} else {m}",
        lambda a, b: b if a > k else m, ((k, m + 1), (k + 1, m + 1), (k + 1, m + 2)),
    )  # fmt: skip


def _rest(k: int, _m: int) -> Body:
    return Body(
        "rest", f"the rest of a by {k}, plus b", f"a % {k} + b", lambda a, b: a % k + b,
        ((k, 0), (k - 1, 0), (k + 1, 3), (97, 0), (89, 0), (83, 1)),
    )  # fmt: skip


def _share(k: int, _m: int) -> Body:
    return Body(
        "share", f"how often {k} fits in a, plus b", f"a // {k} + b", lambda a, b: a // k + b,
        ((k, 0), (k - 1, 0), (9999, 0), (8888, 1)),
    )  # fmt: skip


def _gap(k: int, _m: int) -> Body:
    return Body(
        "gap", f"the gap of a and {k}, plus b", f"abs(a - {k}) + b",
        lambda a, b: abs(a - k) + b, ((0, 0), (k, 2)),
    )  # fmt: skip


_MAKERS = {
    "scale": _scale, "drop": _drop, "cap": _cap, "floor": _floor,
    "gate": _gate, "rest": _rest, "share": _share, "gap": _gap,
}  # fmt: skip
KINDS = tuple(_MAKERS)


def new_body(rng: Random, kind: str, low: int = NUMBERS[0], high: int = NUMBERS[1]) -> Body:
    """A body of a kind with numbers from `low` to `high`."""
    k, m = rng.randint(low, high), rng.randint(low, high)
    return _MAKERS[kind](k, m)


def other_body(rng: Random, body: Body) -> Body:
    """A body of the same kind with other numbers: a mistake in `body`."""
    while (other := new_body(rng, body.kind)).code == body.code:
        pass
    return other


def edges_of(body: Body) -> list[int]:
    """The ends of what an argument can be, and each number of the body with its neighbours."""
    numbers = {int(text) for text in re.findall(r"\d+", body.code)}
    return sorted({*VALUES, *(number + step for number in numbers for step in (-1, 0, 1))})
