"""Verifiers composed of named criteria: gates multiply, weights average, every component is logged.

Invariant: `success` is true only when every component is 1, and a verifier without criteria cannot
be built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tooldojo.verifiers.binding import FACTS, facts_for, named_arguments
from tooldojo.verifiers.criteria import Component, answer, final_state, looked_unless
from tooldojo.verifiers.judged import Judged, opinion_on
from tooldojo.verifiers.records import Evidence, Goal, Score
from tooldojo.verifiers.side_effects import no_side_effects

Criterion = Callable[..., Component | float] | Judged  # names its arguments; see `binding.FACTS`


@dataclass(frozen=True, slots=True)
class Part:
    """A named criterion. A gate multiplies the value; the others average by weight.

    The criterion gets the arguments that it names and returns a `Component`, or a number or truth
    value in [0, 1].

    Raises:
        ValueError: when it names an argument that there is not.
    """

    name: str
    criterion: Criterion
    weight: float = 1.0
    gate: bool = False
    names: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        asked = self.criterion
        names = asked.names if isinstance(asked, Judged) else named_arguments(asked, FACTS)
        object.__setattr__(self, "names", names)

    def judge(self, evidence: Evidence, goal: Goal) -> Component:
        """The criterion's verdict."""
        if isinstance(self.criterion, Judged):
            return opinion_on(self.name, evidence)
        found = self.criterion(**facts_for(self.names, evidence, goal))
        return found if isinstance(found, Component) else Component(float(found))


@dataclass(frozen=True, slots=True)
class Verifier:
    """A pure function of `(Evidence, Goal)`: value = prod(gates) * sum(w v) / sum(w)."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names:
            raise ValueError(
                "a verifier needs at least one criterion; a world without one cannot be judged"
            )
        if len(set(names)) != len(names):
            raise ValueError(f"component names must differ; got {names}")
        weighted = [part.weight for part in self.parts if not part.gate]
        if any(weight < 0 for weight in weighted) or (weighted and sum(weighted) == 0):
            raise ValueError(f"weights must be >= 0 and not all 0; got {weighted}")

    def __call__(self, evidence: Evidence, goal: Goal) -> Score:
        """Judge; a criterion's exception passes (the caller makes it `unscorable`, never 0)."""
        results = {part.name: part.judge(evidence, goal) for part in self.parts}
        value = 1.0
        total = sum(part.weight for part in self.parts if not part.gate)
        if total:
            value = sum(p.weight * results[p.name].value for p in self.parts if not p.gate) / total
        for part in self.parts:
            if part.gate:
                value *= results[part.name].value
        why = "; ".join(f"{name}: {result.why}" for name, result in results.items() if result.why)
        components = {name: result.value for name, result in results.items()}
        return Score(all(v == 1.0 for v in components.values()), value, components, why=why)


def all_of(**criteria: Criterion) -> Verifier:
    """Every criterion is a gate: the value is the product."""
    return Verifier(tuple(Part(name, criterion, gate=True) for name, criterion in criteria.items()))


def state_and_answer() -> Verifier:
    """The usual verdict: the right final state, nothing else changed on the way, and the right
    closing line.
    """
    return all_of(final_state=final_state, answer=answer, no_side_effects=no_side_effects)


def state_answer_and_look(*unseen: str, **more: Criterion) -> Verifier:
    """`state_and_answer` that pays no guess: `looked_unless(*unseen)`, and further criteria."""
    usual = {part.name: part.criterion for part in state_and_answer().parts}
    return all_of(**usual, looked=looked_unless(*unseen), **more)
