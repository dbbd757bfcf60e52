"""Playing written turns in a world, for the gates: `Played` is all that a run showed.

Invariant: every run ends judged, by its final message or by the given stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tooldojo.envs.judging import approve
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import GoldTurn, Task
from tooldojo.envs.tools import ToolSpec
from tooldojo.envs.world import World
from tooldojo.verifiers.records import Score, StopReason, ToolCall


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: the check or operator that found it, the task ("" for none), what happened."""

    check: str
    task_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Played:
    """What a run through a task showed: results and rewards by turn, the hash chain, the score."""

    seen: tuple[tuple[str, ...], ...]
    rewards: tuple[float, ...]
    hashes: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    score: Score


def action(turn: GoldTurn) -> dict:
    """A written turn as `World.step` takes it."""
    calls = tuple({"name": call.name, "arguments": call.arguments} for call in turn.calls)
    return {"calls": calls, "message": turn.message or ""}


def reply(message: str) -> GoldTurn:
    """A turn that ends the task with a message."""
    return GoldTurn("", (), message)


def start(task: Task, max_turns: int | None = None) -> World:
    """A fresh instance at the beginning of a task; what only a judge can see is taken as given."""
    world = world_class(task.env)()
    world.judge = approve
    limit = {} if max_turns is None else {"max_turns": max_turns}
    world.reset(options={"task": task, **limit})
    return world


def lift_limit(world: World) -> None:
    """Keep the next step from being the last one allowed, by a wrapper's own limit as well.

    The count of turns starts again only where a limit binds; elsewhere calls keep their turns.
    """
    world.turn += 1
    world.turn = -1 if world.out_of_turns() else world.turn - 1


def merged_reads(turns: Sequence[GoldTurn], specs: Mapping[str, ToolSpec]) -> list[GoldTurn]:
    """The turns, with neighbouring ones that only read as one turn with several calls."""
    merged: list[GoldTurn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        both = [*(last.calls if last else ()), *turn.calls]
        writes = any(specs[call.name].mutates for call in both)
        if last and last.calls and turn.calls and not writes:
            merged[-1] = replace(last, calls=tuple(both))
        else:
            merged.append(turn)
    return merged


def play(
    world: World,
    turns: Sequence[GoldTurn],
    stop: StopReason = StopReason.MAX_TURNS,
    limited: bool = True,
) -> Played:
    """Step through `turns`; without a final message the run ends by `stop`.

    limited: whether the limits on turns hold.
    """
    seen, rewards = [], []
    for turn in turns:
        if not limited:
            lift_limit(world)
        result = world.step(action(turn))
        seen.append(result[0])
        rewards.append(result[1])
        if world.stop is not None:
            break
    score = world.score or world.finish(stop)
    return Played(tuple(seen), tuple(rewards), tuple(world.hashes), tuple(world.calls), score)


def play_task(
    task: Task, turns: Sequence[GoldTurn], stop: StopReason = StopReason.MAX_TURNS
) -> Played:
    """Play `turns` from the beginning on a fresh instance, with room for all of them."""
    return play(start(task, len(turns) + 1), turns, stop)
