"""From documents to padded batches, made ahead of the training by a worker process.

Owns: tokenising with loss marks, batching by length, the shard stream.
Refuses: packing; a row is one document, so attention never crosses documents and positions start
at 0 as in serving.
Invariant: shard k of a stage is a pure function of (seed, stage, k, tokenizer), which makes
resuming exact.
"""

from __future__ import annotations

import multiprocessing as mp
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Full
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from tooldojo.training.base.corpus import Stage, document
from tooldojo.training.base.corpus_parts import Document
from tooldojo.training.base.drill import recall_rows
from tooldojo.training.base.template import SPECIALS, segments

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

SHARD_DOCUMENTS = 1536
LIMIT = {Stage.SHORT: 320, Stage.FULL: 1600}  # tokens; longer documents are left out


@dataclass(frozen=True)
class Batch:
    """Padded ids [B, T] and the flat positions of tokens under the loss [N]."""

    ids_BT: np.ndarray
    where_N: np.ndarray


@dataclass(frozen=True)
class Encoded:
    """Token ids of one document and its loss marks, both [T]."""

    ids: list[int]
    marks: list[bool]


def encode(documents: list[Document], tokenizer: Tokenizer) -> list[Encoded]:
    """Documents as ids; a mark is True on every token that the assistant learns to write."""
    pieces = [segments(d.messages, d.tools) for d in documents]
    flat = tokenizer.encode_batch_fast([s.text for parts in pieces for s in parts])
    out, at = [], 0
    for parts in pieces:
        ids: list[int] = []
        marks: list[bool] = []
        for segment in parts:
            piece = flat[at].ids
            ids += piece
            marks += [segment.sampled] * len(piece)
            at += 1
        out.append(Encoded(ids, marks))
    return out


def pad(rows: list[Encoded], multiple: int = 32) -> Batch:
    """Rows of similar length as one batch, padded on the right with id 0."""
    width = -(-max(len(r.ids) for r in rows) // multiple) * multiple
    ids = np.zeros((len(rows), width), dtype=np.int64)
    marks = np.zeros((len(rows), width), dtype=bool)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        marks[i, : len(row.ids)] = row.marks
    return Batch(ids, np.flatnonzero(marks))


def batches_of(rows: list[Encoded], tokens: int) -> list[Batch]:
    """All rows, sorted by length and cut into batches of at most `tokens` padded tokens."""
    rows = sorted(rows, key=lambda r: len(r.ids))
    out: list[Batch] = []
    group: list[Encoded] = []
    for row in rows:
        if group and (len(group) + 1) * (-(-len(row.ids) // 32) * 32) > tokens:
            out.append(pad(group))
            group = []
        group.append(row)
    return [*out, pad(group)]


def shard(seed: int, stage: Stage | None, k: int, tokenizer: Tokenizer, tokens: int) -> list[Batch]:
    """Shard `k` of a stage in training order; stage None is the pure recall drill."""
    name = stage.name if stage else "DRILL"
    rng = np.random.default_rng([seed, k, *name.encode()])
    vocab = tokenizer.get_vocab_size()
    batches: list[Batch] = []
    if stage:
        found = [document(seed, k * SHARD_DOCUMENTS + i, stage) for i in range(SHARD_DOCUMENTS)]
        rows = [r for r in encode(found, tokenizer) if len(r.ids) <= LIMIT[stage]]
        batches = batches_of(rows, tokens)
    for _ in range(len(batches) // 16 if stage else 32):
        length = int(rng.choice([64, 96, 128, 256] if not stage else [128, 256, 512]))
        repeats = float(rng.random() < 0.4)
        drill = recall_rows(
            rng, len(SPECIALS), vocab, tokens // length, length, repeats, span=length
        )
        batches.append(Batch(drill.ids_BT, np.flatnonzero(drill.loss_BT)))
    order = rng.permutation(len(batches))
    return [batches[i] for i in order]


def _work(
    queue: Queue[list[Batch]], seed: int, name: str, first: int, text: str, tokens: int
) -> None:
    """Body of the worker: shards in order, as far ahead as the queue allows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which ends us
    tokenizer = Tokenizer.from_str(text)
    parent = mp.parent_process()
    k = first
    while parent is None or parent.is_alive():
        batches = shard(seed, Stage[name] if name else None, k, tokenizer, tokens)
        while parent is None or parent.is_alive():
            try:
                queue.put(batches, timeout=5.0)
                break
            except Full:
                continue
        k += 1
    queue.cancel_join_thread()


def shards(
    seed: int, stage: Stage | None, first: int, tokenizer: Tokenizer, tokens: int
) -> Iterator[list[Batch]]:
    """Shards `first`, `first` + 1, ... of a stage; close the iterator to stop the worker."""
    context = mp.get_context("spawn")
    queue: Queue[list[Batch]] = context.Queue(maxsize=2)
    name = stage.name if stage else ""
    worker = context.Process(
        target=_work, args=(queue, seed, name, first, tokenizer.to_str(), tokens), daemon=True
    )
    worker.start()
    try:
        while True:
            yield queue.get()
    finally:
        worker.terminate()
        worker.join()
