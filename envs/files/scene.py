"""Random file trees: folders of short text files, drawn from one generator.

Folders and files carry random numbers, so that no closing line fits two tasks. Invariant: a file
has each of its words once, and a word that a task asks for stands in no other file of its folder
but those that the task made.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tooldojo.envs.templates import Names

_FOLDERS = """
    memos scans drills almanac sketches leaflets rosters minutes annals folios
"""
_WORDS = """
    juniper walnut hazel cypress alder rowan hawthorn sycamore tamarind acacia mulberry aspen
    sequoia magnolia wisteria bramble
"""
FOLDERS, WORDS = _FOLDERS.split(), _WORDS.split()
ENDINGS = ("txt", "log", "csv")


class Scene:
    """A world under construction, and the names used in it so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.files: dict[str, dict[str, Any]] = {}
        self._names = Names()
        self._words = list(WORDS)
        rng.shuffle(self._words)

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        return {"files": self.files, "packed": {}}

    def folder(self, word: str | None = None) -> str:
        """The name of a new folder."""
        return self._names.new(
            lambda: f"{word or self.rng.choice(FOLDERS)}{self.rng.randint(100, 999)}"
        )

    def path(self, folder: str | None = None) -> str:
        """A path that no file has."""
        name = self._names.new(lambda: f"C{self.rng.randint(1000, 9999)}")
        return f"{folder or self.folder()}/{name}.{self.rng.choice(ENDINGS)}"

    def word(self) -> str:
        """A word that no file has by chance."""
        return self._words.pop()

    def number(self) -> int:
        """Any number that a line can have."""
        return self.rng.randint(100, 999)

    def file(self, folder: str | None = None, lines: Sequence[str] = (), mode: str = "open") -> str:
        """A new file of two to four lines, the given ones among them."""
        path = self.path(folder)
        used = {line.split()[0] for line in lines}
        free = [word for word in self._words[:6] if word not in used]
        more = self.rng.sample(free, max(0, self.rng.randint(2, 4) - len(lines)))
        found = [*lines, *(f"{word} {self.number()}" for word in more)]
        self.rng.shuffle(found)
        self.files[path] = {"lines": found, "mode": mode}
        return path

    def lines(self, path: str) -> list[str]:
        """The lines of a file."""
        return self.files[path]["lines"]

    def clutter(self) -> None:
        """Another folder with files."""
        folder = self.folder()
        for _ in range(self.rng.randint(1, 2)):
            self.file(folder, mode=self.rng.choice(("open", "locked")))


def name_of(path: str) -> str:
    """A file's own name."""
    return path.rpartition("/")[2]
