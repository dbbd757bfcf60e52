"""What an author writes for one task: a `Draft`, and `call` and `steps` for its gold.

Owns nothing but plain records; `World.make_task` turns a draft into a proven `Task`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tooldojo.envs.task import Call, GoldTurn
from tooldojo.verifiers.records import Json


@dataclass(frozen=True, slots=True)
class Draft:
    """What an author writes for one task; the goal's final state comes from replaying the gold.

    answer: the expected closing line; by default the last line of the gold's final message.
    """

    prompt: str
    world: dict[str, Json]
    gold: Sequence[GoldTurn]
    template: str = ""
    condition: str = ""
    wording: int = 0
    faults: dict[str, tuple[int, ...]] = field(default_factory=dict)
    answer: str | None = None
    ignore: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


def call(name: str, /, **arguments: Json) -> Call:
    """A gold call, as an author writes it."""
    return Call(name, arguments)


def steps(*calls: Call, say: str, thoughts: Sequence[str] = ()) -> list[GoldTurn]:
    """Gold with one call a turn and the final message `say`; `thoughts` may be given per turn."""
    filled = [*thoughts, *[""] * (len(calls) + 1 - len(thoughts))]
    turns = [GoldTurn(thought, (each,)) for thought, each in zip(filled, calls, strict=False)]
    return [*turns, GoldTurn(filled[len(calls)], (), say)]
