"""What became of every trajectory that training asked for: `ledger`.

Owns the three ways to settle. Invariant of a sound store: each (ordinal, member) that was issued
settled exactly once, whatever was killed meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.rollouts.store import StoredRow

Place = tuple[int, int]  # ordinal, member


class Settled(StrEnum):
    """What a trajectory was good for."""

    TRAINED = "trained"
    ZERO_VARIANCE = "zero_variance"  # its group's rewards are all equal: no advantage, no gradient
    FAILED = "failed"  # no verdict; out of the loss and of its group's statistics


@dataclass(frozen=True, slots=True)
class Ledger:
    """Places that settled, by how; those that never did, and those that did more than once."""

    settled: dict[Place, Settled]
    lost: tuple[Place, ...]
    duplicated: tuple[Place, ...]

    @property
    def sound(self) -> bool:
        """Whether everything settled exactly once."""
        return not (self.lost or self.duplicated)

    def counts(self) -> dict[str, int]:
        """How many settled each way."""
        found = Counter(self.settled.values())
        return {way.value: found[way] for way in Settled}


def settle(group: Group, trajectory: Trajectory) -> Settled:
    """How one member of a group settled."""
    if trajectory.score is None:
        return Settled.FAILED
    return Settled.ZERO_VARIANCE if group.dead else Settled.TRAINED


def ledger(rows: Iterable[StoredRow], ordinals: int, group_size: int) -> Ledger:
    """The ledger of stored training rows, against the ordinals 0 to `ordinals` - 1 that were
    issued.
    """
    played: dict[int, list[StoredRow]] = {}
    for row in rows:
        played.setdefault(row.trajectory.ordinal, []).append(row)
    settled: dict[Place, Settled] = {}
    duplicated: list[Place] = []
    for ordinal, stored in sorted(played.items()):
        members = {row.trajectory.member: row.trajectory for row in stored}
        group = Group(ordinal, stored[0].task, tuple(members.values()))
        for member, trajectory in sorted(members.items()):
            settled[ordinal, member] = settle(group, trajectory)
        times = Counter(row.trajectory.member for row in stored)
        duplicated += [(ordinal, member) for member, n in sorted(times.items()) if n > 1]
    issued = ((o, m) for o in range(ordinals) for m in range(group_size))
    return Ledger(settled, tuple(p for p in issued if p not in settled), tuple(duplicated))
