"""Dialogues made of what a multi-turn entry of BFCL has as its reference: equal ones, others.

A dialogue has by user turn the calls of each assistant turn. Whether a mutant is right is for the
judges to say; nothing here looks at either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import chain
from random import Random

from referee.mutants import VALUE_OPERATORS, Answer

Dialogue = list[list[Answer]]
DialogueOperator = Callable[[list[Answer], Random], Dialogue | None]
_VALUES = (
    "number_off_by_one", "integer_as_float", "whole_float_as_integer", "number_as_text",
    "boolean_turned", "boolean_as_integer", "text_misspelt", "text_in_capitals", "text_in_list",
    "null_instead", "list_reversed", "list_shortened",
)  # fmt: skip
WRONG = "no such thing"


def one_by_one(turns: Sequence[Answer]) -> Dialogue:
    """A dialogue in which every call has an assistant turn of its own."""
    return [[[call] for call in calls] for calls in turns]


def gold(turns: list[Answer], rng: Random) -> Dialogue:
    """The reference."""
    return one_by_one(turns)


def all_at_once(turns: list[Answer], rng: Random) -> Dialogue:
    """The reference with all calls of a user turn in one assistant turn."""
    return [[calls] if calls else [] for calls in turns]


def no_call(turns: list[Answer], rng: Random) -> Dialogue:
    """Nothing."""
    return [[] for _ in turns]


def drop_call(turns: list[Answer], rng: Random) -> Dialogue:
    """One call less."""
    turn, place = _somewhere(turns, rng)
    return one_by_one(_with(turns, turn, turns[turn][:place] + turns[turn][place + 1 :]))


def drop_turn(turns: list[Answer], rng: Random) -> Dialogue:
    """No call in one of the user turns."""
    return one_by_one(_with(turns, _somewhere(turns, rng)[0], []))


def repeat_call(turns: list[Answer], rng: Random) -> Dialogue:
    """One call twice."""
    turn, place = _somewhere(turns, rng)
    calls = turns[turn]
    return one_by_one(_with(turns, turn, [*calls[: place + 1], *calls[place:]]))


def repeat_last_call(turns: list[Answer], rng: Random) -> Dialogue:
    """The last call twice."""
    turn = max(n for n, calls in enumerate(turns) if calls)
    return one_by_one(_with(turns, turn, [*turns[turn], turns[turn][-1]]))


def reverse_turn(turns: list[Answer], rng: Random) -> Dialogue | None:
    """The calls of the busiest user turn in the opposite order."""
    turn = max(range(len(turns)), key=lambda n: len(turns[n]))
    if len(turns[turn]) < 2:
        return None
    return one_by_one(_with(turns, turn, turns[turn][::-1]))


def first_of_all(turns: list[Answer], rng: Random) -> Dialogue:
    """All calls in the first user turn, none later."""
    return one_by_one([list(chain(*turns)), *([] for _ in turns[1:])])


def a_turn_late(turns: list[Answer], rng: Random) -> Dialogue | None:
    """The calls of one user turn in front of those of the next one."""
    fits = [n for n in range(len(turns) - 1) if turns[n]]
    if not fits:
        return None
    turn = rng.choice(fits)
    both = [*turns[turn], *turns[turn + 1]]
    return one_by_one(_with(_with(turns, turn, []), turn + 1, both))


def early(turns: list[Answer], rng: Random) -> Dialogue | None:
    """Where nothing is to be called, the calls of the next user turn, and there again."""
    fits = [n for n in range(len(turns) - 1) if not turns[n] and turns[n + 1]]
    return one_by_one(_with(turns, fits[0], turns[fits[0] + 1])) if fits else None


def early_only(turns: list[Answer], rng: Random) -> Dialogue | None:
    """Where nothing is to be called, the calls of the next user turn; there its last one alone."""
    fits = [n for n in range(len(turns) - 1) if not turns[n] and turns[n + 1]]
    if not fits:
        return None
    turn, calls = fits[0], turns[fits[0] + 1]
    return one_by_one(_with(_with(turns, turn, calls), turn + 1, calls[-1:]))


def earlier_call_again(turns: list[Answer], rng: Random) -> Dialogue | None:
    """A call of the first user turn once more at the end of the last one."""
    if not turns[0] or not turns[-1]:
        return None
    return one_by_one([*turns[:-1], [*turns[-1], rng.choice(turns[0])]])


def failing_call(turns: list[Answer], rng: Random) -> Dialogue | None:
    """One call before itself with texts that mean nothing."""
    return _before(turns, rng, lambda value: WRONG if isinstance(value, str) else value)


def refused_call(turns: list[Answer], rng: Random) -> Dialogue | None:
    """One call before itself with objects for arguments."""
    return _before(turns, rng, lambda value: {"value": value})


def unknown_argument(turns: list[Answer], rng: Random) -> Dialogue:
    """A call gets an argument that no schema knows."""
    turn, place = _somewhere(turns, rng)
    made = deepcopy(turns)
    made[turn][place][1]["no_such_argument"] = 1
    return one_by_one(made)


def unknown_function(turns: list[Answer], rng: Random) -> Dialogue:
    """A function that there is not is called as well."""
    turn, place = _somewhere(turns, rng)
    calls = turns[turn]
    return one_by_one(
        _with(turns, turn, [*calls[:place], ("no_such_function", {}), *calls[place:]])
    )


def _somewhere(turns: Sequence[Answer], rng: Random) -> tuple[int, int]:
    return rng.choice([(n, place) for n, calls in enumerate(turns) for place in range(len(calls))])


def _with(turns: Sequence[Answer], turn: int, calls: Answer) -> list[Answer]:
    return [*turns[:turn], calls, *turns[turn + 1 :]]


def _before(turns: list[Answer], rng: Random, change: Callable) -> Dialogue | None:
    turn, place = _somewhere(turns, rng)
    name, given = turns[turn][place]
    wrong = {key: change(value) for key, value in given.items()}
    if wrong == given:
        return None
    calls = turns[turn]
    return one_by_one(_with(turns, turn, [*calls[:place], (name, wrong), *calls[place:]]))


def _on_a_value(name: str) -> DialogueOperator:
    """One of the operators on an argument, for one of all calls."""

    def operator(turns: list[Answer], rng: Random) -> Dialogue | None:
        calls = list(chain(*turns))
        rng.shuffle(order := list(range(len(calls))))
        changed = VALUE_OPERATORS[name]([calls[n] for n in order], [], {}, rng)
        if changed is None:
            return None
        back = iter([changed[order.index(n)] for n in range(len(calls))])
        return one_by_one([[next(back) for _ in each] for each in turns])

    return operator


OPERATORS: dict[str, DialogueOperator] = {
    each.__name__: each
    for each in (
        gold, all_at_once, no_call, drop_call, drop_turn, repeat_call, repeat_last_call,
        reverse_turn, first_of_all, a_turn_late, early, early_only, earlier_call_again,
        failing_call, refused_call, unknown_argument, unknown_function,
    )
} | {name: _on_a_value(name) for name in _VALUES}  # fmt: skip
