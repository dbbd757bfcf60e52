"""Writing demonstrations: a `Script` collects one call a turn, and `with_timeout` makes one of them
fail once.

Owns what the worlds' task generators share; refuses any knowledge of a particular world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tooldojo.envs.task import Call, GoldTurn
from tooldojo.verifiers.records import Json

MAX_GOLD_CALLS = 5


class Script:
    """A demonstration under construction: `do` for each call, `say` for each message to a user,
    then `close` with the final line.
    """

    def __init__(self) -> None:
        self._turns: list[GoldTurn] = []

    def do(self, thought: str, tool: str, /, **arguments: Json) -> Script:
        """Add a turn with one call."""
        self._turns.append(GoldTurn(thought, (Call(tool, arguments),)))
        return self

    def say(self, thought: str, message: str) -> Script:
        """Add a turn with a message that the world's user answers."""
        self._turns.append(GoldTurn(thought, (), message))
        return self

    def close(self, thought: str, line: str) -> list[GoldTurn]:
        """The whole demonstration, ending with `line`."""
        return [*self._turns, GoldTurn(thought, (), line)]


@dataclass(frozen=True, slots=True)
class TimedGold:
    """A demonstration and the faults that it lives through; `faults` is as in `Task`."""

    gold: list[GoldTurn]
    faults: dict[str, tuple[int, ...]]


def with_timeout(
    rng: Random, gold: Sequence[GoldTurn], chance: float, most: int = MAX_GOLD_CALLS
) -> TimedGold:
    """`gold` with, by `chance`, one call that times out and is repeated unchanged.

    A demonstration without calls, or one that the repetition would make longer than `most` calls,
    stays as it is.
    """
    places = [place for place, turn in enumerate(gold) if turn.calls]
    if not places or len(places) >= most or rng.random() >= chance:
        return TimedGold(list(gold), {})
    place = rng.choice(places)
    failed = gold[place]
    name = failed.calls[0].name
    earlier = sum(turn.calls[0].name == name for turn in gold[:place] if turn.calls)
    return TimedGold([*gold[: place + 1], retried(failed), *gold[place + 1 :]], {name: (earlier,)})


def retried(turn: GoldTurn) -> GoldTurn:
    """The same first call once more, after a time-out."""
    name = turn.calls[0].name
    return replace(turn, thought=f"The error says {name} timed out, so I try the same again.")
