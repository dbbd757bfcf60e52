"""What the archive's templates write gold with: a `Story` that searches, opens and cites.

Thoughts quote the question, the rules or a result seen before.
"""

from __future__ import annotations

from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn


class Story(Script):
    """A demonstration in an archive; it knows what it has cited."""

    def __init__(self) -> None:
        super().__init__()
        self._cited: list[str] = []

    def search(self, name: str) -> None:
        """Search for a subject."""
        self.do(f"I need articles about {name}, so I search.", "search_archive", query=name)

    def open(self, thought: str, article: str) -> None:
        """Open an article."""
        self.do(thought, "open_article", article=article)

    def cite(self, article: str, value: str) -> None:
        """Cite an article for a value that it gave."""
        self._cited.append(article)
        why = f"{article} gave {value}, so I cite that."
        self.do(why, "cite_article", article=article)

    def answer(self, thought: str, value: str) -> list[GoldTurn]:
        """Close with an answer and all that was cited."""
        return self.close(thought, f"Result: {value} {' '.join(sorted(self._cited))}")

    def cite_and_answer(self, article: str, what: str, value: str) -> list[GoldTurn]:
        """Cite the one article that gave the answer, and close."""
        self.cite(article, value)
        return self.answer(f"The {what} is {value}, by {article}.", value)

    def unstated(self, newest: str, what: str) -> list[GoldTurn]:
        """Close because nothing states it."""
        why = f"No edition states the {what}, so nothing is cited."
        return self.close(why, f"Result: unstated {newest}")
