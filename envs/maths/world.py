"""`tooldojo/Maths-v0`: a calculator, a unit table and ledgers that can be read and noted in.

Numbers are strings, so that they stay exact: 12, 2.5 or 7/3. Texts of the model are read as numbers
or refused, never evaluated.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import ClassVar, Literal

from tooldojo.envs.draft import Draft
from tooldojo.envs.maths.tasks import UNSEEN_COMBOS, UNSEEN_WORDINGS, draft
from tooldojo.envs.registry import register
from tooldojo.envs.tools import ToolError, tool
from tooldojo.envs.world import World
from tooldojo.verifiers.combine import Verifier, all_of
from tooldojo.verifiers.criteria import answer_by_value, final_state
from tooldojo.verifiers.exact import number, spelled
from tooldojo.verifiers.side_effects import no_side_effects

_SYSTEM = """You solve problems on ledgers with tools. Rules:
1. Take prices and rates from the ledger and factors from the unit table; compute with tools.
2. If two units have no direct factor, go by way of the unit that the error names.
3. Note a value only where the problem says so.
4. What the ledger lacks is missing. A problem that leaves out a number is undetermined, one that \
asks for no number is unsupported; then call nothing.
5. Repeat a call that timed out.
Close with one line, with exact numbers like 2.5 or 7/3: Result: <value, or that word> <ledger>"""
_LONGEST = 80  # characters of a number


@register("tooldojo/Maths-v0")
class Maths(World):
    """Word problems: look up, convert, compute, note, or say what is missing."""

    system_prompt: ClassVar[str] = _SYSTEM
    levels: ClassVar[tuple[int, ...]] = (1, 2, 3)
    verifier: ClassVar[Verifier] = all_of(
        final_state=final_state, answer=answer_by_value, no_side_effects=no_side_effects
    )
    unseen_combos: ClassVar[frozenset[tuple[str, str]]] = UNSEEN_COMBOS
    unseen_wordings: ClassVar[frozenset[int]] = UNSEEN_WORDINGS

    @classmethod
    def draft(cls, rng: Random, level: int) -> Draft:
        """One random task of a level."""
        return draft(rng, level)

    @tool(mutates=False, idempotent=True)
    def compute(
        self, left: str, sign: Literal["plus", "minus", "times", "over"], right: str
    ) -> str:
        """One step of arithmetic."""
        a, b = _read(left), _read(right)
        if sign == "over" and not b:
            raise ToolError("nothing can be divided by 0")
        steps = {"plus": a + b, "minus": a - b, "times": a * b}
        return _write(a / b if sign == "over" else steps[sign])

    @tool(mutates=False, idempotent=True)
    def take_percent(self, percent: str, value: str) -> str:
        """So many percent of a value."""
        return _write(_read(percent) * _read(value) / 100)

    @tool(mutates=False, idempotent=True)
    def solve_for_x(self, factor: str, summand: str, total: str) -> str:
        """Solve factor * x + summand = total."""
        if not (a := _read(factor)):
            raise ToolError("with a factor of 0 there is no single x")
        return _write((_read(total) - _read(summand)) / a)

    @tool(mutates=False, idempotent=True)
    def unit_factor(self, unit: str, into: str) -> str:
        """How many of another unit make one unit."""
        table = self.state["units"]
        known = table.get(unit, {})
        if into not in known:
            way = next((each for each in known if into in table.get(each, {})), None)
            hint = f"; go by way of {way}" if way else ""
            raise ToolError(f"no factor from {unit} into {into}{hint}")
        return known[into]

    @tool(mutates=False, idempotent=True)
    def ledger_entry(self, ledger: str, entry: str) -> str:
        """Price or rate in a ledger."""
        entries = self._part(ledger, "entries")
        if entry not in entries:
            raise ToolError(f"no entry {entry} in {ledger}; there are {', '.join(entries)}")
        return entries[entry]

    @tool(mutates=False, idempotent=True)
    def recall_note(self, ledger: str, note: str) -> str:
        """Value of a note."""
        notes = self._part(ledger, "notes")
        if note not in notes:
            raise ToolError(f"no note {note} in {ledger}")
        return notes[note]

    @tool(mutates=True, idempotent=True)
    def write_note(self, ledger: str, note: str, value: str) -> str:
        """Note a value in a ledger."""
        self._part(ledger, "notes")[note] = _write(_read(value))
        return f"noted {note} in {ledger}"

    def _part(self, ledger: str, part: Literal["entries", "notes"]) -> dict[str, str]:
        if ledger not in self.state["ledgers"]:
            raise ToolError(f"no ledger {ledger}")
        return self.state["ledgers"][ledger][part]


def _read(text: str) -> Fraction:
    value = number(text)
    if value is None:
        raise ToolError(f"a number is written like 12, 2.5 or 7/3, not {text[:_LONGEST]!r}")
    return value


def _write(value: Fraction) -> str:
    text = spelled(value)
    if len(text) > _LONGEST:
        raise ToolError(f"the result has more than {_LONGEST} characters")
    return text
