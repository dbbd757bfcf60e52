"""The orders world with the few tasks that the JSON file beside this one lists.

`few.choose` copies this file to where it keeps its choice, so it imports nothing of the benchmarks.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tooldojo.envs.draft import Draft
from tooldojo.envs.orders.world import Orders

CHOICE = Path(__file__).with_suffix(".json")
DRAFTS = json.loads(CHOICE.read_text())["drafts"] if CHOICE.exists() else []


class FewOrders(Orders):
    """`Orders`, of which each level is one task, so that tasks take turns: one that stays away for
    a while may be unlearned on the others."""

    levels = tuple(range(1, len(DRAFTS) + 1)) or (1,)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """The task of a level; any, until the choice is made."""
        own, seed = DRAFTS[level - 1] if DRAFTS else (1, rng.randrange(12))
        return super().draft(Random(seed), own)
