"""`tooldojo/Retrieval-v0`: the tools of an archive of articles.

State: `articles` by number, which nothing changes, and what has been `cited`. Whether a citation
belongs to the answer is left to the model, and the verifier sees it in the final state.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, ClassVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.registry import register
from tooldojo.envs.retrieval.index import Index
from tooldojo.envs.retrieval.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, state_answer_and_look

_SYSTEM = """You answer questions from an archive of articles with tools. Rules:
1. Take facts from the archive alone; search by name.
2. Of several editions on one subject, the newest that states the fact counts.
3. Cite every article that gave a value for the answer, and none that only led there.
4. If no edition states it, cite nothing; the answer is: unstated <newest edition>.
5. Opinions and forecasts are refused; what is no question is unsupported. Call nothing then; \
close with that word and the article named.
6. Repeat a call that timed out.
Close with one line: Result: <answer> <articles cited, smallest number first>"""
_FOUND = 4  # articles that a search shows


@register("tooldojo/Retrieval-v0")
class Retrieval(World):
    """An archive: search, open, find, look up, add up, cite, or say that it is not stated."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = state_answer_and_look("refused", "unsupported")
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS
    _index: Index | None = None

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    def on_load(self) -> None:
        """Forget the index; the next search builds it again."""
        self._index = None

    @tool(mutates=False, idempotent=True)
    def search_archive(self, query: str) -> str:
        """Best articles for some words."""
        if self._index is None:
            self._index = Index(self.state["articles"])
        found = self._index.search(query, _FOUND)
        return "; ".join(f"{number}: {self._title(number)}" for number in found) or "nothing"

    @tool(mutates=False, idempotent=True)
    def open_article(self, article: str) -> str:
        """Text of an article."""
        row = self._article(article)
        table = f" Table: {row['table']['of']}." if row["table"] else ""
        return f"{self._title(article)}. {row['text']}{table}"

    @tool(mutates=False, idempotent=True)
    def find_passage(self, article: str, word: str) -> str:
        """Sentences of an article with a word."""
        sentences = re.split(r"(?<=\.) ", self._article(article)["text"])
        found = [s for s in sentences if word.casefold() in re.findall(r"\w+", s.casefold())]
        return " ".join(found) or f"{word} is not in {article}"

    @tool(mutates=False, idempotent=True)
    def lookup_table(self, article: str) -> str:
        """An article's table, year by year."""
        table = self._article(article)["table"]
        if not table:
            raise ToolError(f"{article} has no table")
        rows = ", ".join(f"{year}: {value}" for year, value in table["rows"].items())
        return f"{table['of']}: {rows}"

    @tool(mutates=False, idempotent=True)
    def total_of_values(self, values: list[int]) -> int:
        """Sum of some values."""
        return sum(values)

    @tool(mutates=True)
    def cite_article(self, article: str) -> str:
        """Cite an article for the answer."""
        self._article(article)
        if article in self.state["cited"]:
            raise ToolError(f"{article} is cited already")
        self.state["cited"][article] = True
        return f"cited {article}"

    def _article(self, article: str) -> dict[str, Any]:
        if article not in self.state["articles"]:
            raise ToolError(f"no article {article}")
        return self.state["articles"][article]

    def _title(self, article: str) -> str:
        row = self._article(article)
        return f"{row['title']}, {row['kind']}, edition {row['edition']}"
