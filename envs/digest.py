"""The hash of a world's state, made so that a change costs what it touched: `state_digest`.

Owns the texts that stand for parts of a state, from which containers that keep their own
(`Digested`) build theirs. Invariant: the hash depends on the content alone, key order is no part of
it, and a number has one spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any

from tooldojo.verifiers.canonical import canonical, canonical_text

LARGE = 32  # entries from which on a dict's hash is a sum, so that one entry costs the same in any
MODULUS = 1 << 128
_SHORT = 96  # characters up to which a container stands for itself


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The token of a container that does not change any more, and what a dict's is made of.

    parts, total: as `TrackedDict` has them; nobody may change them.
    """

    container: dict | list
    token: str
    parts: Mapping[object, Any] = field(default_factory=dict)
    total: int = 0


class KnownTokens(dict[int, Known]):
    """Known tokens by the `id` of the container, which is held, so that no other one gets that id.

    What is known of objects holds in this process alone, so a copy or a pickle of it is empty.
    """

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return KnownTokens, ()


class Digested:
    """A container that keeps its own token."""

    __slots__ = ()

    def token(self) -> str:
        """See `token_of`."""
        raise NotImplementedError


def state_digest(value: object) -> str:
    """16 hex digits: the hash of plain data, of which key order is no part; numbers as `canonical`.

    Raises:
        ValueError: for what is no plain data.
    """
    return shortened(token_of(value))


def shortened(token: str) -> str:
    """The digest made of a whole state's token."""
    return _blake(token).hexdigest()[:16]


def token_of(value: object) -> str:
    """A text that stands for a value: JSON for a leaf or what is short, else a hash, unclosed."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)  # type: ignore[arg-type]
    if kind is int:
        return int.__repr__(value)  # type: ignore[arg-type]
    if kind is float:
        return repr(canonical(value))  # type: ignore[arg-type]
    if isinstance(value, Digested):
        return value.token()
    if isinstance(value, dict):
        parts = [part_of(key, item) for key, item in value.items()]
        if len(parts) < LARGE:
            return few(parts)
        return many(sum(map(number_of, parts)) % MODULUS)
    if isinstance(value, list | tuple):
        return row(map(token_of, value))
    return canonical_text(value)  # type: ignore[arg-type]


def part_of(key: object, value: object) -> str:
    """The token of an entry of a dict."""
    return f"{encode_basestring(str(key))}:{token_of(value)}"


def few(parts: Iterable[str]) -> str:
    """The token of a dict with these entries, fewer than `LARGE`."""
    text = ",".join(sorted(parts))
    return f"{{{text}}}" if len(text) <= _SHORT else "{" + _blake(text).hexdigest()


def number_of(part: str) -> int:
    """An entry as a summand of a large dict's total."""
    return int.from_bytes(_blake(part).digest())


def many(total: int) -> str:
    """The token of a large dict whose entries sum up to `total`, modulo `MODULUS`."""
    return f"{{{total:032x}+"


def row(tokens: Iterable[str]) -> str:
    """The token of a list."""
    text = ",".join(tokens)
    return f"[{text}]" if len(text) <= _SHORT else "[" + _blake(text).hexdigest()


def _blake(text: str) -> Any:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
