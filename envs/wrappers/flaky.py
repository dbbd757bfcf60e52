"""Time-outs that a wrapper adds to a task, and the demonstration that lives through them.

Owns nothing at play time: a fault is part of the task, and the world makes it happen. Invariant:
the demonstration reaches the same end, and stays within the turns that are allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tooldojo.envs.gold import TimedGold, retried
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.task import GoldTurn

CALLS = 32  # of each tool; later ones never fail


def with_failures(
    gold: Sequence[GoldTurn],
    faults: Mapping[str, Sequence[int]],
    tools: Collection[str],
    chance: float,
    room: int,
    *seed: str | int,
) -> TimedGold:
    """Let each call of each tool fail by `chance`, besides the `faults` that the gold knows.

    Of the demonstration's own calls, those that stand alone in a turn can fail, at most `room`
    times in all, so that it fits and what runs first still runs first.
    """
    fails: dict[str, list[bool]] = {}
    for name in sorted(tools):
        rng = derived_random(*seed, name)
        fails[name] = [rng.random() < chance for _ in range(CALLS)]
    ran: Counter[str] = Counter()
    before: Counter[str] = Counter()
    failed: dict[str, set[int]] = {name: set() for name in fails}
    turns: list[GoldTurn] = []
    for turn in gold:
        for call in turn.calls:
            name = call.name
            known = before[name] in faults.get(name, ())
            while len(turn.calls) == 1 and not known and room and any(fails[name][ran[name] :][:1]):
                turns.append(turn)
                turn = retried(turn) if turn.thought else turn
                failed[name].add(ran[name])
                ran[name] += 1
                room -= 1
            if known:
                failed[name].add(ran[name])
            before[name] += 1
            ran[name] += 1
        turns.append(turn)
    for name, draws in fails.items():
        failed[name] |= {place for place in range(ran[name], CALLS) if draws[place]}
    return TimedGold(turns, {name: tuple(sorted(when)) for name, when in failed.items() if when})
