"""Process rewards: functions of evidence and goal that give each turn its share.

Milestones and minefields look at the world after each turn (`Evidence.states`), as ToolSandbox does
(Lu et al. 2024, arXiv:2408.04682); call rewards compare calls with those of the goal, as ToolRL
does (Qian et al. 2025, arXiv:2504.13958). Invariant: a share belongs to the turn that earned it, so
shares add up to the component.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tooldojo.verifiers.binding import FACTS, facts_for, named_arguments
from tooldojo.verifiers.canonical import canonical
from tooldojo.verifiers.criteria import ILL_FORMED, Component
from tooldojo.verifiers.judged import Judged, opinion_on
from tooldojo.verifiers.records import Evidence, ExpectedCall, Goal, Json, ToolCall

StateCheck = Callable[..., bool]
_STATE_FACTS = ("state", "before", "goal")


@dataclass(frozen=True, slots=True)
class RewardPart:
    """A named reward beside the score; `weight` holds where the recipe names no other.

    function: gets the arguments that it names (`binding.FACTS`) and returns one number per turn, or
    one number or `Component`, which the last turn gets.

    Raises:
        ValueError: when it names an argument that there is not.
    """

    name: str
    function: Callable[..., Sequence[float] | Component | float] | Judged
    weight: float = 1.0
    names: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        asked = self.function
        names = asked.names if isinstance(asked, Judged) else named_arguments(asked, FACTS)
        object.__setattr__(self, "names", names)

    def shares(self, evidence: Evidence, goal: Goal) -> tuple[float, ...]:
        """The reward by turn, without its weight; one entry where no turn was played.

        Raises:
            ValueError: for another number of turns than were played, and for NaN or infinity.
        """
        count = max(1, evidence.turns)
        if isinstance(self.function, Judged):
            found = opinion_on(self.name, evidence)
        else:
            found = self.function(**facts_for(self.names, evidence, goal))
        if isinstance(found, Component):
            found = found.value
        shares = found if isinstance(found, Sequence) else [*[0.0] * (count - 1), found]
        if len(shares) != count:
            raise ValueError(f"reward {self.name!r} has {len(shares)} shares for {count} turns")
        if not all(math.isfinite(share) for share in shares):
            raise ValueError(f"reward {self.name!r} is not finite: {shares}")
        return tuple(float(share) for share in shares)


def milestones(**checks: StateCheck) -> Callable[..., list[float]]:
    """A reward of 1 in equal shares, each paid to the first turn after which a check holds.

    A check gets what it names of `state` (the world after a turn), `before` and `goal`. One that
    holds from the start pays nothing.
    """
    first_turns = _first_turns(checks)

    def milestones(evidence: Evidence, goal: Goal, states: Sequence[Json]) -> list[float]:
        return _shares(evidence, first_turns(evidence, goal).values(), 1 / len(checks))

    return milestones


def minefields(**checks: StateCheck) -> Callable[..., list[float]]:
    """A reward of -1 for each check, given to the first turn after which it holds."""
    first_turns = _first_turns(checks)

    def minefields(evidence: Evidence, goal: Goal, states: Sequence[Json]) -> list[float]:
        return _shares(evidence, first_turns(evidence, goal).values(), -1.0)

    return minefields


def reaches(**checks: StateCheck) -> Callable[..., Component]:
    """A criterion: the share of checks that held after some turn, and not from the start."""
    first_turns = _first_turns(checks)

    def reaches(evidence: Evidence, goal: Goal, states: Sequence[Json]) -> Component:
        reached = first_turns(evidence, goal)
        missing = [name for name in checks if name not in reached]
        why = f"never reached {', '.join(missing)}" if missing else ""
        return Component(len(reached) / len(checks), why)

    return reaches


def avoids(**checks: StateCheck) -> Callable[..., Component]:
    """A criterion: 1 when no check held after any turn, else 0, whatever was mended later."""
    first_turns = _first_turns(checks)

    def avoids(evidence: Evidence, goal: Goal, states: Sequence[Json]) -> Component:
        hit = first_turns(evidence, goal)
        why = ", ".join(f"{name} in turn {turn}" for name, turn in hit.items())
        return Component(float(not hit), why)

    return avoids


def _first_turns(
    checks: Mapping[str, StateCheck],
) -> Callable[[Evidence, Goal], dict[str, int]]:
    """By name, the first turn after which a check holds, of those that did not hold before."""
    if not checks:
        raise ValueError("name at least one check, such as paid=lambda state: state['paid']")
    names = {name: named_arguments(check, _STATE_FACTS) for name, check in checks.items()}

    def holds(name: str, state: Json, evidence: Evidence, goal: Goal) -> bool:
        known = {"state": state, "before": evidence.world_before, "goal": goal}
        return bool(checks[name](**{each: known[each] for each in names[name]}))

    def first_turns(evidence: Evidence, goal: Goal) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in checks:
            if holds(name, evidence.world_before, evidence, goal):
                continue
            states = enumerate(evidence.states)
            turn = next((t for t, state in states if holds(name, state, evidence, goal)), None)
            if turn is not None:
                found[name] = turn
        return found

    return first_turns


def tool_selection(evidence: Evidence, goal: Goal) -> list[float]:
    """Jaccard index of the tools called and those of the goal's calls, counted with repetition.

    A call that finds a partner of its name earns one share; calls too many lower all shares.
    """
    return _matched(evidence, goal, lambda call, wanted: 1.0)


def argument_accuracy(evidence: Evidence, goal: Goal) -> list[float]:
    """`tool_selection`, where a call earns its share of equal arguments, over both calls' names."""
    return _matched(evidence, goal, _equal_arguments)


