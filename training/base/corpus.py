"""The corpus: a stream of generated documents, each a function of (seed, index) alone.

Owns: the mixture of families by stage, `corpus_documents`, and the split into training and held-
out names.
Refuses: downloads, files and anything from the evaluated worlds.
Invariant: the same seed and index give the same document; held-out documents use names that
training never uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice

from tooldojo.training.base import corpus_calls as calls
from tooldojo.training.base import corpus_chain as chain
from tooldojo.training.base import corpus_choice as choice
from tooldojo.training.base import corpus_desk_requests as desk
from tooldojo.training.base import corpus_numbers as nums
from tooldojo.training.base import corpus_policy as policy
from tooldojo.training.base import corpus_queries as queries
from tooldojo.training.base.corpus_parts import Document
from tooldojo.training.base.words import Draw

FAMILIES: dict[str, Callable[[Draw], Document]] = {
    "generic": calls.generic,
    "lookup": calls.lookup,
    "parallel": calls.parallel,
    "no_tool": calls.no_tool,
    "from_text": calls.from_text,
    "act": policy.act,
    "chain": chain.chain,
    "desk": desk.desk,
    "choose": choice.choose,
    "branch": choice.branch,
    "numbers": nums.numbers,
    "copying": nums.copying,
    "prose": nums.prose,
    "filter": queries.filter_query,
    "sql": queries.sql_query,
}


class Stage(Enum):
    """A part of the training; `WEIGHTS` says which families come how often."""

    SHORT = "short"
    FULL = "full"


WEIGHTS: dict[Stage, dict[str, float]] = {
    Stage.SHORT: {
        **{"generic": 4, "lookup": 3, "copying": 4, "prose": 2, "numbers": 2},
        **{"from_text": 1, "filter": 1},
    },
    Stage.FULL: {
        **{"desk": 20, "act": 2, "chain": 2, "choose": 3, "branch": 1.5, "generic": 2, "lookup": 1},
        **{"parallel": 1, "no_tool": 1, "from_text": 0.5, "numbers": 2, "copying": 0.5},
        **{"prose": 0.5, "filter": 0.5, "sql": 2},
    },
}


def document(seed: int, index: int, stage: Stage = Stage.FULL, heldout: bool = False) -> Document:
    """Document `index` of the stream `seed`."""
    draw = Draw(f"{seed}/{index}/{stage.name}/{heldout}", heldout)
    weights = WEIGHTS[stage]
    kind = draw.choices(list(weights), list(weights.values()))[0]
    return FAMILIES[kind](draw)


def corpus_documents(
    seed: int, n: int, stage: Stage = Stage.FULL, heldout: bool = False
) -> list[Document]:
    """The first `n` documents of a stream."""
    return list(islice(stream(seed, stage, heldout), n))


def stream(seed: int, stage: Stage = Stage.FULL, heldout: bool = False) -> Iterator[Document]:
    """Documents without end."""
    index = 0
    while True:
        yield document(seed, index, stage, heldout)
        index += 1
