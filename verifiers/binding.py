"""Functions that get the arguments they name, such as `def brief(answer, calls): ...`.

Owns the names that there are and the check of a signature, which is made when the function becomes
part of a world. Invariant: a bound function is called with the arguments it names and no others.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tooldojo.verifiers.records import Evidence, Goal

FACTS: dict[str, Callable[[Evidence, Goal], object]] = {
    "evidence": lambda evidence, goal: evidence,
    "goal": lambda evidence, goal: goal,
    "answer": lambda evidence, goal: evidence.answer,  # the final message, None where there is none
    "calls": lambda evidence, goal: evidence.calls,
    "messages": lambda evidence, goal: evidence.messages,
    "before": lambda evidence, goal: evidence.world_before,
    "after": lambda evidence, goal: evidence.world_after,
    "states": lambda evidence, goal: evidence.states,  # the world after each turn that ran
    "stop": lambda evidence, goal: evidence.stop,
    "turns": lambda evidence, goal: evidence.turns,
    "gathered": lambda evidence, goal: evidence.gathered,
}


def named_arguments(function: Callable[..., object], known: Collection[str]) -> tuple[str, ...]:
    """The names of a function's arguments, those with a default included.

    Raises:
        ValueError: for a name that is not `known`, with the nearest one, and for a function that
        does not name its arguments.
    """
    called = getattr(function, "__name__", type(function).__name__)
    kinds = inspect.Parameter
    found = inspect.signature(function).parameters.values()
    for parameter in found:
        if parameter.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD, kinds.POSITIONAL_ONLY):
            raise ValueError(
                f"{called}: {parameter} has no name to be filled by; name what it needs of "
                f"{', '.join(known)}"
            )
        if parameter.name not in known:
            hint = did_you_mean(parameter.name, known)
            raise ValueError(
                f"{called} asks for {parameter.name!r};{hint} it can have {', '.join(known)}"
            )
    return tuple(parameter.name for parameter in found)


def facts_for(names: Collection[str], evidence: Evidence, goal: Goal) -> dict[str, Any]:
    """The arguments of a function that asks for `names` of `FACTS`."""
    return {name: FACTS[name](evidence, goal) for name in names}


def check_names(given: Mapping[str, object], known: Collection[str], what: str) -> None:
    """Refuse a key that is not `known`.

    Raises:
        ValueError: with the nearest known name.
    """
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"unknown {what} {name!r};{hint} there are {', '.join(sorted(known))}")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """` did you mean 'x'?` where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f" did you mean {near[0]!r}?" if near else ""
