"""Kinds of tasks: a `Template` writes a `Sketch` on a scene, `compose` makes one a `Draft`.

Owns what generators of tasks share; refuses any knowledge of a particular world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from tooldojo.envs.draft import Draft
from tooldojo.envs.gold import with_timeout
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


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a template fills in: the wording's fields and the demonstration."""

    fields: dict[str, str]
    gold: list[GoldTurn]


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
) -> Draft:
    """One random task of the templates, on an empty scene that draws from `rng`."""
    template = rng.choices(templates, [t.weight for t in templates])[0]
    condition = rng.choice(template.conditions)
    said = wordings[template.name]
    wording = rng.randrange(len(said))
    sketch = template.write(scene, condition)
    scene.clutter()
    timed = with_timeout(rng, sketch.gold, TIMEOUT_CHANCE)
    prompt = said[wording].format(**sketch.fields)
    return Draft(prompt, scene.world(), timed.gold, template.name, condition, wording, timed.faults)
