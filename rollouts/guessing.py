"""The closing line that a policy can guess from the request alone, after training demonstrations.

Reads prompts and closing lines, and calls nothing. Invariant: a guess depends only on the task's
prompt and the demonstrations; equal votes go to the nearer demonstration.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import groupby

from tooldojo.envs.similarity import by_likeness, likeness
from tooldojo.envs.task import Task

NEIGHBOURS = 20  # demonstrations that vote; about as many as a kind of task has among 300
_WORD = re.compile(r"[\w./@-]*\w")


@dataclass(frozen=True, slots=True)
class Slot:
    """A word of a closing line that stands in the prompt: its shape (`A0` for K12), the word before
    it there, and its place among the prompt's words of that shape.
    """

    shape: str
    before: str
    place: int


def guess(task: Task, demonstrations: Sequence[Task], rules: str = "") -> str:
    """The commonest closing line of the nearest demonstrations, with words of the task's prompt in
    place of words of theirs; "" where none can be filled in.

    Votes count by the likeness squared, so that near ones weigh more. Words of the `rules` (the
    system prompt) stay as they are.
    """
    nearest = by_likeness(task, demonstrations)[:NEIGHBOURS]
    fixed = frozenset(_WORD.findall(rules))
    patterns = [_pattern(demo.prompt, demo.goal.answer or "", fixed) for demo in nearest]
    votes: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for demo, pattern in zip(nearest, patterns, strict=True):
        votes[_skeleton(pattern)] += likeness(task, demo) ** 2
    ranked = sorted(patterns, key=lambda pattern: -votes[_skeleton(pattern)])
    return next(filter(None, (_filled(each, task.prompt) for each in ranked)), "")


def _pattern(prompt: str, line: str, fixed: Set[str]) -> list[str | Slot]:
    """The words of a closing line; the label, the code after it and `fixed` words stay."""
    words = _WORD.findall(prompt)
    label, colon, rest = line.partition(":")
    said = rest.split() if colon else label.split()
    filled = [word if word in fixed else _slot(word, words) for word in said[1:]]
    return [*([label + colon] if colon else []), *said[:1], *filled]


def _slot(word: str, words: Sequence[str]) -> str | Slot:
    if word not in words:
        return word
    place = words.index(word)
    alike = [each for each in dict.fromkeys(words) if _shape(each) == _shape(word)]
    return Slot(_shape(word), words[place - 1] if place else "", alike.index(word))


def _filled(pattern: Sequence[str | Slot], prompt: str) -> str | None:
    """The line that a pattern becomes; None where the prompt has no word for a slot."""
    words = _WORD.findall(prompt)
    line = [part if isinstance(part, str) else _fitting(part, words) for part in pattern]
    said = [part for part in line if part is not None]
    return " ".join(said) if len(said) == len(line) else None


def _fitting(slot: Slot, words: Sequence[str]) -> str | None:
    """The word of the same shape at the same place, or after the same word; None where there is
    none.
    """
    alike = [each for each in dict.fromkeys(words) if _shape(each) == slot.shape]
    here = alike[slot.place : slot.place + 1]
    after = [two for one, two in zip(["", *words], words, strict=False) if one == slot.before]
    named = [each for each in after if each in alike]
    return next(iter(here if not named or (here and here[0] in named) else named), None)


def _skeleton(pattern: Sequence[str | Slot]) -> tuple[str, ...]:
    return tuple(part if isinstance(part, str) else f"<{part.shape}>" for part in pattern)


def _shape(word: str) -> str:
    kinds = [
        "0" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in word
    ]
    return "".join(kind for kind, _ in groupby(kinds))
