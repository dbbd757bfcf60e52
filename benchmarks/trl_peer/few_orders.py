"""The orders world with few tasks, which both sides learn within minutes."""

from __future__ import annotations

from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.orders.world import Orders

PER_LEVEL = 8  # drafts; seven of ten fall into the train split


class FewOrders(Orders):
    """`Orders`, drawn from `PER_LEVEL` seeds a level."""

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One of the few."""
        return super().draft(Random(rng.randrange(PER_LEVEL)), level)
