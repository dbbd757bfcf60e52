"""One side in a process of its own: started once, then asked for rounds; a line of JSON for each.

python -m env_peers.worker MODULE:SIDE RECORDS

The first line says what was opened, or why it cannot be (`missing`). Each line of input is a
number of seconds to play for.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from env_peers.playing import Clock, Side, timed


def main() -> None:
    """Open the side, then play rounds until the input ends."""
    reference, records = sys.argv[1], int(sys.argv[2])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is no answer

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=out, flush=True)

    module, _, name = reference.partition(":")
    try:
        side: Side = getattr(importlib.import_module(f"env_peers.{module}"), name)
        known = version(side.package)
    except (ImportError, PackageNotFoundError) as error:
        say(missing=f"{type(error).__name__}: {error}")
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with ExitStack() as stack:
        clock = Clock()
        try:
            play = stack.enter_context(side.playing(records, clock))
            timed(play, side, clock, 0.0)  # caches fill in the first episodes
        except Exception as error:  # a peer that cannot start here is a finding
            say(missing=f"{type(error).__name__}: {error}")
            return
        say(version=known, validates=side.validates, parses=side.parses, keeps=side.keeps)
        for line in sys.stdin:
            say(**asdict(timed(play, side, clock, float(line))))


if __name__ == "__main__":
    main()
