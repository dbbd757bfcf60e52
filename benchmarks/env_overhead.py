"""What a world costs: a tool step over a bare gymnasium env, and whole episodes beside peers.

python benchmarks/env_overhead.py [--quick] [--peers PYTHON ...] [--only NAME ...]

*A step*: a shop of 1,000 records (250 KB of JSON); each step reads one order or changes it. The
bare env looks an order up and nothing more; the world validates arguments, runs the call as a
transaction, hashes the state and links the hash chain. Call parsing is timed apart, and so are a
reset with a task that was not seen before, and what a further member of its group takes from the
snapshot to the end of its first write. All run in turns in one process and are timed by the CPU
time that they take.

*An episode*: reset, four scripted calls to two tools, a closing line, a verdict on the final state
(`env_peers/shop.py`), built in each peer as its own documents say. Each side runs in a process of
its own, on one core, and plays in turns with the others; counted is the CPU time of that process
and all below it. `ratio` is our episodes a second, parsing included, over those of the worst peer
that validates arguments against a schema.

A group of ours has one reset and begins from its snapshot, as in rollouts. Every group of 8 gets a
task that was not seen before, drawn while the clock stands still, so nothing that is kept helps
beyond a group; peers play one task all the time.
"""

from __future__ import annotations

import argparse

from common import arguments, finish
from env_peers.ours_shop import Shop
from env_peers.rounds import OURS, SIDES, compared, worst_ratio
from env_peers.steps import step_figures

STEPS = {"quick": 2000, "full": 20_000}
ROUNDS = {"quick": (3, 0.3), "full": (20, 1.0)}  # and seconds of each


def main() -> None:
    """Steps first, then episodes on the small state and on the large one."""

    def add(parser: argparse.ArgumentParser) -> None:
        text = "an interpreter that has peers installed; may be given several times"
        parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help=text)
        text = "only these sides; ours is always among them"
        parser.add_argument("--only", nargs="+", choices=SIDES, default=list(SIDES), help=text)

    args = arguments(__doc__ or "", add)
    mode = "quick" if args.quick else "full"
    small, large = Shop.levels
    steps = step_figures(large, STEPS[mode])
    for name, value in steps.items():
        print(f"{name}: {value}", flush=True)
    rounds, seconds = ROUNDS[mode]
    names = list(dict.fromkeys([OURS, *args.only]))
    cells = {}
    for records in (small, large):
        rows = compared(records, args.peers, rounds, seconds, names)
        cells[f"{records} records"] = rows
        for name, row in rows.items():
            print(f"{records} records, {name}: {row}", flush=True)
    finish({**steps, "episodes": cells, "ratio": worst_ratio(cells)})


if __name__ == "__main__":
    main()
