"""What the verifiers of public data sets pay, refuse and run, under attack from outside.

python benchmarks/audit_public.py [--quick] [--write]

Each data set is audited under an alias, by its scores and by what its process leaves behind; names
are put to the results afterwards. `--write` replaces the verdicts that ship with the package.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence

from common import arguments, finish, or_skip

from tooldojo.envs.gates.answers import (
    BLOCKING,
    FLAGS,
    AnswerReport,
    GraderLost,
    GraderRaised,
    Item,
    audit_answers,
)
from tooldojo.envs.gates.canaries import PREFIX
from tooldojo.envs.imported.outside import Outside, OutsideError, OutsideLost
from tooldojo.envs.imported.reasoning_gym import VERDICTS, outside, package
from tooldojo.envs.seeding import derive_seed, derived_random

ITEMS = {"quick": 2, "full": 10}
QUICK_SETS = 10
DEADLINE = {"item": 120.0, "score": 5.0}  # seconds; a grader takes milliseconds


class Alias:
    """A data set as the audit sees it: a number, items and scores. Closing it clears its traces."""

    def __init__(self, name: str, seeds: Sequence[int], processes: Sequence[Outside]) -> None:
        self._name, self._seeds, self._processes = name, seeds, processes
        self._calls = 0
        self._digests: list[str] = []

    def items(self, hash_seed: int) -> list[Item]:
        """The items from one of three processes: two alike, one with another hash seed."""
        process = self._processes[2 if hash_seed else min(self._calls, 1)]
        self._calls += 1
        made = [_asked(process, "item", name=self._name, seed=seed) for seed in self._seeds]
        self._digests = self._digests or [each["digest"] for each in made]
        return [Item(each["question"], each["answer"]) for each in made]

    def score(self, item: int, answer: str) -> float:
        """The data set's own score."""
        about = {"name": self._name, "seed": self._seeds[item], "digest": self._digests[item]}
        value = _asked(self._processes[0], "score", answer=answer, **about)
        return float(value)

    def traces(self) -> set[str]:
        """What lies in the scoring process's working directory."""
        return {path.name for path in self._processes[0].folder.iterdir()}

    def close(self) -> None:
        """Remove the traces, so that the next data set starts clean."""
        for path in self._processes[0].folder.glob(f"{PREFIX}*"):
            shutil.rmtree(path)


def _asked(process: Outside, do: str, **about: str | int) -> dict:
    try:
        return process.ask(do, DEADLINE[do], **about)  # type: ignore[return-value]
    except OutsideError as error:
        raise GraderRaised(str(error)) from None
    except OutsideLost as error:
        raise GraderLost(str(error)) from None


def audit_all(names: Sequence[str], items: int, processes: Sequence[Outside]) -> list[AnswerReport]:
    """Audit each data set under its place in `names` alone."""
    reports = []
    for place, name in enumerate(names):
        seeds = [derive_seed(0, "audit_public", number) % 2**31 for number in range(items)]
        alias, began = Alias(name, seeds, processes), time.perf_counter()
        report = audit_answers(alias, place)
        alias.close()
        reports.append(report)
        took = time.perf_counter() - began
        print(f"d{place:03}: {report.audit.value} {report.counts} {took:.1f} s", flush=True)
    return reports


def figures(names: Sequence[str], reports: Sequence[AnswerReport]) -> dict:
    """How many data sets show each fault, and which are blocked."""
    faults = Counter(name for report in reports for name in report.counts)
    verdicts = Counter(report.audit.value for report in reports)
    blocked = {
        name: [fault for fault in BLOCKING if fault in report.counts]
        for name, report in sorted(zip(names, reports, strict=True), key=lambda pair: pair[0])
        if any(fault in BLOCKING for fault in report.counts)
    }
    return {
        "of": package(),
        "datasets": len(reports),
        "scores": sum(report.scored for report in reports),
        "verdicts": dict(verdicts),
        "faults": {fault: faults[fault] for fault in BLOCKING | FLAGS},
        "blocked": blocked,
    }


def main() -> None:
    """Audit all data sets, or a few with `--quick`; the report goes to --out."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="replace the shipped verdicts")

    args = arguments(__doc__ or "", add)
    if args.quick and args.write:
        raise SystemExit("--write needs all data sets; leave out --quick")
    names = [str(name) for name in or_skip(outside).ask("names", 120.0)]  # type: ignore[union-attr]
    derived_random("audit_public", "aliases").shuffle(names)
    names = names[:QUICK_SETS] if args.quick else names
    began = time.perf_counter()
    processes = [outside(), outside().twin(0), outside().twin(1)]
    reports = audit_all(names, ITEMS["quick" if args.quick else "full"], processes)
    for process in processes:
        process.close()
    found = figures(names, reports) | {"seconds": round(time.perf_counter() - began, 1)}
    rows = {name: each.to_json() for name, each in sorted(zip(names, reports, strict=True))}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "audit_public.json").write_text(
        json.dumps(found | {"reports": rows}, indent=1, ensure_ascii=False) + "\n"
    )
    if args.write:
        kept = {name: {k: row[k] for k in ("audit", "reasons")} for name, row in rows.items()}
        text = json.dumps({"of": package(), "datasets": kept}, indent=1, ensure_ascii=False)
        VERDICTS.write_text(text + "\n", encoding="utf-8")
    finish(found)


if __name__ == "__main__":
    main()