def call_form(evidence: Evidence, goal: Goal) -> list[float]:
    """Share of the calls that were well formed, known and valid; without a call as `_unused`."""
    calls = evidence.policy_calls
    if not calls:
        return _unused(evidence, goal)
    formed = [call.turn for call in calls if call.outcome not in ILL_FORMED]
    return _shares(evidence, formed, 1 / len(calls))


CALL_REWARDS = (  # every world has them; they count where the recipe gives them a weight
    RewardPart("tool_selection", tool_selection, 0.0),
    RewardPart("argument_accuracy", argument_accuracy, 0.0),
    RewardPart("call_form", call_form, 0.0),
)


def _matched(
    evidence: Evidence, goal: Goal, worth: Callable[[ToolCall, ExpectedCall], float]
) -> list[float]:
    """Each wanted call takes the free call of its name that is worth most, the earliest of such."""
    free, pairs = list(evidence.policy_calls), []
    if not free:
        return _unused(evidence, goal)
    shares = [0.0] * max(1, evidence.turns)
    for wanted in goal.calls:
        fits = [call for call in free if call.name == wanted.name]
        if fits:
            best = max(fits, key=lambda call: worth(call, wanted))
            free.remove(best)
            pairs.append((best.turn, worth(best, wanted)))
    union = len(goal.calls) + len(free)
    for turn, value in pairs:
        shares[min(turn, len(shares) - 1)] += value / union
    return shares


def _equal_arguments(call: ToolCall, wanted: ExpectedCall) -> float:
    names = {*call.arguments, *wanted.arguments}
    both = call.arguments.keys() & wanted.arguments.keys()
    equal = sum(canonical(call.arguments[n]) == canonical(wanted.arguments[n]) for n in both)
    return equal / len(names) if names else 1.0


def _unused(evidence: Evidence, goal: Goal) -> list[float]:
    """Calling nothing earns all of it where nothing was to be called, on the last turn, else 0."""
    return _shares(evidence, [] if goal.calls else [evidence.turns - 1], 1.0)


def _shares(evidence: Evidence, turns: Iterable[int], share: float) -> list[float]:
    """`share` for each of `turns`, which may name one twice; a turn too late is the last."""
    shares = [0.0] * max(1, evidence.turns)
    for turn in turns:
        shares[min(turn, len(shares) - 1)] += share
    return shares
