"""Judging a store again: rows a second, and whether memory depends on how many rows there are.

One shard of gold trajectories of the orders world, small and large, each judged in a process of its
own by the world's verifier.

python benchmarks/rescore_store.py [--quick]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from common import arguments, finish

from tooldojo.envs.source import take
from tooldojo.envs.task import IssuedTask, Split
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.player import Limits, PlaySettings, play_group
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import Group
from tooldojo.rollouts.scripted import ScriptedSampler
from tooldojo.rollouts.store import ROWS, TrajectoryStore, batches, new_shard
from tooldojo.verifiers.reward import RewardShape

WORLD = "tooldojo/Orders-v0"
WORKER = Path(__file__).parent / "referee" / "rescore_worker.py"
SIZES = {"quick": (512, 5120), "full": (5120, 102_400)}  # rows of the two shards


def main() -> None:
    """Write both shards, judge each, compare."""
    args = arguments(__doc__ or "")
    small, large = SIZES["quick" if args.quick else "full"]
    with tempfile.TemporaryDirectory() as folder:
        first = first_shard(Path(folder) / "first")
        runs = {rows: judged(first, Path(folder) / str(rows), rows) for rows in (small, large)}
    figures = {f"{key}_{rows}": value for rows, run in runs.items() for key, value in run.items()}
    ratio = runs[large]["peak_mib"] / runs[small]["peak_mib"]
    finish({"rows": [small, large], **figures, "memory_ratio": round(ratio, 3)})


def first_shard(folder: Path) -> Path:
    """Some gold trajectories, as play stores them."""
    from tooldojo.training.policy import load_tokenizer

    chat = Chat(load_tokenizer("default"), call_format("hermes"))
    settings = PlaySettings(Limits(max_turn_tokens=512, max_context=4096), RewardShape(), 0)
    sampler = ScriptedSampler(chat, "gold", 0)
    groups: list[Group] = []
    for ordinal, task in enumerate(take([WORLD], Split.TRAIN, 0, 64)):
        issued = IssuedTask(ordinal, task)
        groups.append(asyncio.run(play_group(issued, 4, sampler, chat, settings, BASE)))
    return TrajectoryStore(folder).append(groups, "gold", 0)


def judged(first: Path, folder: Path, rows: int) -> dict[str, float]:
    """Speed and peak memory of judging `rows` rows, in a new process."""
    folder.mkdir()
    (batch,) = batches(first)
    with new_shard(folder / first.name) as writer:
        for _ in range(rows // ROWS):
            writer.write_batch(batch)
    command = [sys.executable, str(WORKER), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"{rows} rows: {done.stdout.strip()}", flush=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
