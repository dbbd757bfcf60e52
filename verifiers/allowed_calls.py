"""Whether the calls made are those asked for, where each argument has a list of allowed values.

Written from the JSON-Schema view: a value is right when it equals an allowed one as JSON does
(1 equals 1.0, and true equals neither), whatever the order of the calls. Owns equality of values
and the matching of calls; that arguments fit their schema is checked where a tool is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tooldojo.verifiers.canonical import canonical_text
from tooldojo.verifiers.criteria import Component, MissingGoal
from tooldojo.verifiers.records import CallOutcome, Evidence, Goal, Json

OMITTED = ""  # among the allowed values: the argument may be left out
Same = Callable[[Json, Json], bool]


@dataclass(frozen=True, slots=True)
class AllowedCall:
    """A call that is asked for: by argument, the values that it may have."""

    name: str
    values: dict[str, list[Json]]

    @classmethod
    def from_json(cls, data: Json) -> AllowedCall:
        """Read `{name: {argument: [value, ...]}}`.

        Raises:
            MissingGoal: for anything else.
        """
        if not (isinstance(data, dict) and len(data) == 1):
            raise MissingGoal(f"an allowed call is {{name: {{argument: values}}}}; got {data!r}")
        ((name, values),) = data.items()
        if not (isinstance(values, dict) and all(isinstance(v, list) for v in values.values())):
            raise MissingGoal(f"the allowed values of {name} must be lists; got {values!r}")
        return cls(name, values)  # type: ignore[arg-type]


def same_json(value: Json, wanted: Json) -> bool:
    """Equality of JSON scalars: numbers by value, booleans apart from numbers, strings exactly."""
    return canonical_text(value) == canonical_text(wanted)


def same_loosely(value: Json, wanted: Json) -> bool:
    """`same_json`, but of strings only what BFCL compares: in small letters, without spaces and
    the signs `,./-_*^`, with one kind of quotation mark.
    """
    if isinstance(value, str) and isinstance(wanted, str):
        return _letters(value) == _letters(wanted)
    return same_json(value, wanted)


def _letters(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


RULES: dict[str, Same] = {"json": same_json, "bfcl": same_loosely}  # when scalars are equal


def allows(options: Sequence[Json], value: Json, same: Same = same_json) -> bool:
    """Whether a value is one of the options. An option that is an object holds options in turn;
    one that is an array holds one thing for each place.
    """
    return any(_fits(option, value, same) for option in options)


def _fits(option: Json, value: Json, same: Same) -> bool:
    if isinstance(option, dict):
        if not isinstance(value, dict) or set(value) - set(option):
            return False
        return all(_allows_key(_listed(inside), value, key, same) for key, inside in option.items())
    if isinstance(option, list):
        return (
            isinstance(value, list)
            and len(value) == len(option)
            and all(_fits(o, v, same) for o, v in zip(option, value, strict=True))
        )
    return not isinstance(value, dict | list) and same(value, option)


def _allows_key(options: list[Json], value: dict[str, Json], key: str, same: Same) -> bool:
    return allows(options, value[key], same) if key in value else OMITTED in options


def _listed(inside: Json) -> list[Json]:
    return inside if isinstance(inside, list) else [inside]


def refusal(
    name: str, arguments: dict[str, Json], wanted: AllowedCall, same: Same = same_json
) -> str:
    """Why a call is not the one asked for; "" where it is."""
    if name != wanted.name:
        return f"{name} instead of {wanted.name}"
    for key, value in arguments.items():
        if key not in wanted.values:
            return f"{name} gets {key}, which nobody asked for"
        if not allows(wanted.values[key], value, same):
            return f"{name} gets {key}={value!r}"
    missing = [k for k, v in wanted.values.items() if k not in arguments and OMITTED not in v]
    return f"{name} lacks {missing[0]}" if missing else ""


def matching_refusal(
    calls: Sequence[tuple[str, dict[str, Json]]],
    wanted: Sequence[AllowedCall],
    same: Same = same_json,
) -> str:
    """Why the calls cannot be paired off with those asked for; "" where they can.

    A maximum matching by augmenting paths (Kuhn 1955), so that no order of trying decides.
    """
    if len(calls) != len(wanted):
        return f"{len(calls)} calls instead of {len(wanted)}"
    edges = [[not refusal(*call, goal, same) for goal in wanted] for call in calls]
    owner: dict[int, int] = {}

    def place(call: int, tried: set[int]) -> bool:
        for goal, fits in enumerate(edges[call]):
            if fits and goal not in tried:
                tried.add(goal)
                if goal not in owner or place(owner[goal], tried):
                    owner[goal] = call
                    return True
        return False

    for number, call in enumerate(calls):
        if not place(number, set()):
            return min((refusal(*call, goal, same) for goal in wanted), key=_severity) or (
                f"{call[0]} is one call too many of its kind"
            )
    return ""


def _severity(why: str) -> tuple[bool, str]:
    """The reason that says most first: an argument rather than a name."""
    return " instead of " in why, why


def allowed_calls(evidence: Evidence, goal: Goal) -> Component:
    """1 when exactly the calls of `gathered["allowed_calls"]` were made, in any order, else 0.

    A call that was refused counts as made: asking twice is not asking right.
    """
    listed = evidence.gathered.get("allowed_calls")
    if not isinstance(listed, list) or not listed:
        raise MissingGoal("allowed_calls needs a list of calls gathered before")
    refused = next((call for call in evidence.calls if call.outcome is not CallOutcome.OK), None)
    if refused is not None:
        return Component(0.0, f"{refused.name}: {refused.outcome.value}")
    calls = [(call.name, call.arguments) for call in evidence.calls]
    why = matching_refusal(calls, [AllowedCall.from_json(each) for each in listed])
    return Component(0.0, why) if why else Component(1.0)
