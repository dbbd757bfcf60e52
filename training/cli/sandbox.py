"""`tooldojo sandbox`: what this machine offers to run model-written code in, tried out."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tooldojo.training.cli.boundary import CheckFailed, JsonFlag, Output, Trace

if TYPE_CHECKING:
    from tooldojo.envs.sandbox.machine import Machine
    from tooldojo.envs.sandbox.records import Isolation

_CALLS = 20
_PAUSE = 0.01  # seconds, in which the next child gets ready


def sandbox(ctx: typer.Context, json: JsonFlag = False, traceback: Trace = False) -> None:
    """What this machine can isolate model-written code with, and how fast."""
    from tooldojo.envs.sandbox.machine import survey
    from tooldojo.envs.sandbox.records import Isolation

    output: Output = ctx.obj
    screen = output.console
    machine = survey()
    rungs = {}
    for isolation in (Isolation.STRICT, Isolation.STANDARD):
        missing = machine.missing(isolation)
        rungs[isolation.value] = {"available": not missing, "missing": missing}
        mark = "[green]✓[/]" if not missing else "[red]✗[/]"
        screen.print(f"{mark} {isolation.value}  {_said(machine, isolation, missing)}")
        if not missing:
            rungs[isolation.value]["one_shot_ms"] = _milliseconds(isolation)
            screen.print(f"  a call takes {rungs[isolation.value]['one_shot_ms']} ms")
    data = {"machine": asdict(machine), "best": machine.best.value, "isolation": rungs}
    if not rungs[Isolation.STANDARD.value]["available"]:
        missing = "; ".join(machine.missing(Isolation.STANDARD))
        raise CheckFailed(f"no isolation for model-written code here; it lacks {missing}", data)
    output.emit(data)


def _said(machine: Machine, isolation: Isolation, missing: list[str]) -> str:
    if missing:
        return "needs " + "; ".join(missing)
    means = [
        "limits",
        *(["own uid"] if machine.root else []),
        f"Landlock {machine.landlock}",
        "seccomp",
    ]
    if isolation.value == "strict":
        means.append("namespaces (bubblewrap), shell")
    return ", ".join(means)


def _milliseconds(isolation: Isolation) -> float:
    """The median of a few one-shot calls."""
    from tooldojo.envs.sandbox.pool import Sandbox

    taken = []
    with Sandbox(isolation=isolation) as pool:
        pool.run("pass")
        for _ in range(_CALLS):
            time.sleep(_PAUSE)
            began = time.perf_counter()
            pool.run("1 + 1")
            taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1000, 2)
