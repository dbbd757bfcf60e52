"""What tau2-bench's checks pay and mind, found by playing mutants of its reference actions.

python benchmarks/audit_tau2.py [--quick] [--write]

Needs TOOLDOJO_TAU2. `--write` replaces the verdicts that ship with the package.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from common import arguments, finish, or_skip

from tooldojo.envs.imported import tau2
from tooldojo.envs.imported.outside import Outside

QUICK_TASKS = 12
Call = dict[str, Any]
REASONS = {  # by what was found: what it says of the checks
    "paid_for_nothing": "tasks pay an agent that does nothing, and are left out",
    "order_matters": "the order of paired lists in a call changes the verdict",
    "dead_writes": "a reference write that can be left out",
    "reference_raises": "a reference action that fails",
    "reference_unpaid": "a reference that is not paid",
}


@dataclass(slots=True)
class Found:
    """Counts of what was played, and ids of what was found."""

    tasks: int = 0
    judge_free: int = 0
    played: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, where: str, seen: bool) -> None:
        """One more mutant of a kind, and whether it shows the fault."""
        self.played[what] = self.played.get(what, 0) + 1
        self.found.setdefault(what, [])
        if seen:
            self.found[what].append(where)


class Domain:
    """One domain's tasks and how a list of calls ends there."""

    def __init__(self, name: str, outside: Outside) -> None:
        self.name, self._outside = name, outside

    def ask(self, do: str, **about: Any) -> Any:
        """An answer of the outside process."""
        return self._outside.ask(do, 120.0, **about)

    def end(self, state: dict, calls: Sequence[Call]) -> tuple[dict, list[bool]]:
        """The state after some calls, and which of them failed."""
        failed = []
        for call in calls:
            done = self.ask("call", state=state, **call)
            state = done["state"]
            failed.append(done["error"])
        return state, failed

    def paid(self, task: dict, state: dict, calls: Sequence[Call], gold: dict) -> bool:
        """Whether the checks pay; on a task with a judge, whether the database check does."""
        if task["judged"]:
            return state == gold
        made = {"task": task["id"], "calls": list(calls), "said": task["said"] if calls else [""]}
        return min(self.ask("score", state=state, **made).values()) == 1.0


def audit_task(domain: Domain, task: dict, mutates: dict[str, bool], report: Found) -> None:
    """Play nothing, the reference, and mutants of it."""
    start, gold = domain.ask("begin", task=task["id"]), task["gold"]
    end, failed = domain.end(start, gold)
    report.tasks += 1
    report.note("reference_raises", task["id"], any(failed))
    report.note("reference_unpaid", task["id"], not domain.paid(task, end, gold, end))
    if not task["judged"]:
        report.judge_free += 1
        report.note("paid_for_nothing", task["id"], domain.paid(task, start, [], end))
    for place, call in enumerate(gold):
        where = f"{task['id']}#{place} {call['name']}"
        if not mutates.get(call["name"]):
            continue
        for what, instead in _mutants(call):
            calls = [*gold[:place], *instead, *gold[place + 1 :]]
            paid = domain.paid(task, domain.end(start, calls)[0], calls, end)
            report.note(what, where, paid if what == "dead_writes" else not paid)


def _mutants(call: Call) -> Iterator[tuple[str, list[Call]]]:
    """The call left out; and with all of its lists in the opposite order, which means the same."""
    yield "dead_writes", []
    given = call["arguments"]
    turned = {k: v[::-1] if isinstance(v, list) else v for k, v in given.items()}
    if turned != given:
        yield "order_matters", [{**call, "arguments": turned}]


def audit_domain(name: str, quick: bool) -> Found:
    """All tasks of a domain, or the first few."""
    domain, report = Domain(name, tau2.outside(name)), Found()
    mutates = {tool["name"]: tool["mutates"] for tool in domain.ask("tools")}
    tasks = domain.ask("tasks")
    for task in tasks[:QUICK_TASKS] if quick else tasks:
        audit_task(domain, task, mutates, report)
    return report


def main() -> None:
    """Audit both domains; with --write the verdicts of the package are replaced."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="replace the shipped verdicts")

    args = arguments(__doc__ or "", add)
    if args.quick and args.write:
        raise SystemExit("--write needs all tasks; leave out --quick")
    or_skip(tau2.checkout)
    domains, verdicts = {}, {}
    for name in tau2.DOMAINS.values():
        began = time.perf_counter()
        report = audit_domain(name, args.quick)
        reasons = [f"{why} ({len(report.found[w])}x)" for w, why in REASONS.items()
                   if report.found.get(w)]  # fmt: skip
        verdicts[name] = {"audit": "flagged" if reasons else "passed", "reasons": reasons}
        domains[name] = {
            "tasks": report.tasks,
            "judge_free": report.judge_free,
            "played": report.played,
            "found": report.found,
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(f"{name}: {report.tasks} tasks, {reasons}", flush=True)
    if args.write:
        text = json.dumps({"of": tau2.package(), "domains": verdicts}, indent=1)
        tau2.VERDICTS.write_text(text + "\n", encoding="utf-8")
    finish({"of": tau2.package(), "domains": domains})


if __name__ == "__main__":
    main()
