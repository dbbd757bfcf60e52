"""Whether a demonstration says only what a policy could know when it says it.

A value is known when it stands in the prompt, the system prompt, a tool's schema or an earlier
result: as it is, as an equal number, or word by word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tooldojo.envs.gates.play import action, start
from tooldojo.envs.task import Task
from tooldojo.verifiers.records import Json

_SQL_WORDS = """
    and as asc avg by count desc distinct from group having join limit max min not on or order
    select sum where
"""
_SQL = frozenset(_SQL_WORDS.split())
_OPTION = re.compile(r"-[a-zA-Z]\w{0,2}")  # of a program, and like SQL a language's own word


def unknown_values(task: Task) -> Iterator[str]:
    """The gold arguments, numbers and ids told to a user, and words of the expected answer, that
    nothing seen before says.

    The answer's numbers may be computed, so they count as known.
    """
    world = start(task, len(task.gold) + 1)
    schemas = json.dumps([spec.schema for spec in world.listed_tools()], ensure_ascii=False)
    known = [task.prompt, world.system_prompt, schemas]
    for turn in task.gold:
        for call in turn.calls:
            for name, value in call.arguments.items():
                if not is_known(value, "\n".join(known)):
                    yield f"{call.name} gets {name}={value!r}, which nothing seen before says"
        told = "" if turn is task.gold[-1] else turn.message or ""
        for word in re.findall(r"\w*\d\w*", told):
            if not is_known(word, "\n".join(known)):
                yield f"the user is told {word!r}, which nothing seen before says"
        known += world.step(action(turn))[0]
    said = (task.goal.answer or "").partition(":")[2]
    if not is_known(said, "\n".join(known), computed=True):
        yield f"the answer {said.strip()!r} has a word that nothing seen before says"


def is_known(value: Json, known: str, computed: bool = False) -> bool:
    """Whether `known` says a value; `computed` lets numbers and times of a string pass."""
    if isinstance(value, list):
        return all(is_known(item, known) for item in value)
    if isinstance(value, dict):
        return all(is_known(item, known) for item in value.values())
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return float(value) in [float(number) for number in re.findall(r"\d+\.?\d*", known)]
    words, pattern = re.findall(r"[\w.@-]*\w", value), r"(?<!\w){}(?!\w)"
    words = [word for word in words if not _OPTION.fullmatch(word)]
    if value.lstrip().casefold().startswith("select "):
        found = re.findall(r"\w+", value)  # one letter is the alias of a table
        words = [word for word in found if len(word) > 1 and word.casefold() not in _SQL]
    return all(
        re.search(pattern.format(re.escape(word)), known, re.IGNORECASE)
        or (computed and re.fullmatch(r"[\d.:-]+", word))
        for word in words
    )
