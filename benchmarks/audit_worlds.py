"""False accepts and false rejects of every native world's verifier under attack.

python benchmarks/audit_worlds.py [--quick]
"""

from __future__ import annotations

import time
from dataclasses import asdict

from common import arguments, finish

from tooldojo.envs.gates.audit import AuditReport, audit_world
from tooldojo.envs.registry import NATIVE

BUDGET = {"quick": 400, "full": 17_000}  # trajectories a world


def main() -> None:
    """Audit each world in turn and add up what was found."""
    args = arguments(__doc__ or "")
    budget = BUDGET["quick" if args.quick else "full"]
    reports, seconds = [], {}
    for env_id in NATIVE:
        began = time.perf_counter()
        report = audit_world(env_id, budget)
        seconds[env_id] = round(time.perf_counter() - began, 1)
        reports.append(report)
        print(
            f"{env_id}: {report.wrong.judged} wrong, {report.wrong.errors} accepted; "
            f"{report.right.judged} right, {report.right.errors} rejected; {seconds[env_id]} s",
            flush=True,
        )
    finish(figures(reports) | {"seconds": seconds})


def figures(reports: list[AuditReport]) -> dict:
    """The audits of all families, summed; equivalents as counts and shares per operator."""
    rejects = sum(report.right.errors for report in reports)
    rewritten = sum(report.right.judged for report in reports)
    return {
        "families": len(reports),
        "wrong_trajectories_min": min(report.wrong.judged for report in reports),
        "false_accepts": sum(report.wrong.errors for report in reports),
        "false_reject_rate": rejects / max(1, rewritten),
        "findings": sum(report.finding_count for report in reports),
        "disputed": sum(report.wrong.disputed for report in reports),
        "equivalents": {
            row.operator: equivalents(reports, row.operator) for row in reports[0].rows
        },
        "worlds": {
            report.world: {
                "false_accepts": asdict(rate) if (rate := report.wrong.rate) else None,
                "false_rejects": asdict(rate) if (rate := report.right.rate) else None,
            }
            for report in reports
        },
    }


def equivalents(reports: list[AuditReport], operator: str) -> dict[str, float]:
    """What an operator made in all worlds, and how much of it the oracle found equivalent."""
    rows = [row for report in reports for row in report.rows if row.operator == operator]
    count = sum(row.equivalents for row in rows)
    made = count + sum(row.judged for row in rows)
    return {"made": made, "equivalent": count, "share": count / max(1, made)}


if __name__ == "__main__":
    main()
