"""Recall drills: rows of random tokens in which what came before comes again.

Owns: the rows that make attention learn to copy before there is any text to read.
Refuses: text; the drill is about token identity, so that every token of the vocabulary becomes
copyable.
Invariant: loss falls only on tokens that the row itself determines (the second and later
sightings of a value).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Token ids [B, T] and where the loss falls [B, T] (True on predictable tokens)."""

    ids_BT: np.ndarray
    loss_BT: np.ndarray


def recall_rows(
    rng: np.random.Generator,
    first: int,
    end: int,
    batch: int,
    length: int,
    repeats: float,
    span: int,
) -> Rows:
    """Rows over the ids [first, end); a share `repeats` plainly repeats a passage, the others
    list and recall pairs.
    """
    ids = np.zeros((batch, length), dtype=np.int64)
    loss = np.zeros((batch, length), dtype=bool)
    for row in range(batch):
        make = _repeat if rng.random() < repeats else _pairs
        tokens, marks = make(rng, first, end, length, span)
        ids[row], loss[row] = tokens[:length], marks[:length]
    return Rows(ids, loss)


def _repeat(
    rng: np.random.Generator, first: int, end: int, length: int, span: int
) -> tuple[list[int], list[bool]]:
    """A passage without repeated tokens, over and over; from its second token on a repetition is
    determined.
    """
    size = int(rng.integers(4, max(5, min(span, length // 2)) + 1))
    passage = (first + rng.permutation(end - first)[:size]).tolist()
    tokens, marks = passage[:], [False] * size
    while len(tokens) < length:
        start = int(rng.integers(0, size - 1))
        part = passage[start : start + int(rng.integers(2, size + 1))]
        tokens += part
        marks += [False] + [True] * (len(part) - 1)
    return tokens, marks


def _pairs(
    rng: np.random.Generator, first: int, end: int, length: int, span: int
) -> tuple[list[int], list[bool]]:
    """Keys of 1-2 tokens with values of 1-7 tokens, then recalled in random order until the row
    is full.

    A row draws its own two separators, so nothing can be learnt by heart.
    """
    pairs = int(rng.integers(2, max(3, min(span, length) // 8)))
    low, high = (1, 3) if rng.random() < 0.4 else (2, 7)
    lengths = rng.integers(low, high + 1, pairs)
    key_size = int(rng.integers(1, 3))
    pool = (first + rng.permutation(end - first)[: 2 + pairs * key_size]).tolist()
    alphabet = first + rng.integers(0, end - first, 24 if rng.random() < 0.3 else 4096)
    assign, close = pool[0], pool[1]
    keys = [pool[2 + i * key_size : 2 + (i + 1) * key_size] for i in range(pairs)]
    values = [rng.choice(alphabet, n).tolist() for n in lengths]
    tokens: list[int] = []
    marks: list[bool] = []
    for key, value in zip(keys, values, strict=True):
        tokens += [*key, assign, *value, close]
        marks += [False] * (len(key) + len(value) + 2)
    # half of the rows ask from a distance, so that the key has to be looked for
    between = rng.choice(alphabet, int(rng.integers(0, 6)) if rng.random() < 0.5 else 0).tolist()
    while len(tokens) < length:
        i = int(rng.integers(pairs))
        tokens += [*keys[i], *between, assign, *values[i], close]
        marks += [False] * (len(keys[i]) + len(between) + 1) + [True] * (len(values[i]) + 1)
    return tokens, marks
