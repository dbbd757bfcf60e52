"""Rewrites of a right trajectory that leave it right: other spellings, other ways to the same end.

A rewrite must keep the score of 1. Calls that are added avoid tools with planned time-outs, whose
count of calls they would shift. Invariant: another order is played only where every call answers
as before, the state ends the same, and no call says what was not known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from tooldojo.envs.gates.disguises import DRESSES
from tooldojo.envs.gates.mutants import Case, Mutant, Operator, after
from tooldojo.envs.gates.oracle import state_digest
from tooldojo.envs.gates.play import merged_reads, reply, start
from tooldojo.envs.gates.random_calls import grounded_call
from tooldojo.envs.gates.realisability import unknown_values
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.verifiers.combine import Criterion, Verifier
from tooldojo.verifiers.criteria import answer, answer_by_value
from tooldojo.verifiers.exact import number
from tooldojo.verifiers.reading import repeats
from tooldojo.verifiers.records import CallOutcome, Json

_TRIES = 6  # other orders of a kind, or failing calls, tried until one fits


def turn_argument_order(case: Case) -> Mutant | None:
    """The arguments of every call in the opposite order."""
    if all(len(call.arguments) < 2 for turn in case.gold for call in turn.calls):
        return None
    return _with_arguments(case, lambda old: dict(reversed(old.items())))


def respell_numbers(case: Case) -> Mutant | None:
    """Whole numbers, where either type may be: integers that were floats, and vice versa."""
    specs = world_class(case.task.env).tool_specs()

    def respelt(call: Call) -> Call:
        fields = specs[call.name].fields
        given = call.arguments.items()
        free = {name for name, _ in given if fields.get(name, {}).get("type") == "number"}
        return Call(call.name, {n: _other_spelling(v) if n in free else v for n, v in given})

    turns = [replace(turn, calls=tuple(map(respelt, turn.calls))) for turn in case.gold]
    pairs = zip(turns, case.gold, strict=True)
    return Mutant(turns) if any(repr(new) != repr(old) for new, old in pairs) else None


def _other_spelling(value: Json) -> Json:
    """12 for 12.0, and 12.0 for 12."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


def _with_arguments(case: Case, change: Callable[[dict[str, Json]], dict[str, Json]]) -> Mutant:
    turns = [
        replace(turn, calls=tuple(Call(c.name, change(c.arguments)) for c in turn.calls))
        for turn in case.gold
    ]
    return Mutant(turns)


def extra_reads(case: Case) -> Mutant | None:
    """Up to three reads before the demonstration, some in vain; none says a forbidden text."""
    world, secrets = start(case.task), case.task.goal.forbidden
    specs = [
        spec
        for spec in world.tool_specs().values()
        if not spec.mutates and spec.name not in case.task.faults
    ]
    if not specs:
        return None
    drawn = [grounded_call(world, specs, case.rng) for _ in range(case.rng.randint(1, 3))]
    calls = [c for c in drawn if not any(repeats(str(c.arguments), each) for each in secrets)]
    if not calls:
        return None
    return Mutant([*(GoldTurn("", (call,)) for call in calls), *case.gold])


def repeat_read(case: Case) -> Mutant | None:
    """One gold read made twice."""
    free = [call for call in case.reads if call.name not in case.task.faults]
    if not free:
        return None
    call = case.rng.choice(free)
    place = next(i for i, turn in enumerate(case.gold) if call in turn.calls)
    return Mutant([*case.gold[: place + 1], GoldTurn("", (call,)), *case.gold[place + 1 :]])


def parallel_reads(case: Case) -> Mutant | None:
    """Neighbouring turns that only read, as one turn with several calls."""
    turns = merged_reads(case.gold, world_class(case.task.env).tool_specs())
    return Mutant(turns) if len(turns) < len(case.gold) else None


def split_turns(case: Case) -> Mutant | None:
    """Turns with several calls, as one turn for each."""
    if all(len(turn.calls) < 2 for turn in case.gold):
        return None
    single = [
        part
        for turn in case.gold[:-1]
        for part in ([GoldTurn("", (call,)) for call in turn.calls] or [turn])
    ]
    return Mutant([*single, case.final])


def parallel_calls(case: Case) -> Mutant | None:
    """Two neighbouring turns as one with the calls of both, where the second needs no result of the
    first.
    """
    places = list(range(len(case.gold) - 2))
    case.rng.shuffle(places)
    for place in places:
        one, two = case.gold[place : place + 2]
        joined = replace(one, calls=(*one.calls, *two.calls))
        turns = [*case.gold[:place], joined, *case.gold[place + 2 :]]
        if one.calls and two.calls and _is_realisable(case, turns):
            return Mutant(turns)
    return None


def reorder_independent_calls(case: Case) -> Mutant | None:
    """Two neighbouring runs of turns, or the calls of a turn, the other way round, where they
    commute; other orders of the writes come first.
    """
    orders = list(_other_orders(case))
    if not orders:
        return None
    case.rng.shuffle(orders)
    came, written = _outcome(case, case.gold), _writes(case, case.gold)
    of_writes = [turns for turns in orders if _writes(case, turns) != written]
    of_reads = [turns for turns in orders if _writes(case, turns) == written]
    for turns in [*of_writes[:_TRIES], *of_reads[:_TRIES]]:
        if _outcome(case, turns) == came and _is_realisable(case, turns):
            return Mutant(turns)
    return None


