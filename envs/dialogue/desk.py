"""Random accounts and customers in plain data, drawn from one generator.

Invariant: numbers, names and days never repeat within a desk, a number read out wrongly included.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tooldojo.envs.dialogue.household import CHANNELS, SWITCHES
from tooldojo.envs.templates import Names
from tooldojo.verifiers.canonical import content_hash

_FIRST = """
    Beatrix Cosima Florin Greta Henrik Ilka Joris Katya Lorenz Mirela Nils Ophelia Piet Rosalba
    Sander Tilda Urban Vesna Wolfram Yara Zeno Abelard Bruna Cyprian Delphine Ernesto Frida
"""
_LAST = """
    Achterberg Brandvold Cordero Drummel Eberhardt Fontaine Grzelak Halloran Iverson Janowski
    Kettering Lindqvist Montague Nakagawa Oberlin Pettersen Quintero Rasmussen Stanhope Thorburn
"""
INITIALS = "BDEFGHJKLMNOPSTVZ"
FIRST, LAST = _FIRST.split(), _LAST.split()
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
PLANS = ("basic", "swift", "ultra")
PARTS = ("cable", "adapter", "antenna")
_SCANNED = 3  # channels


def networks(box: str) -> dict[str, int]:
    """How many networks a box sees on each of some channels; no two as many."""
    rng = Random(int(content_hash(["networks", box]), 16))
    channels = sorted(rng.sample(CHANNELS, _SCANNED))
    counts = rng.sample(range(1, 10), _SCANNED)
    return {str(channel): count for channel, count in zip(channels, counts, strict=True)}


class Desk:
    """A world under construction, with one customer on the phone."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._names = Names()
        self.accounts: dict[str, dict[str, Any]] = {}
        self.boxes: list[str] = []
        self.account = self.new_account()
        self.row = self.accounts[self.account]
        settings = {name: rng.choice(values) for name, values in SWITCHES.items()}
        settings |= {"cable": "in", "channel": str(rng.choice(CHANNELS))}
        self.user: dict[str, Any] = {
            "name": self.row["name"], "account": self.account, "box": self.row["box"],
            "day": rng.choice(DAYS), "settings": settings, "fresh": True, "slips": {},
        }  # fmt: skip

    def world(self) -> dict[str, Any]:
        """The state that the desk has become."""
        return {
            "accounts": self.accounts, "boxes": self.boxes, "orders": {}, "visits": {},
            "user": self.user,
        }  # fmt: skip

    def person(self) -> str:
        """A new name."""
        pick = self.rng.choice
        return self._names.new(lambda: f"{pick(FIRST)} {pick(INITIALS)} {pick(LAST)}")

    def number(self) -> str:
        """A new account number, of nobody."""
        return self._names.new(lambda: f"C{self.rng.randint(10000, 99999)}")

    def box(self) -> str:
        """A new box number, of no box."""
        return self._names.new(lambda: f"R{self.rng.randint(100000, 999999)}")

    def new_account(self) -> str:
        """A new account, with nothing wrong."""
        account, box = self.number(), self.box()
        self.accounts[account] = {
            "name": self.person(), "plan": self.rng.choice(PLANS), "line": "open", "owes": 0,
            "box": box,
        }  # fmt: skip
        return account

    def owe(self) -> None:
        """Let the customer owe something."""
        self.row["owes"] = self.rng.randint(5, 90)

    def clutter(self) -> None:
        """Another account, perhaps barred, and a box in stock."""
        other = self.accounts[self.new_account()]
        other["line"] = self.rng.choice(("open", "barred"))
        self.boxes = sorted([*self.boxes, self.box()])
