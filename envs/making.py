"""From drafts to tasks: which split a draft belongs to, and the proof by its own demonstration.

Owns the rule that tells splits apart. Invariant: a task exists only when its gold scores 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tooldojo.envs.blame import described, place_of
from tooldojo.envs.calls import RAN, DraftError, WorldCrash
from tooldojo.envs.draft import Draft
from tooldojo.envs.judging import approve
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.snapshot import clone
from tooldojo.envs.task import GoldTurn, Split, Task
from tooldojo.verifiers.canonical import content_hash
from tooldojo.verifiers.records import Goal

if TYPE_CHECKING:
    from tooldojo.envs.world import World

ATTEMPTS = 2000  # drafts, until one belongs to the split


def drawn(world: type[World], seed: int, split: Split, level: int, ordinal: int) -> Task:
    """Task number `ordinal` of a split: drawn until it belongs there; see `World.make_task`.

    Raises:
        DraftError: when the world's own code fails on the way.
    """
    unseen = {Split.TEST_COMBOS: world.unseen_combos, Split.TEST_WORDINGS: world.unseen_wordings}
    attempts = ATTEMPTS if unseen.get(split, True) else 0  # none where nothing is held back
    place = (world.origin_id(), split.value, level, ordinal)
    for attempt in range(attempts):
        lineage = f"seed={seed} ordinal={ordinal} attempt={attempt}"
        rng = Random(derive_seed(seed, "task", *place, attempt))
        try:
            draft = world.draft(rng, level)
            if not isinstance(draft, Draft):
                kind = type(draft).__name__
                raise DraftError(f"{world.__name__}: `draft` returns a Draft, not {kind}")
            if world.split_of(draft) is split:
                return complete(world, draft, split, level, lineage)
        except WorldCrash:
            raise
        except Exception as error:
            missing = isinstance(error, NotImplementedError)
            if place_of(error) is None and not missing:  # ours, or there is no such task
                raise
            what = f"no task can be made: {described(error)}; mend that and try again"
            raise DraftError(f"{world.__name__}: {what}") from error
    raise LookupError(
        f"{world.__name__} has no task of level {level} for the split {split.value!r}"
    )


def split_of(world: type[World], draft: Draft) -> Split | None:
    """Where a draft belongs: by what is held out, else by the hash of its content; None where both
    its combination and its wording are held out.
    """
    combo = (draft.template, draft.condition) in world.unseen_combos
    wording = draft.wording in world.unseen_wordings
    if combo or wording:
        both = combo and wording
        return None if both else (Split.TEST_COMBOS if combo else Split.TEST_WORDINGS)
    bucket = int(content_hash([world.origin_id(), draft.prompt, draft.world]), 16) % 10
    return Split.TRAIN if bucket < 7 else Split.VAL if bucket == 7 else Split.TEST


def complete(world: type[World], draft: Draft, split: Split, level: int, lineage: str) -> Task:
    """The task of a draft: its goal is where the demonstration leads.

    Raises:
        WorldCrash: when the gold does not score 1.
    """
    final = draft.gold[-1].message if draft.gold else None
    answer = draft.answer or (final or "").strip().rsplit("\n", 1)[-1] or None
    goal = Goal(answer=answer, ignore=draft.ignore, forbidden=draft.forbidden)
    bare = Task(
        world.env_id, draft.prompt, clone(draft.world), goal, tuple(draft.gold), level, split,
        draft.template, draft.condition, draft.wording, dict(draft.faults), lineage,
    )  # fmt: skip
    played = world()
    play_gold(played, bare, bare.gold[:-1])
    goal = replace(goal, world=clone(played.state))
    task = Task(**{**{name: getattr(bare, name) for name in Task.__slots__}, "goal": goal})
    score = played.replay_gold(task)
    if not score.success:
        raise WorldCrash(f"{world.__name__}: the gold of a task scores {score.value}: {score.why}")
    return task


def play_gold(world: World, task: Task, turns: Sequence[GoldTurn]) -> None:
    """Play turns of a demonstration; judged components count as given, and nothing waits.

    Raises:
        WorldCrash: for a call that the world refuses.
    """
    judge, world.judge, world.proving = world.judge, approve, True
    try:
        world.reset(options={"task": task, "max_turns": len(turns) + 1})
        for turn in turns:
            calls = tuple({"name": c.name, "arguments": c.arguments} for c in turn.calls)
            world.step({"calls": calls, "message": turn.message or ""})
    finally:
        world.judge, world.proving = judge, False
    bad = next((c for c in world.calls if c.outcome not in RAN), None)
    if bad:
        raise WorldCrash(f"{type(world).__name__}: unplayable gold: {bad}")
