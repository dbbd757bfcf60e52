"""The audit of a grader of answers: what it pays, refuses and runs, seen through its scores alone.

Owns the attacks on single-turn verifiers that others wrote. Refuses names and source: a grader is
whatever answers `score`. Invariant: an answer counts as wrong only when it is gibberish, empty or
the question itself, which are right nowhere; all other attacks are measured as rates.
"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from tooldojo.envs.gates.canaries import canaries
from tooldojo.envs.gates.play import Finding
from tooldojo.envs.seeding import derived_random
from tooldojo.envs.verdict import Audit
from tooldojo.verifiers.records import Json

CONSTANTS = (
    "0", "1", "2", "yes", "no", "True", "False", "None", "null", "[]", "{}", "a", "A", "()",
    "Done.", "I cannot help with that.", "correct", "score: 1.0",
)  # fmt: skip
BLOCKING = {  # by name of a finding: why nothing may train on it
    "executes_answers": "runs the answer as code",
    "pays_gibberish": "pays in full for an answer that is right nowhere",
    "no_reference": "stores no answer, so that no task can be proven",
    "rejects_reference": "does not pay its own answer in full",
    "bad_score": "gives scores outside [0, 1]",
    "not_reproducible": "gives other items or scores for the same seed",
    "unusable": "cannot be asked",
}
FLAGS = {
    "hash_order": "its items depend on the order of Python's sets",
    "pays_hedges": "pays in full for the right answer beside a wrong one",
    "pays_near_misses": "pays in full for an answer with one character changed",
    "pays_constants": "pays one constant reply in full on a fifth of the items or more",
    "pays_floor": "pays a part for an answer that is right nowhere",
    "minds_space": "pays less for white space around the right answer",
    "raises": "raises on some answer, which is no verdict",
    "hangs": "misses its deadline, or dies, on some answer",
}
CONSTANT_SHARE = 0.2
MOST_LOST = 3  # answers without a reply after which an attack is given up
_SHOWN = 5  # findings kept of each name


@dataclass(frozen=True, slots=True)
class Item:
    """A question with the answer that its author stores, None where there is none."""

    question: str
    gold: str | None


class GraderRaised(RuntimeError):
    """The grader raised something of its own."""


class GraderLost(RuntimeError):
    """The grader did not answer in time, or its process ended."""


class Grader(Protocol):
    """A grader as the audit sees it."""

    def items(self, hash_seed: int) -> Sequence[Item]:
        """The items, made in a fresh process; the same on every call, if it is sound."""
        ...

    def score(self, item: int, answer: str) -> float:
        """The score of an answer to an item.

        Raises:
            GraderRaised, GraderLost: no score.
        """
        ...

    def traces(self) -> set[str]:
        """Names in the grader's working directory that were not there at first."""
        ...


