"""`tooldojo check` and `tooldojo audit`: what a world must pass before anything trains on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tooldojo.training.cli.boundary import CheckFailed, JsonFlag, Output, Trace

if TYPE_CHECKING:
    from rich.console import Console

    from tooldojo.envs.gates.audit import AuditReport, Tally
    from tooldojo.envs.gates.play import Finding

LISTED = 10  # findings shown per world; --json has more

Worlds = Annotated[
    list[str] | None,
    typer.Argument(help="Ids, module:Class or file.py:Class; all native worlds by default."),
]
Seed = Annotated[int, typer.Option(help="Which tasks and which random choices.")]


def check(
    ctx: typer.Context,
    worlds: Worlds = None,
    tasks: Annotated[int, typer.Option(min=2, help="Tasks a world.")] = 30,
    seed: Seed = 0,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Conformance: determinism, isolation, snapshots, fuzzing, nothing hidden shown."""
    from tooldojo.envs.gates.check import TASK_CHECKS, WORLD_CHECKS, check_world
    from tooldojo.training.runs.progress import counter

    output: Output = ctx.obj
    screen = output.console
    rows = []
    checks = [*WORLD_CHECKS, *TASK_CHECKS]
    for env_id in _ids(worlds):
        with counter(screen, env_id, len(checks)) as done:
            found = check_world(env_id, tasks, seed, done)
        failed = sorted({finding.check for finding in found})
        if failed:
            screen.print(f"[red]✗[/] {env_id}  fails {', '.join(failed)}")
            _list(screen, found)
        else:
            screen.print(f"[green]✓[/] {env_id}  {len(checks)} checks on {tasks} tasks")
        findings = [asdict(finding) for finding in found]
        rows.append({"world": env_id, "passed": not found, "tasks": tasks, "findings": findings})
    _verdict(output, {"checks": checks, "worlds": rows}, rows, "check")


def audit(
    ctx: typer.Context,
    worlds: Worlds = None,
    trajectories: Annotated[int, typer.Option(min=1, help="Budget a world.")] = 2000,
    seed: Seed = 0,
    json: JsonFlag = False,
    traceback: Trace = False,
) -> None:
    """Attack the verifier: wrong trajectories must fail, rewritten right ones must not."""
    from tooldojo.envs.gates.audit import audit_world
    from tooldojo.training.runs.progress import progress_bar

    output: Output = ctx.obj
    screen = output.console
    rows = []
    for env_id in _ids(worlds):
        with progress_bar(screen) as bar:
            advance = partial(bar.update, bar.add_task(env_id, total=trajectories))
            report = audit_world(
                env_id, trajectories, seed, lambda played, show=advance: show(completed=played)
            )
        _show_audit(screen, report)
        rows.append(report.to_json())
    _verdict(output, {"worlds": rows}, rows, "audit")


def _ids(worlds: Sequence[str] | None) -> list[str]:
    from tooldojo.envs.registry import NATIVE, world_class

    return [world_class(reference).env_id for reference in worlds or NATIVE]


def _verdict(output: Output, data: dict, rows: Sequence[dict], gate: str) -> None:
    failed = [row["world"] for row in rows if not row["passed"]]
    if failed:
        raise CheckFailed(f"{', '.join(failed)} failed the {gate}", data)
    output.emit(data)


def _show_audit(screen: Console, report: AuditReport) -> None:
    from rich.table import Table

    from tooldojo.envs.gates.audit import KINDS

    title = f"{report.world}: {report.trajectories} trajectories on {report.tasks} tasks"
    table = Table(title=title, title_justify="left")
    table.add_column("operator", no_wrap=True)
    for name in ("judged", "equal", "errors", "rate", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind in KINDS:
        for row in report.rows:
            if row.kind == kind and (row.judged or row.equivalents):
                table.add_row(row.operator, *_cells(row))
        table.add_section()
    table.add_row("[bold]false accepts[/]", *_cells(report.wrong))
    table.add_row("[bold]false rejects[/]", *_cells(report.right))
    screen.print(table)
    disputed = [f"{row.operator} ({row.disputed})" for row in report.rows if row.disputed]
    if disputed:
        screen.print(f"[yellow]equal, yet rejected by the verifier: {', '.join(disputed)}[/]")
    unused = [row.operator for row in report.rows if not row.judged]
    if unused:
        screen.print(f"[dim]found nothing to work on: {', '.join(unused)}[/]")
    if report.passed:
        screen.print("[green]✓[/] no wrong verdict, every demonstration realisable\n")
    else:
        screen.print(f"[red]✗[/] {report.finding_count} findings")
        _list(screen, report.findings)


def _cells(row: Tally) -> list[str]:
    from tooldojo.envs.gates.audit import MAX_EQUIVALENT

    rate, share = row.rate, row.equivalent_share
    equivalent = f"{row.equivalents}" + (f" ({100 * share:.0f} %)" if row.equivalents else "")
    colour = "red" if row.errors else "green"
    return [
        str(row.judged),
        f"[yellow]{equivalent}[/]" if share > MAX_EQUIVALENT else equivalent,
        f"[{colour}]{row.errors}[/]",
        f"{100 * rate.rate:.1f} %" if rate else "",
        f"{100 * rate.low:.1f} to {100 * rate.high:.1f}" if rate else "",
    ]


def _list(screen: Console, findings: Sequence[Finding]) -> None:
    from rich.markup import escape

    for finding in findings[:LISTED]:
        what = escape(" ".join(finding.what.split())[:400])
        screen.print(f"  [bold]{finding.check}[/] [dim]{finding.task_id}[/] {what}")
    if len(findings) > LISTED:
        screen.print(f"  [dim]and {len(findings) - LISTED} more; --json lists them[/]")
