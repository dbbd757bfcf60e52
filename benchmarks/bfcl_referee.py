"""How our verifiers agree with BFCL's own checkers, on its answers and on mutants of them.

python benchmarks/bfcl_referee.py [--quick] [--rules json|bfcl | --turns [--entries N]]

The checkers run in a process of their own and see the same answers: to single requests, or with
--turns to the multi-turn categories, which our worlds play. Every disagreement is listed by entry
and operator in --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

from common import arguments, finish, or_skip
from referee import turns
from referee.dialogues import OPERATORS as DIALOGUE_OPERATORS
from referee.dialogues import Dialogue
from referee.explained import UNEXPLAINED, explanation, our_reason
from referee.mutants import OPERATORS, Answer

from tooldojo.envs.imported import bfcl, bfcl_turns
from tooldojo.envs.imported.outside import Outside
from tooldojo.envs.seeding import derived_random
from tooldojo.verifiers.allowed_calls import RULES

QUICK = 20  # entries a category
BATCH = 400  # answers in one request
QUICK_TURNS = 5  # entries a multi-turn category
DIALOGUES = 50  # in one request


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer under both verdicts; the reasons are empty where it is valid."""

    category: str
    entry: str
    operator: str
    answer: Answer | Dialogue
    ours: str
    theirs: str
    explained: str  # the rule that makes the difference; "" where there is none


def answers(category: str, quick: bool) -> Iterator[tuple[str, str, Answer]]:
    """Entry, operator and answer: what an entry allows, and mutants of it."""
    found = bfcl.entries(category)
    for entry_id in list(found)[: QUICK if quick else None]:
        entry = found[entry_id]
        schemas = {f["name"]: bfcl.json_schema(f["parameters"]) for f in entry["function"]}
        for name, operator in OPERATORS.items():
            rng = derived_random("bfcl_referee", entry_id, name)
            answer = operator(bfcl.gold_calls(entry), entry["allowed"], schemas, rng)
            if answer is not None:
                yield entry_id, name, answer


def judged(category: str, quick: bool, rules: str, referee: Outside) -> list[Judged]:
    """Both verdicts on all answers of a category."""
    rows, found = list(answers(category, quick)), []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        cases: list = [
            {
                "category": category,
                "functions": bfcl.entries(category)[entry_id]["function"],
                "answer": [{name: given} for name, given in answer],
                "allowed": bfcl.entries(category)[entry_id]["allowed"],
            }
            for entry_id, _, answer in part
        ]
        verdicts: Any = referee.ask("verdicts", 120.0, cases=cases)
        for (entry_id, operator, answer), verdict in zip(part, verdicts, strict=True):
            theirs = "" if verdict["valid"] else verdict["why"] or "invalid"
            ours = our_reason(category, entry_id, answer, rules, rules)
            why = ""
            if (not ours) != (not theirs):
                why = explanation(category, entry_id, answer, rules, not theirs)
            found.append(Judged(category, entry_id, operator, answer, ours, theirs, why))
    return found


