"""Recall drills: rows of random tokens in which keys announce values that come again.

Owns: the rows that make attention learn to copy before there is any text to read.
Refuses: text; the drill is about token identity, so that every token of the vocabulary becomes copyable.
Invariant: loss falls only on tokens that the row itself determines (the second and later sightings of a value).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Token ids [B, T] and where the loss falls [B, T] (True on predictable tokens)."""

    ids_BT: np.ndarray
    loss_BT: np.ndarray


def recall_rows(rng: np.random.Generator, vocab: int, first: int, batch: int, length: int) -> Rows:
    """Rows that list `pairs` (key, value) and then recall them in random order until they are full.

    `first` is the lowest id used (the ones below are special tokens). A key has 1-2 tokens, a value 1-7 tokens,
    and a row draws its own two separators, so nothing can be learnt by heart.
    """
    ids = np.zeros((batch, length), dtype=np.int64)
    loss = np.zeros((batch, length), dtype=bool)
    for row in range(batch):
        tokens, marks = _one_row(rng, vocab, first, length)
        ids[row], loss[row] = tokens[:length], marks[:length]
    return Rows(ids, loss)


def _one_row(
    rng: np.random.Generator, vocab: int, first: int, length: int
) -> tuple[list[int], list[bool]]:
    """One row and its marks; sampling without replacement keeps keys apart."""
    pairs = int(rng.integers(2, max(3, length // 16)))
    low, high = (1, 3) if rng.random() < 0.4 else (2, 7)
    lengths = rng.integers(low, high + 1, pairs)
    key_size = int(rng.integers(1, 3))
    pool = (first + rng.permutation(vocab - first)[: 2 + pairs * key_size]).tolist()
    narrow = rng.random() < 0.5
    alphabet = first + rng.integers(0, vocab - first, 24 if narrow else 4096)
    assign, close = pool[0], pool[1]
    keys = [pool[2 + i * key_size : 2 + (i + 1) * key_size] for i in range(pairs)]
    values = [rng.choice(alphabet, n).tolist() for n in lengths]
    tokens: list[int] = []
    marks: list[bool] = []
    for key, value in zip(keys, values, strict=True):
        tokens += [*key, assign, *value, close]
        marks += [False] * (len(key) + len(value) + 2)
    while len(tokens) < length:
        i = int(rng.integers(pairs))
        tokens += [*keys[i], assign, *values[i], close]
        marks += [False] * (len(keys[i]) + 1) + [True] * (len(values[i]) + 1)
    return tokens, marks
