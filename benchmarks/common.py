"""What every benchmark script shares: its arguments, and one line of JSON at the end."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tooldojo.training.runs.run_dir import versions

T = TypeVar("T")


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
    """Print the figures with versions and machine as the last line."""
    print(json.dumps(figures | {"versions": versions()}))


def or_skip(ready: Callable[[], T]) -> T:
    """What `ready` returns; where a package or data are missing, say so and end well."""
    try:
        return ready()
    except LookupError as error:
        finish({"skipped": str(error)})
        sys.exit(0)


def tooldojo(*args: str) -> None:
    """Run the command line as a user would; stops the benchmark when it fails."""
    done = subprocess.run([sys.executable, "-m", "tooldojo.training.cli", *args], check=False)
    if done.returncode:
        sys.exit(done.returncode)
