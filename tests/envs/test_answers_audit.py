"""The audit of answer graders, on graders whose faults are known."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tooldojo.envs.gates.answers import (
    MOST_LOST,
    AnswerReport,
    GraderLost,
    GraderRaised,
    Item,
    audit_answers,
)
from tooldojo.envs.gates.canaries import canaries
from tooldojo.envs.verdict import Audit

Score = Callable[[str, Item], float]
SUMS = [Item(f"What is {a} + {b}?", str(a + b)) for a, b in [(12, 30), (7, 41), (500, 61)]]
PAIRS = [Item(f"Sort {a}, {b}.", f"[{b}, {a}]") for a, b in [(9, 4), (8, 3), (70, 22)]]


class Here:
    """A grader in this process; traces are what lies in the folder."""

    def __init__(self, score: Score, items: Sequence[Item], folder: Path) -> None:
        self._score, self._items, self._folder = score, list(items), folder

    def items(self, hash_seed: int) -> Sequence[Item]:
        return self._items

    def score(self, item: int, answer: str) -> float:
        try:
            return self._score(answer, self._items[item])
        except GraderLost:
            raise
        except Exception as error:
            raise GraderRaised(str(error)) from None

    def traces(self) -> set[str]:
        return {path.name for path in self._folder.iterdir()}


def exact(answer: str, item: Item) -> float:
    return float(answer.strip() == item.gold)


def anything(answer: str, item: Item) -> float:
    return float(bool(answer))


def runs(answer: str, item: Item) -> float:
    try:
        return float(eval(answer) == int(item.gold or 0))
    except Exception:
        return 0.0


def runs_without_builtins(answer: str, item: Item) -> float:
    try:
        return float(eval(answer, {"__builtins__": {}}) == int(item.gold or 0))
    except Exception:
        return 0.0


def runs_what_looks_right(answer: str, item: Item) -> float:
    try:
        if len(answer.split(",")) != 2 or not answer.startswith("["):
            return 0.0
        return float(eval(answer) == ast.literal_eval(item.gold or ""))
    except Exception:
        return 0.0


def runs_a_line(answer: str, item: Item) -> float:
    lines = answer.split("\n")
    if len(lines) == 2 and lines[0] == item.gold:
        exec(lines[1])
    return exact(answer, item)


def only_parses(answer: str, item: Item) -> float:
    try:
        return float(ast.literal_eval(answer.strip()) == ast.literal_eval(item.gold or ""))
    except (ValueError, SyntaxError, TypeError, MemoryError):
        return 0.0


def contains(answer: str, item: Item) -> float:
    return float(bool(item.gold) and item.gold in answer)


def with_a_floor(answer: str, item: Item) -> float:
    return 1.0 if answer.strip() == item.gold else 0.01


def raising(answer: str, item: Item) -> float:
    return float(int(answer) == int(item.gold or 0))


def too_much(answer: str, item: Item) -> float:
    return 2.0 if answer.strip() == item.gold else -1.0


def fussy(answer: str, item: Item) -> float:
    return float(answer == item.gold)


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AnswerReport]:
    monkeypatch.chdir(tmp_path)
    return lambda score, items=SUMS: audit_answers(Here(score, items, tmp_path))


@pytest.mark.parametrize(
    ("score", "items", "faults"),
    [
        (exact, SUMS, set()),
        (only_parses, PAIRS, set()),
        (anything, SUMS, {"pays_gibberish"}),
        (runs, SUMS, {"executes_answers"}),
        (runs_without_builtins, SUMS, {"executes_answers"}),
        (runs_what_looks_right, PAIRS, {"executes_answers"}),
        (runs_a_line, SUMS, {"executes_answers"}),
        (contains, SUMS, {"pays_hedges"}),
        (with_a_floor, SUMS, {"pays_floor"}),
        (raising, SUMS, {"raises"}),
        (too_much, SUMS, {"bad_score", "rejects_reference"}),
        (fussy, SUMS, {"minds_space"}),
    ],
)
def test_known_faults_are_found(
    audited: Callable[..., AnswerReport], score: Score, items: list[Item], faults: set[str]
) -> None:
    report = audited(score, items)
    loose = {"pays_hedges", "pays_near_misses", "pays_constants", "minds_space"}  # come with it
    beside = loose if report.audit is Audit.BLOCKED else set()
    assert set(report.counts) - beside == faults
    blocks = {"pays_gibberish", "executes_answers", "bad_score", "rejects_reference"}
    expected = Audit.BLOCKED if faults & blocks else Audit.FLAGGED if faults else Audit.PASSED
    assert report.audit is expected
    assert bool(report.reasons) == bool(report.counts)


def test_no_reference_blocks(audited: Callable[..., AnswerReport]) -> None:
    report = audited(exact, [*SUMS, Item("Anything?", None), Item("Nothing?", " ")])
    assert report.counts["no_reference"] == 2 and report.audit is Audit.BLOCKED


def test_other_items_for_the_same_seed_are_found(tmp_path: Path) -> None:
    class Drifting(Here):
        asked = 0

        def items(self, hash_seed: int) -> Sequence[Item]:
            self.asked += 1
            return [*SUMS[:2], Item(f"new {self.asked}", SUMS[2].gold)]

    class Ordered(Here):
        def items(self, hash_seed: int) -> Sequence[Item]:
            return SUMS[::-1] if hash_seed else SUMS

    assert audit_answers(Drifting(exact, SUMS, tmp_path)).counts == {"not_reproducible": 1}
    assert audit_answers(Ordered(exact, SUMS, tmp_path)).counts == {"hash_order": 2}


def test_a_grader_that_hangs_is_given_up(audited: Callable[..., AnswerReport]) -> None:
    def hangs(answer: str, item: Item) -> float:
        if not answer.strip().isdigit():
            raise GraderLost("no answer within 5 s")
        return exact(answer, item)

    report = audited(hangs)
    assert report.counts["hangs"] <= 4 * MOST_LOST and report.audit is Audit.FLAGGED


def test_the_same_seed_makes_the_same_attack(audited: Callable[..., AnswerReport]) -> None:
    began = time.monotonic()
    assert audited(with_a_floor).to_json() == audited(with_a_floor).to_json()
    assert time.monotonic() - began < 10


def test_each_canary_has_its_own_number_and_keeps_the_gold_in_some() -> None:
    made = canaries("12, 30", 100)
    assert next(iter(made)) == "canary100" and len(set(made.values())) == len(made)
    assert all(trace in answer for trace, answer in made.items())
    assert any(answer.endswith(", 30") for answer in made.values())
    assert len(canaries(None, 0)) < len(made)