def _other_orders(case: Case) -> Iterator[list[GoldTurn]]:
    """Both runs write, each with the looks among its turns, or both only read."""
    work = case.gold[:-1]
    for i, j, k in combinations(range(len(work) + 1), 3):
        one, two = work[i:j], work[j:k]
        if one != two and bool(_writes(case, one)) == bool(_writes(case, two)):
            yield [*work[:i], *two, *one, *case.gold[k:]]
    for place, turn in enumerate(work):
        turned = replace(turn, calls=turn.calls[::-1])
        if turned != turn and len(_writes(case, [turn])) in (0, len(turn.calls)):
            yield [*work[:place], turned, *case.gold[place + 1 :]]


def _writes(case: Case, turns: Sequence[GoldTurn]) -> list[Call]:
    written = [place.call for place in case.writes]
    return [call for turn in turns for call in turn.calls if call in written]


def _outcome(case: Case, turns: Sequence[GoldTurn]) -> tuple[str, list[str]]:
    """The state before the final message, and what each call gave, whatever their order."""
    world = after(case, turns[:-1])
    gave = [repr((c.name, c.arguments, c.outcome, c.mutated, c.result)) for c in world.calls]
    return state_digest(world.state), sorted(gave)


def _is_realisable(case: Case, turns: Sequence[GoldTurn]) -> bool:
    """Whether no call says what nothing before it said; the final message is the same."""
    return not any(unknown_values(replace(case.task, gold=tuple(turns[:-1]))))


def retry_after_failure(case: Case) -> Mutant | None:
    """A call that fails and changes nothing, then the right one."""
    tries = [
        (place, bad)
        for place, turn in enumerate(case.gold)
        for call in turn.calls
        for bad in _spoilt(call)
        if bad.name not in case.task.faults
    ]
    case.rng.shuffle(tries)
    for place, bad in tries[:_TRIES]:
        before = [*case.gold[:place], GoldTurn("", (bad,))]
        if after(case, before).calls[-1].outcome is not CallOutcome.OK:
            return Mutant([*before, *case.gold[place:]])
    return None


def _spoilt(call: Call) -> Iterator[Call]:
    """A tool that there is not, an argument left out, a text with a letter more."""
    yield Call(f"{call.name}_now", call.arguments)
    for name, value in call.arguments.items():
        rest = {key: other for key, other in call.arguments.items() if key != name}
        yield Call(call.name, rest)
        if isinstance(value, str):
            yield Call(call.name, {**call.arguments, name: f"{value}x"})


def respace_answer(case: Case) -> Mutant:
    """White space around and inside the final message."""
    spaced = case.line.replace(" ", case.rng.choice(["  ", " \t"]))
    return _said(case, f"\n {spaced} \n\n")


def explain_answer(case: Case) -> Mutant:
    """A sentence before the closing line."""
    return _said(case, f"I have looked into it and this is what I found.\n\n{case.line}")


def recase_answer(case: Case) -> Mutant | None:
    """The final message in capital or small letters, where the criteria do not mind."""
    if not _is_lenient(case):
        return None
    return _said(case, case.rng.choice([str.upper, str.lower])(case.line))


def end_with_full_stop(case: Case) -> Mutant | None:
    """A full stop after the closing line, where the criteria do not mind."""
    return _said(case, f"{case.line}.") if _is_lenient(case) else None


def dress_answer(case: Case) -> Mutant | None:
    """The closing line in bold, in a list or the like, where the criteria do not mind."""
    return _said(case, case.rng.choice(DRESSES).format(case.line)) if _is_lenient(case) else None


def _is_lenient(case: Case) -> bool:
    return _has(case, answer) or _has(case, answer_by_value)


def respell_value(case: Case) -> Mutant | None:
    """Another spelling of the numbers in the closing line, where the criteria go by value."""
    words = case.line.split(" ")
    values = [number(word) for word in words]
    if not any(values) or not _has(case, answer_by_value):
        return None
    times = case.rng.randint(2, 9)
    return _said(
        case,
        " ".join(
            word if value is None else f"{value.numerator * times}/{value.denominator * times}"
            for word, value in zip(words, values, strict=True)
        ),
    )


def _has(case: Case, criterion: Criterion) -> bool:
    verifier = world_class(case.task.env).verifier
    return isinstance(verifier, Verifier) and any(p.criterion is criterion for p in verifier.parts)


def _said(case: Case, message: str) -> Mutant:
    return Mutant([*case.gold[:-1], reply(message)])


REWRITES: dict[str, Operator] = {
    rewrite.__name__: rewrite
    for rewrite in (
        turn_argument_order,
        respell_numbers,
        extra_reads,
        repeat_read,
        parallel_reads,
        split_turns,
        parallel_calls,
        reorder_independent_calls,
        retry_after_failure,
        respace_answer,
        explain_answer,
        recase_answer,
        end_with_full_stop,
        dress_answer,
        respell_value,
    )
}
