"""What operators work on and make: a `Case` around one task, and a `Mutant` of its demonstration.

Invariant: an operator draws from its case's generator alone. None looks at the verifier, but for
rewrites of the final message, which ask whether its criteria mind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tooldojo.envs.gates.oracle import Ending, ending_of
from tooldojo.envs.gates.play import action, lift_limit, play, start
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.envs.users import of_policy, of_user
from tooldojo.envs.world import World
from tooldojo.verifiers.records import StopReason, ToolCall


@dataclass(frozen=True, slots=True)
class Mutant:
    """Turns to play. `wrong` says that they are wrong by construction; else the oracle decides.

    stop: how the run ends where the turns close with no message.
    """

    turns: Sequence[GoldTurn]
    wrong: bool = False
    stop: StopReason = StopReason.MAX_TURNS


@dataclass(frozen=True, slots=True)
class Place:
    """A gold call that changed the state: its turn, its index there, and what it was."""

    turn: int
    index: int
    call: Call


@dataclass(frozen=True, slots=True)
class Case:
    """A task, what its demonstration did, and another task of the world, worded most alike.

    told: the turns whose message made the user change something.
    """

    task: Task
    other: Task
    writes: tuple[Place, ...]
    reads: tuple[Call, ...]
    told: tuple[int, ...]
    ending: Ending
    rng: Random = field(compare=False)

    @property
    def gold(self) -> tuple[GoldTurn, ...]:
        """The demonstration."""
        return self.task.gold

    @property
    def final(self) -> GoldTurn:
        """The turn with the final message."""
        return self.task.gold[-1]

    @property
    def line(self) -> str:
        """The expected closing line."""
        return self.task.goal.answer or ""


Operator = Callable[[Case], Mutant | None]  # None where it does not apply to the case


def make_case(task: Task, other: Task, rng: Random) -> Case:
    """Play the demonstration once and note what its calls did."""
    world = start(task, len(task.gold) + 1)
    play(world, task.gold)
    done = iter(of_policy(world.calls))
    told = tuple(sorted({call.turn for call in of_user(world.calls) if call.mutated}))
    writes, reads = [], []
    for number, turn in enumerate(task.gold):
        for index, call in enumerate(turn.calls):
            record: ToolCall = next(done)
            if record.mutated:
                writes.append(Place(number, index, call))
            elif not world.tool_specs()[call.name].mutates:
                reads.append(call)
    ending = ending_of(task, world.evidence())
    return Case(task, other, tuple(writes), tuple(reads), told, ending, rng)


def after(case: Case, turns: Sequence[GoldTurn]) -> World:
    """The world after some turns, whatever their limit."""
    world = start(case.task, len(turns) + 1)
    for turn in turns:
        lift_limit(world)
        world.step(action(turn))
    return world


def without(turns: Sequence[GoldTurn], place: Place) -> list[GoldTurn]:
    """The turns without one call; a turn that has no other one goes as well."""
    turn = turns[place.turn]
    rest = tuple(call for index, call in enumerate(turn.calls) if index != place.index)
    middle = [replace(turn, calls=rest)] if rest else []
    return [*turns[: place.turn], *middle, *turns[place.turn + 1 :]]


def with_call(turns: Sequence[GoldTurn], place: Place, call: Call) -> list[GoldTurn]:
    """The turns with another call in a place."""
    turn = turns[place.turn]
    calls = tuple(call if index == place.index else c for index, c in enumerate(turn.calls))
    return [*turns[: place.turn], replace(turn, calls=calls), *turns[place.turn + 1 :]]
