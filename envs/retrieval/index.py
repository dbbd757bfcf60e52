"""Ranking of articles for a query: BM25 by the library `rank_bm25`.

Formula: Lv and Zhai, Lower-Bounding Term Frequency Normalization (BM25+), CIKM 2011. Its weights
stay positive where a word stands in most of a few articles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TITLE_WEIGHT = 3  # how often a title counts


class Index:
    """An index of articles by number; equal scores are ordered by number."""

    def __init__(self, articles: Mapping[str, Mapping[str, Any]]) -> None:
        from rank_bm25 import BM25Plus  # here, so that only who searches needs it

        self._numbers = sorted(articles)
        rows = [articles[number] for number in self._numbers]
        texts = [_words(f"{row['title']} " * _TITLE_WEIGHT + row["text"]) for row in rows]
        self._ranking = BM25Plus(texts)
        self._vocabulary = [frozenset(text) for text in texts]

    def search(self, query: str, most: int) -> list[str]:
        """The best articles that share a word with the query, `most` at most."""
        words = _words(query)
        scores = self._ranking.get_scores(words).round(9).tolist()
        rated = zip(scores, self._numbers, self._vocabulary, strict=True)
        found = [(-score, number) for score, number, known in rated if known.intersection(words)]
        return [number for _, number in sorted(found)[:most]]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
