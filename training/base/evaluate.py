"""What the model gets right on held-out names, token by token under the true prefix.

Owns: exact-call, tool-choice, closing-line and whole-dialogue accuracy with Wilson intervals, by
family.
Refuses: sampling; free-running play is checked by `play`.
Invariant: a unit counts as right only if every one of its tokens is the argmax.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from tooldojo.training.base.corpus_parts import Document
from tooldojo.training.base.data import Encoded, pad
from tooldojo.training.base.model import Network
from tooldojo.training.base.template import segments

CALL = re.compile(r"<tool_call>\n.*?\n</tool_call>", re.S)


@dataclass
class Count:
    """Right out of n."""

    right: int = 0
    n: int = 0

    def add(self, ok: bool) -> None:
        self.right += ok
        self.n += 1

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's 95 % interval of the share."""
        if not self.n:
            return 0.0, 1.0
        p, n = self.right / self.n, self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return middle - half, middle + half

    def figures(self) -> dict[str, float | int | list[float]]:
        low, high = self.interval()
        share = self.right / self.n if self.n else 0.0
        return {
            "share": round(share, 4),
            "interval_95": [round(low, 4), round(high, 4)],
            "n": self.n,
        }


Counts = dict[str, dict[str, Count]]


@dataclass(frozen=True)
class Unit:
    """Tokens [start, end) of a document that must all be right, under the name of a metric."""

    metric: str
    start: int
    end: int


@dataclass(frozen=True)
class Marked:
    """An encoded document with its units."""

    kind: str
    row: Encoded
    units: list[Unit]


def mark(document: Document, tokenizer: Tokenizer) -> Marked:
    """Token ids with the units to score: calls, names in calls, the closing line, all that was
    sampled.
    """
    ids: list[int] = []
    marks: list[bool] = []
    units: list[Unit] = []
    pieces = segments(document.messages, document.tools)
    for i, segment in enumerate(pieces):
        encoded = tokenizer.encode(segment.text)
        if segment.sampled:
            spans = []
            for match in CALL.finditer(segment.text):
                spans.append(("call", *match.span()))
                spans.append(
                    ("tool", match.start(), match.start() + match.group().index('"arguments"'))
                )
            if i >= len(pieces) - 2:
                end = len(segment.text)
                at = segment.text.rindex(document.closing)
                spans.append(("closing", at, end))
            for metric, low, high in spans:
                inside = [j for j, (a, b) in enumerate(encoded.offsets) if a < high and b > low]
                units.append(Unit(metric, len(ids) + inside[0], len(ids) + inside[-1] + 1))
        ids += encoded.ids
        marks += [segment.sampled] * len(encoded.ids)
    return Marked(document.kind, Encoded(ids, marks), units)


@torch.no_grad()
def teacher_forced(
    network: Network, tokenizer: Tokenizer, documents: Iterable[Document], tokens: int = 16384
) -> Counts:
    """Counts by family and metric; family "all" pools them."""
    marked = sorted((mark(d, tokenizer) for d in documents), key=lambda m: len(m.row.ids))
    counts: Counts = defaultdict(lambda: defaultdict(Count))
    at = 0
    while at < len(marked):
        size = max(1, tokens // len(marked[min(at + 31, len(marked) - 1)].row.ids))
        group = marked[at : at + size]
        at += size
        batch = pad([m.row for m in group])
        ids = torch.from_numpy(batch.ids_BT)
        where = torch.from_numpy(batch.where_N)
        wrong = np.zeros(ids.numel(), dtype=bool)
        hit = network(ids, where).argmax(-1) == ids.flatten()[where]
        wrong[batch.where_N] = ~hit.numpy()
        for m, row in zip(group, wrong.reshape(ids.shape), strict=True):
            for unit in m.units:
                _tally(counts, m.kind, unit.metric, not row[unit.start : unit.end].any())
            _tally(counts, m.kind, "dialogue", not row.any())
    return counts


def _tally(counts: Counts, kind: str, metric: str, ok: bool) -> None:
    counts[kind][metric].add(ok)
    counts["all"][metric].add(ok)


def table(counts: Counts) -> dict[str, dict[str, dict[str, float | int | list[float]]]]:
    """Figures ready for JSON."""
    return {kind: {m: c.figures() for m, c in row.items()} for kind, row in sorted(counts.items())}
