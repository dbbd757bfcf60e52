"""Components that a model judges: the question is asked before scoring, the opinion is evidence.

Refuses to ask anything itself. Invariant: without a valid opinion in the evidence there is no
verdict, and never a 0; with it a stored trajectory can be judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tooldojo.verifiers.binding import FACTS, facts_for, named_arguments
from tooldojo.verifiers.criteria import Component
from tooldojo.verifiers.records import Evidence, Goal, Json

OPINIONS = "opinions"  # where they stand in `Evidence.gathered`, by name of the component


class MissingOpinion(ValueError):
    """The evidence holds no usable opinion on a component, so that no verdict is possible."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A component for an LLM judge or a learned reward model.

    ask: writes the question, or whatever text the model scores, from the arguments that it names;
    see `binding.FACTS`.
    """

    ask: Callable[..., str]
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", named_arguments(self.ask, FACTS))

    def question(self, evidence: Evidence, goal: Goal) -> str:
        """What to ask about a trajectory."""
        return self.ask(**facts_for(self.names, evidence, goal))


def opinion_on(name: str, evidence: Evidence) -> Component:
    """What the judge said of a component.

    Raises:
        MissingOpinion: when it was not asked, or did not give a number in [0, 1].
    """
    opinions = evidence.gathered.get(OPINIONS)
    opinion = opinions.get(name) if isinstance(opinions, dict) else None
    if not isinstance(opinion, dict):
        raise MissingOpinion(f"nobody judged {name!r}; give a judge to what plays this world")
    value: Json = opinion.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise MissingOpinion(f"the judge gave {value!r} for {name!r}; it must be in [0, 1]")
    return Component(float(value), str(opinion.get("why", "")))
