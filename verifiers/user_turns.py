"""Whether a dialogue with several user turns went as its reference, judged turn by turn.

The rule is that of BFCL's multi-turn categories (Patil et al. 2025): after each user turn in which
the reference calls something, a call was made as well, the state is that of the reference, and what
the reference read in it has been read by then. How states compare is for whoever gathers it to say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tooldojo.verifiers.criteria import Component, MissingGoal
from tooldojo.verifiers.records import SAID, CallOutcome, Evidence, Goal, Json, StopReason, ToolCall


@dataclass(frozen=True, slots=True)
class ReferenceTurn:
    """One user turn of the reference: the results of its calls, and where the state differs."""

    results: tuple[str, ...]
    differs: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Json) -> ReferenceTurn:
        """Read `{"results": [text, ...], "differs": [name, ...]}`.

        Raises:
            MissingGoal: for anything else.
        """
        known = data if isinstance(data, dict) else {}
        results, differs = known.get("results"), known.get("differs")
        if not (isinstance(results, list) and isinstance(differs, list)):
            raise MissingGoal(f"a user turn is {{results, differs}}, both lists; got {data!r}")
        return cls(tuple(map(str, results)), tuple(map(str, differs)))


def by_user_turn(calls: tuple[ToolCall, ...]) -> list[list[ToolCall]]:
    """The policy's calls, cut where the user answered."""
    turns: list[list[ToolCall]] = [[]]
    for call in calls:
        if not call.of_user:
            turns[-1].append(call)
        elif call.name == SAID:
            turns.append([])
    return turns


def user_turns(evidence: Evidence, goal: Goal) -> Component:
    """1 when every user turn ended as the reference's in `gathered["user_turns"]`, else 0.

    What was read counts from the beginning, in any order, as often as the reference of one turn
    read it; more calls than it made are allowed. A user turn without reference calls is not judged.
    """
    listed = evidence.gathered.get("user_turns")
    if not isinstance(listed, list) or not any(map(_results, listed)):
        raise MissingGoal("user_turns needs the reference's turns gathered before, one with calls")
    made, wanted = by_user_turn(evidence.calls), [ReferenceTurn.from_json(each) for each in listed]
    if evidence.stop is not StopReason.ANSWERED or len(made) != len(wanted):
        return Component(0.0, f"ended in user turn {len(made)} of {len(wanted)}")
    seen: list[str] = []
    for number, (calls, reference) in enumerate(zip(made, wanted, strict=True), start=1):
        seen += [call.result for call in calls]
        why = _refusal(calls, reference, seen) if reference.results else ""
        if why:
            return Component(0.0, f"user turn {number}: {why}")
    return Component(1.0)


def _results(turn: Json) -> tuple[str, ...]:
    return ReferenceTurn.from_json(turn).results


def _refusal(calls: list[ToolCall], reference: ReferenceTurn, seen: list[str]) -> str:
    if all(call.outcome is CallOutcome.MALFORMED for call in calls):
        return "no call"
    if reference.differs:
        return f"another {reference.differs[0]}"
    missing = Counter(reference.results) - Counter(seen)
    return f"never read {next(iter(missing))[:80]!r}" if missing else ""
