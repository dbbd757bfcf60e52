"""Planting a fault in a world and letting the gates look for it.

A fault is a set of class attributes that replace a sound world's own, or a verifier in place of the
sound one. Invariant: a planted verifier is watched, so that one that never gave another verdict
than the sound one is told apart from one that the gates missed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tooldojo.envs.gates.audit import audit_world
from tooldojo.envs.gates.check import (
    TASK_CHECKS,
    WORLD_CHECKS,
    run_task_check,
    run_world_check,
    sample_tasks,
)
from tooldojo.envs.registry import register
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier
from tooldojo.verifiers.records import Evidence, Goal, Score

Plant = Callable[[type[World]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that any world can have. why: the reason where the gates are not expected to see it.

    plant: the attributes of the faulty world, made for the sound one.
    """

    kind: str
    plant: Plant
    why: str = ""


@dataclass(slots=True)
class Watch:
    """How often a planted verifier disagreed with the sound one, of how many verdicts."""

    verdicts: int = 0
    different: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fault in one world. caught_by: a check or an operator; "" for none."""

    kind: str
    world: str
    caught_by: str
    why: str = ""
    watch: Watch = field(default_factory=Watch)

    @property
    def equivalent(self) -> bool:
        """Whether the fault made no difference in this world."""
        return not self.caught_by and self.watch.verdicts > 0 and self.watch.different == 0


class WatchedVerifier(Verifier):
    """A faulty verifier that counts where it differs from the sound one."""

    sound: Verifier
    watch: Watch

    def __call__(self, evidence: Evidence, goal: Goal) -> Score:
        """The faulty verdict."""
        self.watch.verdicts += 1
        try:
            score = Verifier.__call__(self, evidence, goal)
        except Exception:
            self.watch.different += 1
            raise
        self.watch.different += score.value != self.sound(evidence, goal).value
        return score


def watched(faulty: Verifier, sound: Verifier) -> tuple[Verifier, Watch]:
    """A faulty verifier beside the sound one, and the counts of their differences."""
    watch = Watch()
    fields = {"sound": sound, "watch": watch, "__call__": WatchedVerifier.__call__}
    kind = type("Watched", (Verifier,), fields)
    return kind(faulty.parts), watch


def planted(base: type[World], fault: Fault) -> tuple[type[World], Watch]:
    """A world with one fault, registered under an id of its own."""
    fields, watch = dict(fault.plant(base)), Watch()
    if isinstance(fields.get("verifier"), Verifier):
        fields["verifier"], watch = watched(fields["verifier"], base.verifier)
    world = type(base.__name__, (base,), fields)
    name = re.sub(r"\W+", "_", fault.kind)  # gymnasium's ids take no other signs
    return register(f"planted/{name}.{base.__name__}-v0")(world), watch


def look_for(base: type[World], fault: Fault, trajectories: int, tasks: int) -> Verdict:
    """Run the gates until one finds something; a planted verifier is audited first."""
    try:
        world, watch = planted(base, fault)
    except Exception as error:  # a fault that cannot even be written down is caught
        return Verdict(fault.kind, base.env_id, f"definition: {error}")
    gates: list[Callable[[], str]] = [
        lambda: _check(world, tasks),
        lambda: _audit(world, trajectories // 8),  # most faults show at once
        lambda: _audit(world, trajectories),
    ]
    if "verifier" in vars(world):
        gates.append(gates.pop(0))
    for gate in gates:
        found = gate()
        if found:
            return Verdict(fault.kind, base.env_id, found, watch=watch)
    return Verdict(fault.kind, base.env_id, "", fault.why, watch)


def _check(world: type[World], count: int) -> str:
    for name in WORLD_CHECKS:
        if run_world_check(name, world):
            return name
    try:
        drawn = list(islice(sample_tasks(world, 0), max(2, count)))
    except Exception:
        return "sample_tasks"
    return next((name for name in TASK_CHECKS if run_task_check(name, drawn)), "")


def _audit(world: type[World], trajectories: int) -> str:
    try:
        findings = audit_world(world.env_id, trajectories).findings
    except Exception:
        return "sample_tasks"
    return findings[0].check if findings else ""
