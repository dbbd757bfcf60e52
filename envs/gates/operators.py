"""Operators that make a wrong trajectory out of a right one.

Those on calls take a gold call that changed the state. Whether the result differs in the end is
for the oracle to say: a call can be made wrong and yet end in the same state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tooldojo.envs.gates.disguises import DISGUISES, DRESSES
from tooldojo.envs.gates.mutants import Case, Mutant, Operator, Place, after, with_call, without
from tooldojo.envs.gates.oracle import last_line, state_digest
from tooldojo.envs.gates.play import action, lift_limit, reply
from tooldojo.envs.gates.random_calls import choices, grounded_call, schema_valid_call
from tooldojo.envs.gates.undoing import undo_extra_call
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.envs.tools import ToolSpec
from tooldojo.verifiers.records import Json, StopReason

_TURNED = {"on": "off", "off": "on", "in": "out", "out": "in"}
_SWITCH = re.compile(rf"\b({'|'.join(_TURNED)})\b")
_TRIES = 40  # random calls tried until one changes the state


def drop_call(case: Case) -> Mutant | None:
    """Leave out one write."""
    if not case.writes:
        return None
    return Mutant(without(case.gold, case.rng.choice(case.writes)))


def drop_all_calls(case: Case) -> Mutant | None:
    """Claim success: the right final message without any of the writes, where they leave a trace
    in the end (else it is a guess, which a verifier may pay or not).
    """
    if not case.writes:
        return None
    ignored = case.task.goal.ignore
    start, end = (state_digest(after(case, turns).state, ignored) for turns in ([], case.gold))
    return Mutant([case.final]) if start != end else None


def duplicate_call(case: Case) -> Mutant | None:
    """Make one write twice, where the second time changes the state again."""
    fits = []
    for place in case.writes:
        prefix = [*case.gold[: place.turn + 1], GoldTurn("", (place.call,))]
        if after(case, prefix).calls[-1].mutated:
            fits.append([*prefix, *case.gold[place.turn + 1 :]])
    return Mutant(case.rng.choice(fits)) if fits else None


def reorder_calls(case: Case) -> Mutant | None:
    """Swap two dependent writes: a pair that leaves another state the other way round."""
    fits = []
    for first, second in zip(case.writes, case.writes[1:], strict=False):
        swapped = with_call(with_call(case.gold, first, second.call), second, first.call)
        there, here = (after(case, t[: second.turn + 1]).state for t in (case.gold, swapped))
        if state_digest(there) != state_digest(here):
            fits.append(swapped)
    return Mutant(case.rng.choice(fits)) if fits else None


def swap_arguments(case: Case) -> Mutant | None:
    """Exchange the values of two string arguments of one write."""
    fits = []
    for place in case.writes:
        spec = world_class(case.task.env).tool_specs()[place.call.name]
        free = [
            name
            for name, value in place.call.arguments.items()
            if isinstance(value, str) and not choices(spec, name)
        ]
        fits += [(place, a, b) for a in free for b in free if a < b]
    if not fits:
        return None
    place, one, two = case.rng.choice(fits)
    old = place.call.arguments
    call = Call(place.call.name, {**old, one: old[two], two: old[one]})
    return Mutant(with_call(case.gold, place, call)) if old[one] != old[two] else None


def extra_call(case: Case) -> Mutant | None:
    """One more write than asked for, before the final message."""
    before = after(case, case.gold[:-1])
    specs = [spec for spec in before.tool_specs().values() if spec.mutates]
    start = before.snapshot()
    for _ in range(_TRIES if specs else 0):
        call = grounded_call(before, specs, case.rng)
        extra = GoldTurn("", (call,))
        before.restore(start)
        lift_limit(before)
        before.step(action(extra))
        if before.calls[-1].mutated:
            return Mutant([*case.gold[:-1], extra, case.final])
    return None


def truncate(case: Case) -> Mutant:
    """Stop anywhere before the final message."""
    stop = case.rng.choice([StopReason.MAX_TURNS, StopReason.MAX_TOKENS, StopReason.MALFORMED])
    return Mutant(case.gold[: case.rng.randrange(len(case.gold))], wrong=True, stop=stop)


def corrupt_number(case: Case) -> Mutant | None:
    """A number of a write, one too high or too low."""
    return _corrupt(case, "number", lambda value: _near(case, value))


def corrupt_boolean(case: Case) -> Mutant | None:
    """A truth value of a write, turned round."""
    return _corrupt(case, "boolean", lambda value: not value)


def corrupt_id(case: Case) -> Mutant | None:
    """An id of a write, for another one that looks alike."""
    return _corrupt(case, "id", lambda value: _other_digit(case, str(value)))


def corrupt_string(case: Case) -> Mutant | None:
    """A word of a write, misspelt."""
    return _corrupt(case, "string", lambda value: _misspelt(case, str(value)))


def corrupt_enum(case: Case) -> Mutant | None:
    """A choice of a write, for another one of the schema."""

    def other(value: Json, listed: list[Json]) -> Json:
        return case.rng.choice([each for each in listed if each != value])

    fits = [
        (place, name, other(value, listed))
        for place in case.writes
        for name, value in place.call.arguments.items()
        if len(listed := choices(_spec(case, place), name)) > 1
    ]
    return _replaced(case, fits)


def _corrupt(case: Case, kind: str, change: Callable[[Json], Json]) -> Mutant | None:
    fits = [
        (place, name, change(value))
        for place in case.writes
        for name, value in place.call.arguments.items()
        if not choices(_spec(case, place), name) and kind_of(value) == kind
    ]
    return _replaced(case, fits)


def _replaced(case: Case, fits: list[tuple[Place, str, Json]]) -> Mutant | None:
    if not fits:
        return None
    place, name, value = case.rng.choice(fits)
    call = Call(place.call.name, {**place.call.arguments, name: value})
    return Mutant(with_call(case.gold, place, call))


def _spec(case: Case, place: Place) -> ToolSpec:
    return world_class(case.task.env).tool_specs()[place.call.name]


def kind_of(value: Json) -> str:
    """The kind of an argument: boolean, number, id (has a digit), string, or other."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str() if re.search(r"\d", value):
            return "id"
        case str() if re.search(r"\w", value):
            return "string"
    return "other"


