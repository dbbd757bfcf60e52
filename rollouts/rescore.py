"""Stored trajectories judged again from their evidence, by today's verifiers and, where one is
given, by another judge.

Refuses to change the store, and to play anything; see `replay` for that. Invariant: with the same
verifiers and no judge every verdict is the stored one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tooldojo.envs.judging import Judge, JudgeLost
from tooldojo.envs.registry import world_class
from tooldojo.rollouts.store import StoredRow
from tooldojo.verifiers.records import Score


@dataclass(frozen=True, slots=True)
class Rescored:
    """A stored trajectory with its verdict and the new one; None is no verdict, `why` says why."""

    stage: str
    step: int
    ordinal: int
    member: int
    before: Score | None
    after: Score | None
    why: str = ""

    @property
    def changed(self) -> bool:
        """Whether the verdicts differ."""
        return self.before != self.after


async def rescore(row: StoredRow, judge: Judge | None = None) -> Rescored:
    """Judge a stored trajectory again; `judge` is asked anew, without it stored opinions count."""
    played = row.trajectory
    after, why = None, ""
    try:
        after = await _verdict(row, judge)
    except JudgeLost as error:
        why = str(error)
    except Exception as error:  # a verifier that fails gives no verdict, here as in play
        why = f"{type(error).__name__}: {error}"
    place = (row.stage, row.step, played.ordinal, played.member)
    return Rescored(*place, played.score, after, why)


async def _verdict(row: StoredRow, judge: Judge | None) -> Score | None:
    task, evidence = row.task, row.trajectory.evidence
    if evidence is None:
        return None  # the world crashed or the engine was lost: there was nothing to judge
    world = world_class(task.env)
    components = world.components()
    if judge is not None and components.judged:
        opinions = await components.ask(judge, evidence, world.reward_goal(task))
        evidence = replace(evidence, gathered={**evidence.gathered, **opinions})
    return world.verifier(evidence, task.goal)
