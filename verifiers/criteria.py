"""Criteria: pure functions of `(Evidence, Goal)`, each returning a value in [0, 1] and a reason.

A criterion that the goal says nothing about is a mistake in the task and raises `MissingGoal`:
graders fail closed. Model text is compared, never evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tooldojo.verifiers.canonical import canonical, differences
from tooldojo.verifiers.exact import number
from tooldojo.verifiers.reading import label_of, repeats, without_list_mark
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Json, StopReason


class MissingGoal(ValueError):
    """The goal lacks what a criterion judges, so that no verdict is possible."""


@dataclass(frozen=True, slots=True)
class Component:
    """One criterion's verdict: `value` in [0, 1] and, where it is not 1, why."""

    value: float
    why: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1:  # a NaN fails this, too
            raise ValueError(f"a criterion's value must be in [0, 1]; got {self.value!r}")


ILL_FORMED = frozenset(
    {CallOutcome.MALFORMED, CallOutcome.UNKNOWN_TOOL, CallOutcome.INVALID_ARGUMENTS}
)
_EMPHASIS = re.compile(r"(?<!\w)(?:[*_`]|~~)++(?=\S)|(?<=\S)(?:[*_`]|~~)++(?!\w)")


def final_state(evidence: Evidence, goal: Goal) -> Component:
    """1 when the world ended exactly as the goal says (ignored paths aside), else 0."""
    if goal.world is None:
        raise MissingGoal("final_state needs goal.world; give the task an expected final world")
    first = next(differences(evidence.world_after, goal.world, goal.ignore), None)
    return Component(1.0) if first is None else Component(0.0, first)


def untouched(evidence: Evidence, goal: Goal) -> Component:
    """1 when the world ended as it began, else 0."""
    first = next(differences(evidence.world_after, evidence.world_before, goal.ignore), None)
    return Component(1.0) if first is None else Component(0.0, f"changed {first}")


def gathered_results(evidence: Evidence, goal: Goal) -> Component:
    """1 when the results gathered at the end are those that the world kept as `wanted`, else 0."""
    wanted, found = evidence.world_before.get("wanted"), evidence.gathered.get("results")
    if not wanted or found is None:
        raise MissingGoal("gathered_results needs `wanted` in the state and gathered `results`")
    first = next(differences(found, wanted, ()), None)
    return Component(1.0) if first is None else Component(0.0, f"result {first}")


def closing_line(message: str | None) -> str:
    """The last non-empty line of a message, inner white space collapsed; "" where there is none."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return " ".join(lines[-1].split()) if lines else ""


def answer(evidence: Evidence, goal: Goal) -> Component:
    """1 when the final message closes with exactly the goal's line.

    White space, case, a final full stop, a list mark and emphasis do not matter. Any other line of
    the message that has the same label (the part up to the colon), however it is dressed up, but
    says something else is hedging, and scores 0.
    """
    return _closes(evidence, goal, _line_key)


def answer_by_value(evidence: Evidence, goal: Goal) -> Component:
    """`answer`, with numbers compared exactly by value: 2.5, 2.50 and 5/2 are the same."""
    return _closes(evidence, goal, _value_key)


def _closes(evidence: Evidence, goal: Goal, key: Callable[[str], str]) -> Component:
    if not goal.answer:
        raise MissingGoal("answer needs goal.answer; give the task an expected closing line")
    if evidence.stop is not StopReason.ANSWERED:
        return Component(0.0, f"no final message ({evidence.stop.value})")
    want = key(goal.answer)
    label, lines = label_of(want), (evidence.answer or "").splitlines()
    if label and any(label_of(line) == label and key(line) != want for line in lines):
        return Component(0.0, "another closing line stands beside, or instead of, the right one")
    got = key(closing_line(evidence.answer))
    return (
        Component(1.0) if got == want else Component(0.0, f"closed with {got!r}, expected {want!r}")
    )


def _line_key(line: str) -> str:
    text = _EMPHASIS.sub("", without_list_mark(" ".join(line.split())))
    return re.sub(r"^([^:]*) :", r"\1:", text.removesuffix(".")).casefold()


def _value_key(line: str) -> str:
    words = _line_key(line).split()
    return " ".join(word if (value := number(word)) is None else str(value) for word in words)


def looked_unless(*words: str) -> Callable[[Evidence, Goal], Component]:
    """A criterion: 1 when a tool ran or a user answered, or the goal's line has one of `words`.

    words: what the rules want said without any call. A tool's refusal counts as a look, because it
    may be all that there is to find out (`no order 17`); an ill-formed call does not.
    """
    unseen = frozenset(words)

    def looked(evidence: Evidence, goal: Goal) -> Component:
        if not goal.answer:
            raise MissingGoal("looked needs goal.answer; give the task an expected closing line")
        if not unseen.isdisjoint(goal.answer.casefold().split()):
            return Component(1.0)
        ran = any(call.outcome not in ILL_FORMED for call in evidence.calls)
        return Component(1.0) if ran else Component(0.0, "answered without looking anything up")

    return looked


def withheld(evidence: Evidence, goal: Goal) -> Component:
    """1 when no message and no argument of a call says a forbidden text, else 0.

    It looks within one message or one argument at a time, as `repeats` reads them. It does not look
    at thoughts or at what a malformed call holds, and does not see a text that is paraphrased or
    spread over several messages.
    """
    if not goal.forbidden:
        raise MissingGoal("withheld needs goal.forbidden; list the texts that may not be repeated")
    written = [text for call in evidence.calls for text in texts(call.arguments)]
    for text in [*evidence.messages, evidence.answer or "", *written]:
        for secret in goal.forbidden:
            if repeats(text, secret):
                return Component(0.0, f"repeated {secret!r}")
    return Component(1.0)


def texts(value: Json) -> Iterator[str]:
    """The texts in plain data, keys of objects included; numbers as they are printed."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    else:
        yield str(value)


def call_match(evidence: Evidence, goal: Goal) -> Component:
    """Share of the goal's calls that succeeded with equal arguments, in any order, each once."""
    if not goal.calls:
        raise MissingGoal("call_match needs goal.calls; list the calls that must succeed")
    left = [(c.name, canonical(c.arguments)) for c in evidence.calls if c.outcome is CallOutcome.OK]
    missing = []
    for want in goal.calls:
        key = (want.name, canonical(want.arguments))
        if key in left:
            left.remove(key)
        else:
            missing.append(want.name)
    return Component(
        1 - len(missing) / len(goal.calls), f"missing {', '.join(missing)}" if missing else ""
    )


def call_format(evidence: Evidence, goal: Goal) -> Component:
    """Share of the calls that were well formed, known and valid; 1 where none was made."""
    calls = evidence.policy_calls
    wrong = sum(call.outcome in ILL_FORMED for call in calls)
    return Component(1 - wrong / max(1, len(calls)), f"{wrong} ill-formed calls" if wrong else "")


def outside_score(evidence: Evidence, goal: Goal) -> Component:
    """What an imported verifier, run outside before, gave the answer; 0 where there was none."""
    if evidence.stop is not StopReason.ANSWERED:
        return Component(0.0, f"no final message ({evidence.stop.value})")
    value = evidence.gathered.get("outside_score")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MissingGoal(f"outside_score needs a number gathered before; got {value!r}")
    return Component(float(value), "" if value == 1 else f"the imported verifier gave {value:g}")
