"""What every world promises, one task at a time: each check yields what it found wrong.

A check takes a task and another one of the same world. Owns the promises about play; what random
and hostile calls must not do stands in `fuzzing`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tooldojo.envs.gates.oracle import state_digest
from tooldojo.envs.gates.play import Played, action, merged_reads, play, play_task, reply, start
from tooldojo.envs.gates.random_calls import grounded_call
from tooldojo.envs.registry import world_class
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.snapshot import clone
from tooldojo.envs.task import GoldTurn, Task
from tooldojo.envs.world import World
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.criteria import closing_line
from tooldojo.verifiers.records import Evidence, Json, Score, StopReason

CONSTANTS = ("", "Done.", "Result: done", "Result: refused", "I cannot help with that.")
_PROBES = 6  # random calls
_POLICY_STOPS = (
    StopReason.MAX_TURNS,
    StopReason.MAX_TOKENS,
    StopReason.CONTEXT_FULL,
    StopReason.MALFORMED,
)


def gold_scores_one(task: Task, _other: Task) -> Iterator[str]:
    """The demonstration succeeds within the world's turn limit, on the score and as the reward."""
    world = start(task)
    played = play(world, task.gold)
    if not played.score.success or played.score.value != 1.0:
        yield f"the demonstration scores {played.score.value}: {played.score.why}"
    if world.stop is not StopReason.ANSWERED:
        yield f"the demonstration needs more than {world.max_turns} turns"
    if played.rewards[-1:] != (played.score.value,):
        yield f"the last reward of the demonstration is {played.rewards[-1:]}"


def constant_replies_score_zero(task: Task, other: Task) -> Iterator[str]:
    """No message, a constant one, or another task's closing line earns nothing."""
    borrowed = other.goal.answer or ""
    same = closing_line(borrowed).casefold() == closing_line(task.goal.answer).casefold()
    for message in (*CONSTANTS, *(() if same else (borrowed,))):
        value = play_task(task, [reply(message)]).score.value
        if value != 0.0:
            yield f"the reply {message!r} scores {value}"


def play_is_deterministic(task: Task, other: Task) -> Iterator[str]:
    """The same turns show the same on two instances, and on one that played something before."""
    first = play_task(task, task.gold)
    if play_task(task, task.gold) != first:
        yield "the demonstration shows something else the second time"
    before = other if other.env == task.env else task  # a category's tasks differ in their world
    used = start(before)
    play(used, before.gold[:-1])
    used.reset(options={"task": task, "max_turns": len(task.gold) + 1})
    if play(used, task.gold) != first:
        yield "the demonstration shows something else after another task on the same instance"
    if len(set(first.hashes)) != len(first.hashes):
        yield "the hash chain comes back to an earlier link"


def global_generators_are_untouched(task: Task, _other: Task) -> Iterator[str]:
    """Neither Python's nor numpy's global generator moves when a task is drawn and played."""
    before = _generators()
    world_class(task.env).draft(random.Random(1), task.level)
    play_task(task, task.gold)
    if _generators() != before:
        yield "a global random generator was used; draw from the `rng` of `draft`"


def _generators() -> str:
    return repr((random.getstate(), np.random.get_state()))


def instances_are_isolated(task: Task, other: Task) -> Iterator[str]:
    """Two instances that take turns show what each shows alone."""
    for second in (other, task):
        alone = _log(task), _log(second)
        worlds = start(task, len(task.gold) + 1), start(second, len(second.gold) + 1)
        logs: tuple[list, list] = ([], [])
        for place in range(max(len(task.gold), len(second.gold))):
            for world, turns, log in zip(worlds, (task.gold, second.gold), logs, strict=True):
                if place < len(turns) and world.stop is None:
                    log.append(world.step(action(turns[place])))
        if logs != alone:
            yield "two instances that take turns show something else than each alone"


def _log(task: Task) -> list:
    world = start(task, len(task.gold) + 1)
    return [world.step(action(turn)) for turn in task.gold]


def snapshots_continue_identically(task: Task, _other: Task) -> Iterator[str]:
    """From a snapshot before any turn, the rest is the same: here, there, and after going back.

    The rest is that of the demonstration; before the final message it reads once more what it has
    read, which a forgotten cache answers as before the writes, and makes some random calls.
    """
    rng, probed = derived_random("snapshots", task.id), start(task)
    known = probed.tool_specs()
    specs = list(known.values())
    count = _PROBES if specs else 0
    probes = [GoldTurn("", (grounded_call(probed, specs, rng),)) for _ in range(count)]
    reads = [c for t in task.gold for c in t.calls if c.name in known and not known[c.name].mutates]
    again = [GoldTurn("", (call,)) for call in reads]
    turns = [*task.gold[:-1], *again, *probes, task.gold[-1]]
    for place in range(len(task.gold)):
        world = start(task, len(turns) + 1)
        for turn in turns[:place]:
            world.step(action(turn))
        snapshot, rest = world.snapshot(), turns[place:]
        before = content_hash(snapshot.state)
        here = play(world, rest)
        if content_hash(snapshot.state) != before:
            yield f"later turns changed the snapshot taken before turn {place}"
        fresh = start(task)
        fresh.restore(snapshot)
        fresh.turn_limit = world.turn_limit
        if play(fresh, rest) != here:
            yield f"a fresh instance goes on otherwise from the snapshot before turn {place}"
        world.restore(snapshot)
        if play(world, rest) != here:
            yield f"going back to the snapshot before turn {place} gives another end"


def step_equals_astep(task: Task, _other: Task) -> Iterator[str]:
    """The synchronous and the asynchronous step show the same."""

    async def run() -> list:
        world = start(task, len(task.gold) + 1)
        return [await world.astep(action(turn)) for turn in task.gold]

    if asyncio.run(run()) != _log(task):
        yield "astep shows something else than step"


