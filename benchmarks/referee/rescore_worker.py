"""What `rescore_store.py` measures: judging one store, in a process that holds nothing else.

python benchmarks/rescore_worker.py DIRECTORY
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from tooldojo.rollouts.rescore import Judges, rescore
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.verifiers.reward import RewardShape


def main() -> None:
    """Judge the stage `gold` by the world's verifier; print speed and peak memory."""
    began = time.perf_counter()
    judges = Judges(None, RewardShape(), {})
    report = rescore(TrajectoryStore(sys.argv[1]), "gold", "again", judges)
    seconds = time.perf_counter() - began
    assert report.changed == report.failed == 0
    print(json.dumps({"rows_per_s": round(report.rows / seconds), "peak_mib": peak_mib()}))


def peak_mib() -> float:
    """Peak resident memory of this program; `ru_maxrss` would count the process that started it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return round(int(line) / 1024, 1)


if __name__ == "__main__":
    main()
