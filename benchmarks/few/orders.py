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
ANY = [[1, seed] for seed in range(12)]  # until the choice is made
DRAFTS = json.loads(CHOICE.read_text())["drafts"] if CHOICE.exists() else ANY


class FewOrders(Orders):
    """`Orders`, drawn from pairs of level and seed, all of them equally often."""

    levels = (1,)

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One of the few, whatever its own level."""
        own, seed = rng.choice(DRAFTS)
        return super().draft(Random(seed), own)
