"""What every benchmark script shares: its arguments, and one line of JSON at the end, in which the
machine is named and what others took of it meanwhile.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil

from tooldojo.training.runs.run_dir import versions

T = TypeVar("T")


class Stolen:
    """What a hypervisor gives of the processors' time to other machines, from now on."""

    def __init__(self) -> None:
        self._first = psutil.cpu_times()

    def share(self) -> float | None:
        """Of all processors' time, idle or not, since the start; None where no system counts it."""
        now = psutil.cpu_times()
        if not hasattr(now, "steal"):
            return None
        passed = [new - old for new, old in zip(now, self._first, strict=True)]
        return round((now.steal - self._first.steal) / max(1e-9, sum(passed)), 4)


_SINCE_START = Stolen()


def arguments(
    about: str, add: Callable[[argparse.ArgumentParser], object] = lambda parser: None
) -> argparse.Namespace:
    """`--quick` for a few minutes, `--out` for where runs are kept; `add` adds a script's own."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a few minutes, smaller numbers")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmarks"), help="where runs are kept"
    )
    add(parser)
    return parser.parse_args()


def finish(figures: dict) -> None:
    """Print the figures with versions, machine and `stolen`, see `Stolen`, as the last line."""
    about = {"stolen": _SINCE_START.share(), "processor": _processor(), "versions": versions()}
    print(json.dumps(figures | about))


def or_skip(ready: Callable[[], T]) -> T:
    """What `ready` returns; where a package or data are missing, say so and end well."""
    try:
        return ready()
    except LookupError as error:
        finish({"skipped": str(error)})
        sys.exit(0)


def apart(work: Callable[..., None], *args: object) -> None:
    """Run `work(*args)` in a fresh process, as no two engines share one; stops the benchmark when
    it fails.
    """
    process = multiprocessing.get_context("spawn").Process(target=work, args=args)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{work.__name__} failed; its traceback is above")


def answer_apart(work: Callable[..., T], *args: object) -> T:
    """What `work(*args)` returns in a fresh process, whose memory and threads are its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def tooldojo(*args: str) -> None:
    """Run the command line as a user would; stops the benchmark when it fails."""
    done = subprocess.run([sys.executable, "-m", "tooldojo.training.cli", *args], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def _processor() -> str:
    """As the machine calls it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    named = [line for line in lines if line.startswith("model name")]
    return named[0].partition(":")[2].strip() if named else platform.processor()