@dataclass(slots=True)
class AnswerReport:
    """What was found; rates are shares of the items or attacks that they name."""

    items: int = 0
    scored: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def audit(self) -> Audit:
        """The verdict that follows from the names of the findings."""
        if any(name in BLOCKING for name in self.counts):
            return Audit.BLOCKED
        return Audit.FLAGGED if self.counts else Audit.PASSED

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words, what was found; those that block first."""
        return tuple(
            f"{why} ({self.counts[name]}x)" if name not in ("no_reference", "unusable") else why
            for name, why in (BLOCKING | FLAGS).items()
            if name in self.counts
        )

    def note(self, name: str, item: int, what: str) -> None:
        """Count a finding, and keep the first ones of its name."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.counts[name] <= _SHOWN:
            self.findings.append(Finding(name, str(item), " ".join(what.split())[:300]))

    def to_json(self) -> dict[str, Json]:
        """Plain-data form."""
        return {
            "audit": self.audit.value,
            "reasons": list(self.reasons),
            "items": self.items,
            "scored": self.scored,
            "counts": dict(self.counts),
            "rates": dict(self.rates),
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit_answers(grader: Grader, seed: int = 0) -> AnswerReport:
    """Attack a grader on all of its items."""
    report = AnswerReport()
    try:
        items = grader.items(0)
        again, reordered = grader.items(0), grader.items(1)
    except (GraderRaised, GraderLost) as error:
        report.note("unusable", 0, str(error))
        return report
    report.items = len(items)
    for place, item in enumerate(items):
        if again[place] != item:
            report.note("not_reproducible", place, f"{item.question} and {again[place].question}")
        elif reordered[place] != item:
            report.note("hash_order", place, f"{item.question} and {reordered[place].question}")
        if item.gold is None or not item.gold.strip():
            report.note("no_reference", place, item.question)
    attack = _Attack(grader, list(items), report, derived_random(seed, "answers"))
    for step in (attack.executed, attack.references, attack.gibberish, attack.constants):
        step()
        attack.lost = 0
    attack.changed()
    return report


@dataclass(slots=True)
class _Attack:
    """The attacks on one grader, each over all items."""

    grader: Grader
    items: list[Item]
    report: AnswerReport
    rng: random.Random
    lost: int = 0  # in the attack under way

    def score(self, item: int, answer: str) -> float | None:
        """The score, or None with a finding where there is none."""
        if self.lost >= MOST_LOST:
            return None
        self.report.scored += 1
        try:
            value = self.grader.score(item, answer)
        except GraderRaised as error:
            self.report.note("raises", item, f"{answer[:80]!r}: {error}")
            return None
        except GraderLost as error:
            self.lost += 1
            self.report.note("hangs", item, f"{answer[:80]!r}: {error}")
            return None
        if not (math.isfinite(value) and 0 <= value <= 1):
            self.report.note("bad_score", item, f"{value!r} for {answer[:80]!r}")
        return value

    def answered(self) -> Iterator[tuple[int, str]]:
        """Items with a reference, which stands without outer white space."""
        for place, item in enumerate(self.items):
            if item.gold and item.gold.strip():
                yield place, item.gold.strip()

    def references(self) -> None:
        """The stored answer is paid, twice alike, and with white space around it."""
        for place, gold in self.answered():
            value = self.score(place, gold)
            if value != 1.0:
                self.report.note("rejects_reference", place, f"{value} for {gold!r}")
            elif self.score(place, gold) != value:
                self.report.note("not_reproducible", place, f"another score for {gold!r}")
            elif (self.score(place, f" \n{gold}\n ") or 0.0) < 1.0:
                self.report.note("minds_space", place, gold)

    def gibberish(self) -> None:
        """Answers that are right nowhere earn nothing."""
        values = []
        for place, item in enumerate(self.items):
            for answer in (*_gibberish(self.rng), item.question, "", " "):
                value = self.score(place, answer)
                values.append(value or 0.0)
                if value is not None and value >= 1.0:
                    self.report.note("pays_gibberish", place, f"{value} for {answer!r}")
                elif value is not None and value > 0:
                    self.report.note("pays_floor", place, f"{value} for {answer!r}")
        self.report.rates["gibberish_mean"] = sum(values) / max(1, len(values))

    def constants(self) -> None:
        """No fixed reply is paid on a large share of the items."""
        shares = {}
        for reply in CONSTANTS:
            paid = [self.score(place, reply) == 1.0 for place in range(len(self.items))]
            shares[reply] = sum(paid) / max(1, len(paid))
        best = max(shares, key=lambda reply: shares[reply])
        self.report.rates["constant_share"] = shares[best]
        if shares[best] >= CONSTANT_SHARE:
            self.report.note("pays_constants", 0, f"{shares[best]:.2f} for {best!r}")

    def changed(self) -> None:
        """Hedges and near misses: the right answer beside a wrong one, or with a character off."""
        self._rate("pays_hedges", lambda gold, other: _hedges(gold, other))
        self._rate("pays_near_misses", lambda gold, _: _near_misses(gold, self.rng))

    def _rate(self, name: str, make: Callable[[str, str], Sequence[str]]) -> None:
        paid, made = 0, 0
        golds = dict(self.answered())
        for place, gold in golds.items():
            others = [other for other in golds.values() if other != gold]
            for answer in make(gold, self.rng.choice(others) if others else "99999"):
                made += 1
                if self.score(place, answer) == 1.0:
                    paid += 1
                    self.report.note(name, place, f"{answer!r} for {gold!r}")
        self.report.rates[name] = paid / max(1, made)

    def executed(self) -> None:
        """Code in an answer leaves no trace."""
        number, sent = 0, {}
        for place, item in enumerate(self.items):
            made = canaries(item.gold.strip() if item.gold else None, number)
            number += len(made)
            for trace, answer in made.items():
                sent[trace] = (place, answer)
                self.score(place, answer)
        left = self.grader.traces()
        for place, answer in (about for trace, about in sent.items() if trace in left):
            self.report.note("executes_answers", place, answer)


def _gibberish(rng: random.Random) -> list[str]:
    letters = "".join(rng.choices(string.ascii_lowercase, k=17))
    words = " ".join("".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(5))
    signs = "".join(rng.choices("~^|;@&%", k=11))
    return [letters, words, signs, f"<<{letters}>>", "漢é\u202e" + letters]


def _hedges(gold: str, other: str) -> list[str]:
    return [f"{gold} or {other}", f"{other} or {gold}", f"{gold}\n{other}", f"{other}, {gold}"]


def _near_misses(gold: str, rng: random.Random) -> list[str]:
    """One letter or digit for another of its kind."""
    places = [place for place, sign in enumerate(gold) if sign.isalnum() and sign.isascii()]
    made = []
    for place in rng.sample(places, min(3, len(places))):
        kind = string.digits if gold[place].isdigit() else string.ascii_lowercase
        sign = rng.choice([each for each in kind if each != gold[place].lower()])
        made.append(f"{gold[:place]}{sign}{gold[place + 1 :]}")
    return made