def reads_do_not_disturb_each_other(task: Task, _other: Task) -> Iterator[str]:
    """Reads that are made in one turn show what they show one by one.

    The reads are those of the demonstration, and some random ones before its final message.
    """
    rng, probed = derived_random("reads", task.id), start(task)
    specs = probed.tool_specs()
    reads = [spec for spec in specs.values() if not spec.mutates]
    probes = [grounded_call(probed, reads, rng) for _ in range(_PROBES if reads else 0)]
    turns = [*task.gold[:-1], *(GoldTurn("", (call,)) for call in probes), task.gold[-1]]
    logs = []
    for wanted in (turns, merged_reads(turns, specs)):
        world = start(task, len(turns) + 1)
        play(world, wanted, limited=False)
        logs.append(([replace(call, turn=0) for call in world.calls], state_digest(world.state)))
    if logs[0] != logs[1]:
        yield "reads of one turn show something else than one by one"


def tasks_survive_json(task: Task, _other: Task) -> Iterator[str]:
    """A task that went through JSON is the same task and plays the same."""
    again = Task.from_json(json.loads(json.dumps(task.to_json())))
    if again.to_json() != task.to_json() or again.id != task.id:
        yield "the task is not the same after a round trip through JSON"
    elif again != replace(task, world=again.world, goal=again.goal):
        yield "a field of the task changed its type in JSON"
    elif play_task(again, again.gold) != play_task(task, task.gold):
        yield "the task plays otherwise after a round trip through JSON"


def nothing_hidden_is_shown(task: Task, _other: Task) -> Iterator[str]:
    """Prompt, results and infos depend on neither goal nor gold, nor quote the expected line."""
    decoy = replace(
        task,
        goal=replace(
            task.goal,
            world=clone(task.world),
            answer="Result: decoy",
            forbidden=tuple("decoy" for _ in task.goal.forbidden),
        ),
        gold=(GoldTurn("", (), "Result: decoy"),),
        template="decoy",
        condition="decoy",
        lineage="decoy",
    )
    shown = _shown(task, task.gold)
    if shown != _shown(decoy, task.gold):
        yield "what the model sees depends on the goal or on the demonstration"
    line = task.goal.answer or ""
    seen = [task.prompt, world_class(task.env).system_prompt, *shown]
    if ":" in line and any(line.casefold() in text.casefold() for text in seen):
        yield f"the expected closing line {line!r} is shown"


def _shown(task: Task, turns: tuple[GoldTurn, ...]) -> list[str]:
    """Everything but the verdict, which may depend on the goal, and the task's own hash."""
    world = start(task)
    observation, info = world.reset(options={"task": task, "max_turns": len(turns) + 1})
    known = repr([observation, {k: v for k, v in info.items() if k != "task_id"}])
    texts = [known]
    for turn in turns:
        seen, *_, info = world.step(action(turn))
        texts.append(repr([seen, {k: v for k, v in info.items() if k != "score"}]))
    return texts


def rewards_are_finite(task: Task, other: Task) -> Iterator[str]:
    """Every reward and score is a number in [0, 1], however a task ends."""
    runs = {
        "the demonstration": play_task(task, task.gold),
        "another task's demonstration": play_task(task, other.gold),
        "an empty reply": play_task(task, [reply("")]),
    }
    for stop in _POLICY_STOPS:
        for cut in (0, len(task.gold) - 1):
            runs[f"an end by {stop.value} after {cut} turns"] = play_task(
                task, task.gold[:cut], stop
            )
    for name, played in runs.items():
        yield from (f"{name}: {complaint}" for complaint in _bad_numbers(played))


def _bad_numbers(played: Played) -> Iterator[str]:
    values = [*played.rewards, played.score.value, *played.score.components.values()]
    if bad := [value for value in values if not (math.isfinite(value) and 0 <= value <= 1)]:
        yield f"a reward or a score of {bad[0]!r} is outside [0, 1]"
    if played.score.success != (played.score.value == 1.0):
        yield f"success is {played.score.success} at a value of {played.score.value!r}"


def verdicts_are_pure(task: Task, _other: Task) -> Iterator[str]:
    """Judging again, also from JSON, gives the same score and leaves the evidence as it was."""
    world = start(task, len(task.gold) + 1)
    score = play(world, task.gold).score
    evidence = world.evidence()
    stored = json.dumps(evidence.to_json())
    copy = Evidence.from_json(json.loads(stored))
    if _judged(world, evidence) != score or _judged(world, copy) != score:
        yield "judging the same evidence again gives another score"
    if json.dumps(evidence.to_json()) != stored:
        yield "judging changes the evidence"


def _judged(world: World, evidence: Evidence) -> Score:
    return world.verifier(evidence, world.task.goal)


def state_hash_is_canonical(task: Task, _other: Task) -> Iterator[str]:
    """Key order does not enter the state's hash, and every change of the state does."""
    world = start(task, len(task.gold) + 1)
    for turn in task.gold[:-1]:
        before, digest = world.state_hash(), state_digest(world.state)
        world.step(action(turn))
        if (world.state_hash() == before) != (state_digest(world.state) == digest):
            yield "the state's hash and the state do not change together"
    here = world.state_hash()
    world.state = _turned_round(world.state)
    world.on_load()
    if world.state_hash() != here:
        yield "the state's hash depends on the order of keys"


def _turned_round(value: Json) -> dict:
    def turned(item: Json) -> Json:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(item)}
        return [turned(each) for each in item] if isinstance(item, list) else item

    result = turned(value)
    assert isinstance(result, dict)
    return result
