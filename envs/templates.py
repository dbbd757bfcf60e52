"""Kinds of tasks: a `Template` writes a `Sketch` on a scene, `compose` makes one a `Draft`.

Owns what generators of tasks share, `Names` among it; refuses any knowledge of a particular world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import MAX_GOLD_CALLS, with_timeout
from tooldojo.envs.task import GoldTurn

TIMEOUT_CHANCE = 0.19  # of the tasks with one to four calls; about 15 % of all tasks


class SceneLike(Protocol):
    """A world under construction."""

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        ...

    def clutter(self) -> None:
        """Add what the task does not ask about."""
        ...


S = TypeVar("S", bound=SceneLike)


class Names:
    """The names used in a scene, so that none is drawn twice."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, make: Callable[[], str]) -> str:
        """The first of `make`'s names that is not used yet."""
        while (name := make()) in self._used:
            pass
        self._used.add(name)
        return name

    def reserve(self, name: str) -> None:
        """Keep a name from being drawn, because a tool will give it."""
        self._used.add(name)


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a template fills in: the wording's fields and the demonstration.

    ignore: paths of the state that right solutions may leave differently, as in `Goal`.
    """

    fields: dict[str, str]
    gold: list[GoldTurn]
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template(Generic[S]):
    """A kind of task at one level.

    conditions: the branches that a task can take; one listed twice is twice as frequent, where
    guessing the other branch would pay. weight: its share among the templates of the level.
    """

    name: str
    write: Callable[[S, str], Sketch]
    conditions: tuple[str, ...]
    weight: float = 1.0


def compose(
    rng: Random,
    templates: Sequence[Template[S]],
    wordings: Mapping[str, Sequence[str]],
    scene: S,
    *,
    timeout_chance: float = TIMEOUT_CHANCE,
    most_calls: int = MAX_GOLD_CALLS,
    tidy: Callable[[str], str] = str,
) -> Draft:
    """One random task of the templates, on a fresh scene that draws from `rng`.

    most_calls: a time-out's repetition included. tidy: a last touch on the filled-in wording.
    """
    template = rng.choices(templates, [t.weight for t in templates])[0]
    condition = rng.choice(template.conditions)
    said = wordings[template.name]
    wording = rng.randrange(len(said))
    sketch = template.write(scene, condition)
    scene.clutter()
    timed = with_timeout(rng, sketch.gold, timeout_chance, most_calls)
    prompt = tidy(said[wording].format(**sketch.fields))
    return Draft(
        prompt, scene.world(), timed.gold, template.name, condition, wording, timed.faults,
        ignore=sketch.ignore,
    )  # fmt: skip
