"""What the ledger's templates write gold with: a `Story` that computes with the tools.

Each method returns the value that its call shows. Thoughts quote the problem or a result.
"""

from __future__ import annotations

from fractions import Fraction

from tooldojo.envs.gold import Script
from tooldojo.envs.maths.ledger import Ledger
from tooldojo.envs.task import GoldTurn
from tooldojo.verifiers.exact import spelled

_WORDS = {"plus": "plus", "minus": "minus", "times": "times", "over": "divided by"}


class Story(Script):
    """A demonstration on a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def entry(self, name: str) -> None:
        """Look up a price or a rate."""
        number = self._ledger.number
        self.do(f"I look up {name} in ledger {number}.", "ledger_entry", ledger=number, entry=name)

    def recall(self, name: str) -> None:
        """Look up a note."""
        number = self._ledger.number
        why = f"The problem starts from note {name} in {number}."
        self.do(why, "recall_note", ledger=number, note=name)

    def compute(self, left: Fraction, sign: str, right: Fraction) -> Fraction:
        """One step of arithmetic."""
        steps = {
            "plus": lambda: left + right, "minus": lambda: left - right,
            "times": lambda: left * right, "over": lambda: left / right,
        }  # fmt: skip
        a, b = spelled(left), spelled(right)
        why = f"The next step is {a} {_WORDS[sign]} {b}."
        self.do(why, "compute", left=a, sign=sign, right=b)
        return steps[sign]()

    def percent(self, percent: Fraction, value: Fraction) -> Fraction:
        """So many percent of a value."""
        p, v = spelled(percent), spelled(value)
        self.do(f"I need {p} percent of {v} here.", "take_percent", percent=p, value=v)
        return percent * value / 100

    def solve(self, factor: Fraction, summand: Fraction, total: Fraction) -> Fraction:
        """A linear equation."""
        a, b, c = spelled(factor), spelled(summand), spelled(total)
        why = f"The equation is {a} x plus {b} equals {c}."
        self.do(why, "solve_for_x", factor=a, summand=b, total=c)
        return (total - summand) / factor

    def factor(self, thought: str, one: str, other: str) -> None:
        """Look up a factor."""
        self.do(thought, "unit_factor", unit=one, into=other)

    def note(self, name: str, value: Fraction) -> None:
        """Note a value."""
        number, text = self._ledger.number, spelled(value)
        why = f"The value {text} has to be noted as {name}."
        self.do(why, "write_note", ledger=number, note=name, value=text)

    def end(self, value: Fraction, note: str = "") -> list[GoldTurn]:
        """Close with a value, noted before under `note`, where there is one."""
        if note:
            self.note(note, value)
        text = spelled(value)
        return self.close(
            f"The value asked for is {text}.", f"Result: {text} {self._ledger.number}"
        )

    def decline(self, thought: str, word: str) -> list[GoldTurn]:
        """Close without a value."""
        return self.close(thought, f"Result: {word} {self._ledger.number}")
