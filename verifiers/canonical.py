"""Canonical form, hash and difference of plain-data states.

Invariant: two states are equal exactly when their canonical forms are; key order never matters, and
an integral float equals its integer (JSON has one number type).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence

from tooldojo.verifiers.records import Json

_sorted_text = json.JSONEncoder(sort_keys=True, allow_nan=False, check_circular=False).encode


def canonical(value: Json) -> Json:
    """`value` with sorted keys and one spelling per number; a NaN or infinity is refused.

    Raises:
        ValueError: for a number that JSON cannot carry, or a value that is not plain data.
    """
    if type(value) is str or type(value) is int:  # most leaves; the full ladder below is slower
        return value
    if isinstance(value, dict):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"state holds {value!r}; only finite numbers are plain data")
        rounded = round(value, 9)
        return int(rounded) if rounded.is_integer() else rounded
    raise ValueError(
        f"state holds a {type(value).__name__} ({value!r}); "
        "use dict, list, str, number, bool or None"
    )


def canonical_text(value: Json) -> str:
    """The canonical form as compact JSON text."""
    return json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":"))


def content_hash(value: Json) -> str:
    """64-bit hex digest of the canonical form."""
    return text_hash(canonical_text(value))


def text_hash(text: str) -> str:
    """64-bit hex digest of a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def differences(actual: Json, expected: Json, ignore: Sequence[str] = ()) -> Iterator[str]:
    """Paths and values where two states differ: `orders.W1.status: 'open', expected 'closed'`.

    `ignore` holds dotted patterns in which `*` stands for one path element.
    """
    if _spelt_alike(actual, expected):
        return
    patterns = [pattern.split(".") for pattern in ignore]
    yield from _walk(canonical(actual), canonical(expected), [], patterns)


def _spelt_alike(actual: Json, expected: Json) -> bool:
    """Whether two states have the same JSON text, keys sorted: quick to tell, and then they are
    equal. Others may be as well."""
    try:
        return _sorted_text(actual) == _sorted_text(expected)
    except (TypeError, ValueError):  # no plain data; the canonical form says what is wrong
        return False


def _walk(actual: Json, expected: Json, path: list[str], ignore: list[list[str]]) -> Iterator[str]:
    if any(_matches(path, pattern) for pattern in ignore):
        return
    here = ".".join(path) or "state"
    if isinstance(actual, dict) and isinstance(expected, dict):
        for key in sorted({*actual, *expected}):
            if any(_matches([*path, key], pattern) for pattern in ignore):
                continue
            if key not in actual:
                yield f"{here}.{key}: missing"
            elif key not in expected:
                yield f"{here}.{key}: unexpected"
            else:
                yield from _walk(actual[key], expected[key], [*path, key], ignore)
    elif isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        for index, (left, right) in enumerate(zip(actual, expected, strict=True)):
            yield from _walk(left, right, [*path, str(index)], ignore)
    elif actual != expected or type(actual) is not type(expected):
        yield f"{here}: {actual!r}, expected {expected!r}"


def _matches(path: list[str], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(
        want in ("*", have) for have, want in zip(path, pattern, strict=True)
    )