def dialogues_of(category: str, most: int) -> Iterator[tuple[str, str, Dialogue]]:
    """Entry, operator and dialogue: references and mutants of them, of `most` entries at most,
    evenly spread.
    """
    playable = bfcl_turns.playable(category)
    for entry_id in playable[:: max(1, -(-len(playable) // most))]:
        wanted = bfcl_turns.reference(bfcl.entries(category)[entry_id])
        calls = [[(each["name"], each["arguments"]) for each in turn] for turn in wanted]
        for name, operator in DIALOGUE_OPERATORS.items():
            rng = derived_random("bfcl_referee", entry_id, name)
            dialogue = operator(deepcopy(calls), rng)
            if dialogue is not None:
                yield entry_id, name, dialogue


def judged_turns(category: str, most: int, referee: Outside) -> list[Judged]:
    """Both verdicts on all dialogues of a multi-turn category."""
    rows, found = list(dialogues_of(category, most)), bfcl.entries(category)
    tasks = {entry_id: turns.task_of(category, entry_id) for entry_id, _, _ in rows}
    made = []
    for start in range(0, len(rows), DIALOGUES):
        part = rows[start : start + DIALOGUES]
        cases: Any = [turns.referee_case(found[each], dialogue) for each, _, dialogue in part]
        verdicts: Any = referee.ask("dialogues", 120.0, cases=cases)
        for (entry_id, operator, dialogue), verdict in zip(part, verdicts, strict=True):
            theirs = "" if verdict["valid"] else verdict["why"] or "invalid"
            ours, why = turns.played(tasks[entry_id], dialogue), ""
            if (not ours) != (not theirs):
                why = turns.explanation(found[entry_id], dialogue, not theirs)
            made.append(Judged(category, entry_id, operator, dialogue, ours, theirs, why))
    return made


def table(rows: Sequence[Judged], key: str) -> dict[str, dict[str, float]]:
    """By category or operator: answers, agreement, and who is alone in accepting."""
    kept: dict[str, Counter] = {}
    for row in rows:
        ours, theirs = not row.ours, not row.theirs
        kind = "agree" if ours == theirs else "only_ours" if ours else "only_theirs"
        kept.setdefault(getattr(row, key), Counter()).update([kind])
    return {
        name: {
            "answers": sum(count.values()),
            "agreement": round(count["agree"] / sum(count.values()), 5),
            "only_ours_accepts": count["only_ours"],
            "only_theirs_accepts": count["only_theirs"],
        }
        for name, count in kept.items()
    }


def kappa(rows: Sequence[Judged]) -> float:
    """Cohen's kappa (1960): agreement beyond chance, 1 at most."""
    n = len(rows)
    ours, theirs = sum(not r.ours for r in rows) / n, sum(not r.theirs for r in rows) / n
    chance = ours * theirs + (1 - ours) * (1 - theirs)
    agreed = sum((not r.ours) == (not r.theirs) for r in rows) / n
    return 1.0 if chance == 1 else (agreed - chance) / (1 - chance)


def main() -> None:
    """Judge all categories and add up."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--rules", choices=sorted(RULES), default="json")
        parser.add_argument("--turns", action="store_true", help="the multi-turn categories")
        parser.add_argument("--entries", type=int, default=1000, help="of each of them at most")

    args = arguments(__doc__ or "", add)
    began = time.perf_counter()
    folder = str(or_skip(bfcl.data_folder).parent.parent)
    referee = Outside("bfcl_backend", path=(folder,))
    if args.turns:
        most = QUICK_TURNS if args.quick else args.entries
        rows = [r for c in bfcl.TURN_CATEGORIES for r in judged_turns(c, most, referee)]
    else:
        rows = [r for c in bfcl.CATEGORIES for r in judged(c, args.quick, args.rules, referee)]
    referee.close()
    apart = [row for row in rows if (not row.ours) != (not row.theirs)]
    args.out.mkdir(parents=True, exist_ok=True)
    rules = "turns" if args.turns else args.rules
    place = args.out / f"bfcl_referee_{rules}.json"
    place.write_text(json.dumps([asdict(row) for row in apart], indent=1, ensure_ascii=False))
    print(f"{len(apart)} disagreements in {place}")
    gold = [row for row in rows if row.operator == "gold"]
    finish(
        {
            "rules": rules,
            "answers": len(rows),
            "agreement": round(1 - len(apart) / len(rows), 5),
            "kappa": round(kappa(rows), 5),
            "gold": table(gold, "operator")["gold"],
            "explained": dict(Counter(row.explained for row in apart)),
            "unexplained": [f"{r.entry} {r.operator}" for r in apart if r.explained == UNEXPLAINED],
            "categories": table(rows, "category"),
            "operators": table(rows, "operator"),
            "seconds": round(time.perf_counter() - began, 1),
        }
    )


if __name__ == "__main__":
    main()
