"""A scripted policy playing a world directly, for watching: no tokenizer, no tokens.

Invariant: the verdict is the one that the same script gets through tokens, within the turn limit.
"""

from __future__ import annotations

from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.task import GoldTurn, Task
from tooldojo.envs.world import World
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.scripted import Script
from tooldojo.training.transcripts import (
    NAMES,
    ResultView,
    SpanView,
    Transcript,
    TurnView,
)


def play_script(task: Task, script: Script, seed: int, max_turns: int) -> Transcript:
    """Play one task to its end; spans show the turns as the Hermes format would write them."""
    world = world_class(task.env)()
    world.reset(options={"task": task, "max_turns": max_turns})
    turns = []
    while world.stop is None:
        turn = script.turn(task, world.turn, derive_seed(seed, "turn", world.turn))
        turns.append(_play_turn(world, turn))
    assert world.score is not None
    return Transcript(
        world.score.success,
        world.score.value,
        world.score.why,
        world.stop.value,
        f"scripted {script.name}",
        "none",
        0,
        0,
        0.0,
        tuple(turns),
    )


def _play_turn(world: World, turn: GoldTurn) -> TurnView:
    calls = tuple({"name": call.name, "arguments": call.arguments} for call in turn.calls)
    before = len(world.calls)
    world.step({"calls": calls, "message": turn.message or ""})
    form = call_format("hermes")
    text = form.render(turn)
    spans = form.parse(text).spans
    return TurnView(
        tuple(SpanView(NAMES[s.kind], text[s.start : s.end], 0, False) for s in spans),
        None,
        False,
        tuple(
            ResultView(call.name, call.outcome.value, call.result, call.mutated)
            for call in world.calls[before:]
        ),
    )
