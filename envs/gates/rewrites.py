"""Rewrites that change how a right trajectory is written and not what it does.

A rewrite must keep the score of 1. Reads that are added avoid tools with planned time-outs, whose
count of calls they would shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tooldojo.envs.gates.disguises import DRESSES
from tooldojo.envs.gates.mutants import Case, Mutant, Operator
from tooldojo.envs.gates.play import merged_reads, reply, start
from tooldojo.envs.gates.random_calls import grounded_call
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn
from tooldojo.verifiers.combine import Criterion, Verifier
from tooldojo.verifiers.criteria import answer, answer_by_value
from tooldojo.verifiers.exact import number
from tooldojo.verifiers.reading import repeats
from tooldojo.verifiers.records import Json


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
        respace_answer,
        explain_answer,
        recase_answer,
        end_with_full_stop,
        dress_answer,
        respell_value,
    )
}
