"""What the sandbox holds back, and what it costs: attacks, latencies, and leftovers.

python benchmarks/sandbox_probes.py [--quick]

Each attack runs in the sandbox and without it, as this uid and, where that is root, as one without
rights too. An attack that gets nowhere even without a sandbox proves nothing and is listed.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from attacks.probes import ALL
from attacks.running import (
    LIMITS,
    SCRATCH,
    as_nobody,
    attack,
    outside,
    public_python,
)
from common import arguments, finish

from tooldojo.envs.sandbox.machine import survey
from tooldojo.envs.sandbox.pool import Sandbox
from tooldojo.envs.sandbox.records import Isolation

CALLS = {"quick": 1000, "full": 10_000}
ONE_SHOTS = {"quick": 100, "full": 400}
ON_DISK = ("symlink_in_own_folder", "disk_file", "disk_files", "many_empty_files", "make_fifo")
_PAUSE = 0.05  # seconds between one-shot calls, so that a spare child is ready


def main() -> None:
    """Attack, time, and look for what is left behind."""
    args = arguments(__doc__ or "")
    size = "quick" if args.quick else "full"
    rows = {"root" if os.geteuid() == 0 else "user": attacks()}
    python = public_python()
    if os.geteuid() == 0 and python:
        rows["unprivileged"] = as_nobody(lambda: attacks(python))
    escaped = {f"{who}: {each['name']}": each["escaped"] for who, found in rows.items()
               for each in found["inside"] if each["escaped"]}  # fmt: skip
    proving = {name for found in rows.values() for name in found["outside"]}
    figures = {
        "probes": len(ALL),
        "escapes": len(escaped),
        "escaped": escaped,
        "escapes_without_sandbox": len(proving),
        "prove_nothing": sorted(set(ALL) - proving),
        "runs": {who: len(found["inside"]) for who, found in rows.items()},
        "isolation": sorted({each for found in rows.values() for each in found["isolation"]}),
    }
    finish(figures | latencies(ONE_SHOTS[size]) | leftovers(CALLS[size]))


def attacks(python: str | None = None) -> dict[str, Any]:
    """Every attack in each isolation that the machine has; which ones succeed without any."""
    settings: dict[str, Any] = {"python": python} if python else {}
    rungs = [each for each in (Isolation.STANDARD, Isolation.STRICT) if not survey().missing(each)]
    found = [a for rung in rungs for a in attack(ALL, LIMITS, isolation=rung, **settings)]
    found += attack(ON_DISK, SCRATCH, **settings)
    off = [outside(name, python or sys.executable) for name in ALL]
    return {
        "inside": [asdict(each) for each in found],
        "outside": [each.name for each in off if each.escaped],
        "isolation": [rung.value for rung in rungs],
    }


def latencies(calls: int) -> dict[str, float]:
    """Milliseconds of a one-shot call, of a session's call, and of forking a session."""
    with Sandbox() as sandbox:
        for _ in range(5):
            sandbox.run("pass")
        once = _milliseconds(lambda: sandbox.run("print(1 + 1)"), calls, _PAUSE)
        with sandbox.session() as session:
            session.run("x = 0")
            call = _milliseconds(lambda: session.run("x += 1"), 20 * calls)
        with sandbox.session(forkable=True) as session:
            copies: list = []
            fork = _milliseconds(lambda: copies.append(session.fork()), 50)
            for copy in copies:
                copy.close()
    return {
        "one_shot_ms_median": once[0],
        "one_shot_ms_p10": once[1],
        "session_call_ms_median": call[0],
        "session_call_ms_p10": call[1],
        "session_fork_ms_median": fork[0],
    }


def _milliseconds(
    work: Callable[[], object], times: int, pause: float = 0.0
) -> tuple[float, float]:
    """The median and the tenth percentile."""
    taken = []
    for _ in range(times):
        if pause:
            time.sleep(pause)
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(taken), 4), round(statistics.quantiles(taken, n=10)[0], 4)


def leftovers(calls: int) -> dict[str, Any]:
    """Processes, descriptors and files that are there after many calls and were not before."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir, before = folder, _here()
        os.chmod(folder, 0o755)
        began = time.perf_counter()
        with Sandbox(SCRATCH) as sandbox:
            for number in range(calls):
                sandbox.run(f"open('a', 'w').write('{number}')")
            seconds = time.perf_counter() - began
            server = sandbox.server_pid
        with Sandbox() as sandbox, sandbox.session(forkable=True) as one, one.fork() as two:
            two.run("x = 1")
        after, files = _here(), os.listdir(folder)
        tempfile.tempdir = None
    return {
        "calls": calls,
        "calls_per_second": round(calls / seconds, 1),
        "processes_left": len(after[0] - before[0]) + os.path.exists(f"/proc/{server}"),
        "descriptors_left": after[1] - before[1],
        "files_left": len(files),
    }


def _here() -> tuple[set[str], int]:
    """Processes that were started for a sandbox, and how many descriptors are open."""
    own = {pid for pid in os.listdir("/proc") if pid.isdigit() and _is_ours(pid)}
    return own, len(os.listdir("/proc/self/fd"))


def _is_ours(pid: str) -> bool:
    """Whether its command line is a fork server's, or its parent this process."""
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            line = file.read()
        with open(f"/proc/{pid}/status") as file:
            status = file.read()
    except OSError:
        return False
    return "sandbox.server" in line or f"\nPPid:\t{os.getpid()}\n" in status


if __name__ == "__main__":
    main()
