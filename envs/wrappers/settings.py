"""`Wrappers`: which wrappers a world wears, as written behind the `?` of its reference.

Owns the syntax `flaky=0.2&rename=1&seed=3`, its check and its one canonical spelling. Invariant:
`Wrappers.parse(str(wrappers)) == wrappers` where anything but the seed is set, so an env id alone
rebuilds its world anywhere.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from typing import Any

from tooldojo.envs.seeding import derived_random

LONGEST = 120.0  # seconds of a call; longer ones belong to deadlines, not here


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that a call takes: drawn evenly between two bounds, of which both may be 0.

    Written as a range (`0.2-2`), or as the mean where the range begins at 0 (`1.1` for 0 to 2.2).
    """

    low: float = 0.0
    high: float = 0.0

    def __bool__(self) -> bool:
        return self.high > 0

    def __str__(self) -> str:
        if self.low:
            return f"{_number(self.low)}-{_number(self.high)}"
        return f"{self.high / 2:.7f}".rstrip("0").rstrip(".")  # half of six digits

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Read a range or a mean.

        Raises:
            ValueError: for anything else, and for bounds out of order or out of range.
        """
        first, *last = re.split(r"(?<![eE])-", text, maxsplit=1)
        low, high = (float(first), float(last[0])) if last else (0.0, 2 * float(first))
        if not 0 <= low <= high <= LONGEST:  # a NaN fails this, too
            raise ValueError(f"no seconds from {low} to {high}")
        return cls(round(low, 6), round(high, 6))

    def seconds(self, seed: int, state: str, tool: str, arguments: dict[str, Any]) -> float:
        """How long a call takes; the same call in the same state always takes as long.

        state: the world's last hash.
        """
        luck = derived_random(seed, "latency", state, tool, repr(arguments)).random()
        return self.low + (self.high - self.low) * luck


@dataclass(frozen=True, slots=True)
class Wrappers:
    """All off by default.

    flaky: chance that a call times out before anything ran. rename, params: other names for tools,
    for parameters. strings: numbers are given as strings. nest: arguments stand in one object.
    shuffle: another order of the tools. distractors: how many tools of other worlds are offered.
    latency: seconds that a call takes. turns: at most so many, whatever a recipe allows.
    seed: which names, order, distractors, failures and delays these are.
    """

    flaky: float = 0.0
    rename: bool = False
    params: bool = False
    strings: bool = False
    nest: bool = False
    shuffle: bool = False
    distractors: int = 0
    latency: Latency = Latency()
    turns: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, query: str) -> Wrappers:
        """Read `name=value&name=value`.

        Raises:
            LookupError: for an unknown name, with the nearest known one.
            ValueError: for a value out of range, a name given twice, or a part without a value.
        """
        found: dict[str, Any] = {}
        for part in query.split("&") if query else ():
            name, equals, value = part.partition("=")
            if name not in _DOMAINS:
                near = difflib.get_close_matches(name, _DOMAINS, 1, 0.4)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise LookupError(f"no wrapper {name!r}; {hint}There are {', '.join(_DOMAINS)}.")
            if name in found:
                raise ValueError(f"wrapper {name!r} is given twice; give it once")
            found[name] = _DOMAINS[name].read(name, value if equals else "")
        return cls(**found)

    def __str__(self) -> str:
        """The canonical spelling: what differs from the default, in a fixed order; "" for none."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        if not any(value for name, value in kept.items() if name != "seed"):
            return ""
        return "&".join(f"{name}={_spelled(value)}" for name, value in kept.items() if value)


def _spelled(value: float | Latency) -> str:
    return str(value) if isinstance(value, Latency) else _number(value)


def _number(value: float) -> str:
    """Few digits, never an exponent; True is 1."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class _Domain:
    """The values that a wrapper takes."""

    kind: type[bool] | type[int] | type[float]
    high: float
    low: float = 0

    def read(self, name: str, text: str) -> bool | int | float:
        """The value written in a reference; ValueError says what the wrapper takes."""
        try:
            value = float(text) if self.kind is float else int(text)
        except ValueError:
            value = self.low - 1
        if not self.low <= value <= self.high:  # a NaN fails this, too
            kind = "0 or 1" if self.kind is bool else f"{self.low:g} to {self.high:g}"
            what = "a number" if self.kind is float else "an integer"
            raise ValueError(f"wrapper {name}={text!r}: it takes {what}, {kind}")
        return round(value, 6) if self.kind is float else self.kind(value)


class _Seconds:
    """The values that `latency` takes."""

    def read(self, name: str, text: str) -> Latency:
        """As `_Domain.read`."""
        try:
            return Latency.parse(text)
        except ValueError:
            raise ValueError(
                f"wrapper {name}={text!r}: it takes seconds, a mean of 0 to {LONGEST / 2:g} or a "
                f"range such as 0.2-2 within 0 to {LONGEST:g}"
            ) from None


_FLAG = _Domain(bool, 1)
_DOMAINS = {
    "flaky": _Domain(float, 0.9),
    "rename": _FLAG,
    "params": _FLAG,
    "strings": _FLAG,
    "nest": _FLAG,
    "shuffle": _FLAG,
    "distractors": _Domain(int, 99),
    "latency": _Seconds(),
    "turns": _Domain(int, 100),
    "seed": _Domain(int, 10**6 - 1),
}
