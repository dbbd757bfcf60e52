"""Random workbenches: modules with functions, their tests, and trials that nobody is shown.

Functions and modules carry random numbers, so that no closing line fits two tasks. Invariant: a
function's tests are those of what it should compute, its trials those of what it will.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tooldojo.envs.coding.bodies import KINDS, VALUES, Body, edges_of, new_body, other_body
from tooldojo.envs.templates import Names

_TRIALS = 12  # random pairs that a request can name, besides the corners and edges of a body
_WIDE_TRIALS, _WIDEST = 4, 9999  # random pairs beyond those


class Scene:
    """A world under construction, and the names used in it so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.functions: dict[str, dict[str, Any]] = {}
        self._ends: dict[str, Body] = {}
        self._tests: dict[str, list[list[int]]] = {}
        self._names = Names()

    def world(self) -> dict[str, Any]:
        """The state that the scene has become."""
        trials: dict[str, list[list[int]]] = {}
        wanted: dict[str, list[str]] = {}
        for name, end in self._ends.items():
            pairs = self._trials(end)
            trials[name] = [list(pair) for pair in pairs]
            wanted[name] = [str(end.value(a, b)) for a, b in pairs]
        return {
            "functions": self.functions, "tests": self._tests, "trials": trials, "wanted": wanted,
        }  # fmt: skip

    def _trials(self, body: Body) -> list[tuple[int, int]]:
        """Arguments on which a body that computes something else is seen to."""
        edges = [pair for number in edges_of(body) for pair in self._beside(number)]
        named = [self.pair() for _ in range(_TRIALS)]
        wide = [
            (self.rng.randint(0, _WIDEST), self.rng.randint(0, _WIDEST))
            for _ in range(_WIDE_TRIALS)
        ]
        return [*body.corners, *edges, *named, *wide]

    def _beside(self, number: int) -> list[tuple[int, int]]:
        """A number as one argument, beside a random other one."""
        return [(number, self.rng.randint(*VALUES)), (self.rng.randint(*VALUES), number)]

    def module(self) -> str:
        """The name of a new module."""
        return self._names.new(lambda: f"R{self.rng.randint(1000, 9999)}")

    def name(self) -> str:
        """A function's name that is not used yet."""
        return self._names.new(lambda: f"W{self.rng.randint(1000, 9999)}")

    def kind(self) -> str:
        """Any kind of body."""
        return self.rng.choice(KINDS)

    def pair(self) -> tuple[int, int]:
        """Arguments that a request can name."""
        return self.rng.randint(*VALUES), self.rng.randint(*VALUES)

    def telling_pair(self, name: str) -> tuple[int, int]:
        """Arguments of which a function gives neither, so that it must be run."""
        while True:
            a, b = self.pair()
            if self.now(name).value(a, b) not in (a, b):
                return a, b

    def function(
        self,
        module: str | None = None,
        should: Body | None = None,
        broken: bool = False,
        status: str = "draft",
        name: str | None = None,
    ) -> str:
        """A new function, in a module of its own by default, that its tests hold to `should`."""
        should = should or new_body(self.rng, self.kind())
        name = name or self.name()
        pairs = [*should.corners, *(self.pair() for _ in range(self.rng.randint(2, 4)))]
        self._tests[name] = [[a, b, should.value(a, b)] for a, b in pairs]
        has = other_body(self.rng, should) if broken else should
        self.functions[name] = {
            "module": module or self.module(), "body": has.code, "status": status,
            "edited": False,
        }  # fmt: skip
        self._ends[name] = has
        return name

    def will_be(self, name: str, body: Body) -> None:
        """Say what a function computes from here to the end of the task."""
        self._ends[name] = body

    def now(self, name: str) -> Body:
        """What a function computes, as far as the story has got."""
        return self._ends[name]

    def passed(self, name: str) -> tuple[int, int]:
        """How many of its tests a function passes now, and how many there are."""
        tests = self._tests[name]
        return sum(self.now(name).value(a, b) == want for a, b, want in tests), len(tests)

    def clutter(self) -> None:
        """Other functions, in modules of their own."""
        for _ in range(self.rng.randint(2, 3)):
            broken = self.rng.random() < 0.3
            status = "draft" if broken else self.rng.choice(("draft", "released"))
            self.function(broken=broken, status=status)