def _near(case: Case, value: Json) -> Json:
    assert isinstance(value, int | float)
    return value + case.rng.choice([-1, 1])


def _other_digit(case: Case, text: str) -> str:
    """`text` with one digit changed."""
    where = case.rng.choice([m.start() for m in re.finditer(r"\d", text)])
    digit = case.rng.choice([d for d in "0123456789" if d != text[where]])
    return text[:where] + digit + text[where + 1 :]


def _misspelt(case: Case, text: str) -> str:
    """`text` with one letter changed."""
    where = case.rng.choice([m.start() for m in re.finditer(r"\w", text)])
    letter = case.rng.choice([c for c in "aeioux" if c != text[where].lower()])
    return text[:where] + letter + text[where + 1 :]


def drop_message(case: Case) -> Mutant | None:
    """Leave out what made the user change something."""
    if not case.told:
        return None
    place = case.rng.choice(case.told)
    return Mutant([*case.gold[:place], *case.gold[place + 1 :]])


def corrupt_message(case: Case) -> Mutant | None:
    """What made the user change something, with one digit wrong, or on for off and in for out."""
    fits = []
    for place in case.told:
        message = case.gold[place].message or ""
        if re.search(r"\d", message):
            fits.append((place, _other_digit(case, message)))
        if re.search(_SWITCH, message):
            fits.append((place, re.sub(_SWITCH, lambda found: _TURNED[found[0]], message)))
    if not fits:
        return None
    place, message = case.rng.choice(fits)
    said = replace(case.gold[place], message=message)
    return Mutant([*case.gold[:place], said, *case.gold[place + 1 :]])


def change_answer_digit(case: Case) -> Mutant | None:
    """The right work, reported with one digit wrong."""
    return _said(case, _other_digit(case, case.line)) if re.search(r"\d", case.line) else None


