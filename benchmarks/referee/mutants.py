"""Answers made of what a BFCL entry allows: equal ones, respelt ones, wrong ones.

Whether a mutant is right is for the judges to say; nothing here looks at either.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

Answer = list[tuple[str, dict[str, Any]]]
Schemas = dict[str, dict[str, Any]]
Operator = Callable[[Answer, list[dict], Schemas, Random], Answer | None]


def gold(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """The first allowed values, without what may be left out."""
    return calls


def gold_last(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """The last allowed plain values, with what may be left out."""
    made = []
    for (name, given), each in zip(calls, allowed, strict=True):
        full = dict(given)
        for key, options in each[name].items():
            plain = [o for o in options if o != "" and not isinstance(o, dict | list)]
            if plain:
                full[key] = plain[-1]
        made.append((name, full))
    return made


def no_call(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """Nothing."""
    return []


def drop_call(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer | None:
    """One call less."""
    if len(calls) < 2:
        return None
    out = rng.randrange(len(calls))
    return [call for place, call in enumerate(calls) if place != out]


def repeat_call(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """One call twice."""
    return [*calls, deepcopy(rng.choice(calls))]


def repeat_instead(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """One call in another's place."""
    if len(calls) < 2 or calls[0] == calls[1]:
        return None
    return [calls[1], *calls[1:]]


def reverse_calls(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """The calls in the opposite order."""
    return calls[::-1] if len(calls) > 1 else None


def rename_function(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """A function that there is not."""
    (name, given), *rest = calls
    return [(f"{name}_x", given), *rest]


def dots_to_underscores(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """Names of functions as some model interfaces write them."""
    made = [(name.replace(".", "_"), given) for name, given in calls]
    return made if made != calls else None


def unknown_argument(calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random) -> Answer:
    """An argument that no schema knows."""
    (name, given), *rest = calls
    return [(name, {**given, "no_such_argument": 1}), *rest]


def drop_argument(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """An argument less."""
    (name, given), *rest = calls
    if not given:
        return None
    out = rng.choice(sorted(given))
    return [(name, {key: value for key, value in given.items() if key != out}), *rest]


def optional_given_wrongly(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """An argument that may be left out, with a value that is not allowed."""
    (name, given), *rest = calls
    left = [key for key, options in allowed[0][name].items() if "" in options]
    kinds = {key: schemas[name]["properties"].get(key, {}).get("type") for key in left}
    wrong = {"string": "zzz", "integer": 987654, "number": 98765.5}
    fits = [key for key in left if kinds[key] in wrong]
    if not fits:
        return None
    key = rng.choice(sorted(fits))
    return [(name, {**given, key: wrong[kinds[key]]}), *rest]


def default_given(
    calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
) -> Answer | None:
    """An argument that may be left out, with the default that its schema states."""
    (name, given), *rest = calls
    known = schemas[name]["properties"]
    fits = [k for k, o in allowed[0][name].items() if "" in o and "default" in known.get(k, {})]
    if not fits:
        return None
    key = rng.choice(sorted(fits))
    return [(name, {**given, key: known[key]["default"]}), *rest]


def _on(test: Callable[[Any], bool], change: Callable[[Any, Random], Any]) -> Operator:
    """An operator on one argument of the first call that has one of the kind."""

    def operator(
        calls: Answer, allowed: list[dict], schemas: Schemas, rng: Random
    ) -> Answer | None:
        fits = [
            (place, key)
            for place, (_, given) in enumerate(calls)
            for key, value in given.items()
            if test(value)
        ]
        if not fits:
            return None
        place, key = rng.choice(fits)
        made = deepcopy(calls)
        made[place][1][key] = change(made[place][1][key], rng)
        return made if repr(made) != repr(calls) else None

    return operator


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and any(sign.isalpha() for sign in value)


def _is_long_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and value != value[::-1]


def _misspelt(text: str, rng: Random) -> str:
    place = rng.choice([i for i, sign in enumerate(text) if sign.isalpha()])
    return text[:place] + ("q" if text[place].lower() != "q" else "w") + text[place + 1 :]


def _has_object(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


VALUE_OPERATORS: dict[str, Operator] = {
    "number_off_by_one": _on(_is_number, lambda value, rng: value + rng.choice((-1, 1))),
    "integer_as_float": _on(_is_int, lambda value, rng: float(value)),
    "whole_float_as_integer": _on(
        lambda value: isinstance(value, float) and value.is_integer(), lambda value, rng: int(value)
    ),
    "number_as_text": _on(_is_number, lambda value, rng: str(value)),
    "boolean_turned": _on(lambda value: isinstance(value, bool), lambda value, rng: not value),
    "boolean_as_integer": _on(lambda value: isinstance(value, bool), lambda value, rng: int(value)),
    "boolean_as_text": _on(lambda value: isinstance(value, bool), lambda value, rng: str(value)),
    "text_misspelt": _on(_is_text, _misspelt),
    "text_in_capitals": _on(_is_text, lambda value, rng: value.upper()),
    "text_with_space_around": _on(_is_text, lambda value, rng: f" {value} "),
    "text_with_full_stop": _on(_is_text, lambda value, rng: f"{value}."),
    "text_with_exclamation": _on(_is_text, lambda value, rng: f"{value}!"),
    "text_in_list": _on(_is_text, lambda value, rng: [value]),
    "null_instead": _on(lambda value: True, lambda value, rng: None),
    "empty_text_instead": _on(_is_text, lambda value, rng: ""),
    "list_reversed": _on(_is_long_list, lambda value, rng: value[::-1]),
    "list_shortened": _on(_is_long_list, lambda value, rng: value[:-1]),
    "list_doubled": _on(_is_long_list, lambda value, rng: [*value, value[-1]]),
    "object_shortened": _on(
        _has_object, lambda value, rng: {k: v for k, v in value.items() if k != min(value)}
    ),
    "object_extended": _on(_has_object, lambda value, rng: {**value, "no_such_key": 1}),
}
OPERATORS: dict[str, Operator] = VALUE_OPERATORS | {
    each.__name__: each
    for each in (
        gold, gold_last, no_call, drop_call, repeat_call, repeat_instead, reverse_calls,
        rename_function, dots_to_underscores, unknown_argument, drop_argument,
        optional_given_wrongly, default_given,
    )
}  # fmt: skip
