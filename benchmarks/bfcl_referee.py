"""How our verifier of calls agrees with BFCL's own checker, on its answers and on mutants of them.

python benchmarks/bfcl_referee.py [--quick] [--rules json|bfcl]

The checker runs in a process of its own and sees the same answers. Every disagreement is listed by
entry and operator in --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common import arguments, finish, or_skip
from referee.explained import UNEXPLAINED, explanation, our_reason
from referee.mutants import OPERATORS, Answer

from tooldojo.envs.imported import bfcl
from tooldojo.envs.imported.outside import Outside
from tooldojo.envs.seeding import derived_random
from tooldojo.verifiers.allowed_calls import RULES

QUICK = 20  # entries a category
BATCH = 400  # answers in one request


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer under both verdicts; the reasons are empty where it is valid."""

    category: str
    entry: str
    operator: str
    answer: Answer
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

    args = arguments(__doc__ or "", add)
    began = time.perf_counter()
    folder = str(or_skip(bfcl.data_folder).parent.parent)
    referee = Outside("bfcl_backend", path=(folder,))
    rows = [r for c in bfcl.CATEGORIES for r in judged(c, args.quick, args.rules, referee)]
    referee.close()
    apart = [row for row in rows if (not row.ours) != (not row.theirs)]
    args.out.mkdir(parents=True, exist_ok=True)
    place = args.out / f"bfcl_referee_{args.rules}.json"
    place.write_text(json.dumps([asdict(row) for row in apart], indent=1, ensure_ascii=False))
    print(f"{len(apart)} disagreements in {place}")
    gold = [row for row in rows if row.operator == "gold"]
    finish(
        {
            "rules": args.rules,
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