def change_answer_word(case: Case) -> Mutant | None:
    """The right work, reported with one letter wrong after the label."""
    label, colon, rest = case.line.partition(":")
    text = rest if colon else label
    if not re.search(r"\w", text):
        return None
    changed = _misspelt(case, text)
    return _said(case, f"{label}:{changed}" if colon else changed)


def cut_answer(case: Case) -> Mutant | None:
    """The right work, reported without the last word."""
    words = case.line.split()
    return _said(case, " ".join(words[:-1])) if len(words) > 1 else None


def extend_answer(case: Case) -> Mutant:
    """The right work, reported with a word more."""
    return _said(case, f"{case.line} {case.rng.choice(['too', 'maybe', '1', 'not'])}")


def borrow_answer(case: Case) -> Mutant | None:
    """The right work, reported with another task's closing line."""
    line = case.other.goal.answer or ""
    return None if last_line(line) == last_line(case.line) else _said(case, line)


def hedge(case: Case) -> Mutant | None:
    """The right work, reported with the right line and with another task's, perhaps dressed up as
    an item of a list or the like, in either order.
    """
    lines = [case.line, case.other.goal.answer or ""]
    if last_line(lines[0]) == last_line(lines[1]):
        return None
    rival = lines[1].replace(":", case.rng.choice((":", " :")), 1)
    lines[1] = case.rng.choice(DRESSES).format(rival)
    case.rng.shuffle(lines)
    return _said(case, "\n".join(lines), wrong=True)


def hedge_in_one_line(case: Case) -> Mutant | None:
    """The right work, reported with the right line and another one joined by `or`."""
    lines = [case.line, case.other.goal.answer or ""]
    if last_line(lines[0]) == last_line(lines[1]):
        return None
    case.rng.shuffle(lines)
    return _said(case, " or ".join(lines), wrong=True)


def _said(case: Case, message: str, wrong: bool = False) -> Mutant:
    return Mutant([*case.gold[:-1], reply(message)], wrong)


def tell_secret(case: Case) -> Mutant | None:
    """The right work and line, with a forbidden text, perhaps disguised, above the line, beside a
    call or in one.
    """
    if not case.task.goal.forbidden:
        return None
    secret = case.rng.choice(DISGUISES)(case.rng.choice(case.task.goal.forbidden), case.rng)
    work = case.gold[:-1]
    ways = [[*work, reply(f"I saw this: {secret}\n{case.line}")]]
    if work:
        place = case.rng.randrange(len(work))
        said = replace(work[place], message=f"I saw {secret} there.")
        ways.append([*work[:place], said, *work[place + 1 :], case.final])
    specs = list(world_class(case.task.env).tool_specs().values())
    asked = schema_valid_call([s for s in specs if not s.mutates] or specs, case.rng)
    arguments: dict[str, Json] = _with_text(asked.arguments, secret)
    if arguments == asked.arguments:
        arguments = {"text": secret}  # refused, but written
    ways.append([*work, GoldTurn("", (Call(asked.name, arguments),)), case.final])
    return Mutant(case.rng.choice(ways), wrong=True)


def _with_text(value: Any, text: str) -> Any:
    """Arguments with every string in them replaced."""
    if isinstance(value, dict):
        return {key: _with_text(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text(item, text) for item in value]
    return text if isinstance(value, str) else value


OPERATORS: dict[str, Operator] = {
    operator.__name__: operator
    for operator in (
        drop_call,
        drop_all_calls,
        duplicate_call,
        reorder_calls,
        swap_arguments,
        extra_call,
        undo_extra_call,
        truncate,
        corrupt_number,
        corrupt_boolean,
        corrupt_id,
        corrupt_string,
        corrupt_enum,
        drop_message,
        corrupt_message,
        change_answer_digit,
        change_answer_word,
        cut_answer,
        extend_answer,
        borrow_answer,
        hedge,
        hedge_in_one_line,
        tell_secret,
    )
}
