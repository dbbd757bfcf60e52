"""How many trajectories a second one driver can keep moving, on 1, 64 and 1,024 simulated engines.

python benchmarks/driver_capacity.py [--quick]

Cells: `scheduler`, the real scheduler, stream, pipeline and staleness rule on a simulated clock,
where finished groups hold nothing; `full`, all of that with real worlds, token buffers, verifiers
and the trajectory store, on simulated engines with measured latencies, in one process. `demand` is
what the engines could deliver by their latency model, `share` how much of it was reached, and
`cpu_us` and `cpu_ms` what one trajectory costs this process. `bytes_per_trajectory` is the slope of
resident memory over the second half of the run. `ratio` is what a trajectory costs the scheduler
with one engine over what it costs with 1,024.
"""

from __future__ import annotations

import heapq
import os
import shutil
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from common import arguments, finish

from tooldojo.configs.schema import ObjectiveSection
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import IssuedTask, Split, Task, TaskSource
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.player import Limits, PlaySettings
from tooldojo.rollouts.publish import BASE
from tooldojo.rollouts.records import EngineId, Group, PolicyRef
from tooldojo.rollouts.scheduler import Job, Scheduler, given_up
from tooldojo.rollouts.simulated import LatencyModel, SimulatedSampler, SimulatedSpec
from tooldojo.rollouts.store import TrajectoryStore
from tooldojo.rollouts.stream import GroupStream
from tooldojo.training.policy import find_model, load_tokenizer
from tooldojo.training.sampling import DynamicSampler, Pipeline
from tooldojo.verifiers.records import Json
from tooldojo.verifiers.reward import RewardShape

WORLD, SIZE, ETA = "tooldojo/Orders-v0", 8, 1
ENGINES = (1, 64, 1024)
SLOTS = {1: 64, 64: 16, 1024: 1}  # trajectories at once on an engine, of the full path
POOL = 64  # different tasks: making tasks is not what is measured
SETTINGS = PlaySettings(Limits(max_turn_tokens=256, max_context=4096), RewardShape(), 0)


@cache
def pool() -> tuple[Task, ...]:
    """The tasks that are issued."""
    drawn = GeneratedTasks([WORLD], Split.TRAIN, 0)
    return tuple(drawn.next().task for _ in range(POOL))


class Repeated:
    """A source that issues a few tasks again and again."""

    def __init__(self) -> None:
        self.ordinal = 0

    def next(self) -> IssuedTask:
        """The next task."""
        self.ordinal += 1
        return IssuedTask(self.ordinal - 1, pool()[self.ordinal % POOL])

    def feedback(self, ordinal: int, scores: object) -> None:
        """Nothing to learn."""

    def state_dict(self) -> dict[str, Json]:
        """The place."""
        return {"ordinal": self.ordinal}

    def load_state_dict(self, state: dict[str, Json]) -> None:
        """Never resumed."""


@dataclass
class ClockEngines:
    """Engines on a simulated clock: a job takes a drawn time, and is then done."""

    scheduler: Scheduler[int]
    luck: Random
    clock: float = 0.0
    issued: int = 0

    def __post_init__(self) -> None:
        self.queue: list[tuple[float, int]] = []
        nobody = EngineId("clock", "simulated", os.getpid(), "")
        job = Job((IssuedTask(0, pool()[0]),), SIZE, SETTINGS)
        self.empty = given_up(job.issued[0], job, nobody, BASE, "")

    def start(self, job: Job) -> None:
        """Route it; it ends after a log-normal time."""
        self.issued += 1
        self.scheduler.started(self.issued, job, self.scheduler.least_loaded())
        heapq.heappush(self.queue, (self.clock + self.luck.lognormvariate(0, 1), self.issued))

    def pump(self, wait: bool) -> None:
        """The next job to end."""
        self.clock, ticket = heapq.heappop(self.queue)
        job = self.scheduler.ended(ticket)
        job.done.extend(replace(self.empty, ordinal=each.ordinal) for each in job.issued)

    def abandon(self, done: deque[Group]) -> None:
        """Nothing runs."""


def drive(stream: GroupStream, groups: int, batch: int, on_batch) -> None:
    """The training loop's side: batches under a rising version until so many groups are settled."""
    section = ObjectiveSection(groups=batch, group_size=SIZE, dynamic_sampling=False)
    source: TaskSource = Repeated()
    sampler = DynamicSampler(section, Pipeline(source, stream), eta=ETA)
    steps = max(2, groups // batch)
    for version in range(1, steps + 1):
        on_batch(sampler.batch(version, steps - version + 1, lambda group: None), version)


def scheduler_alone(engines: int, groups: int) -> dict:
    """Trajectories a second through everything but engines, worlds and store."""
    batch = max(16, engines)
    floor = ClockEngines(Scheduler(engines), Random(0))
    stream = GroupStream(floor, SIZE, SETTINGS, limit=None)
    memory, began, cpu = Memory(), time.perf_counter(), time.process_time()
    drive(stream, groups, batch, lambda played, _: memory.note(len(played.groups) * SIZE))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "trajectories": memory.count,
        "trajectories_per_second": round(memory.count / seconds),
        "cpu_us": round(1e6 * cpu / memory.count, 1),
        "bytes_per_trajectory": memory.slope(),
    }


class Memory:
    """Resident memory over trajectories."""

    def __init__(self) -> None:
        self.count = 0
        self.points: list[tuple[int, int]] = []

    def note(self, trajectories: int) -> None:
        """So many more are done."""
        self.count += trajectories
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.points.append((self.count, pages * os.sysconf("SC_PAGE_SIZE")))

    def slope(self) -> float | None:
        """Bytes per trajectory, least squares over the second half; None for too few points."""
        half = np.array(self.points[len(self.points) // 2 :], float)
        return round(float(np.polyfit(*half.T, 1)[0]), 1) if len(half) > 2 else None


def full_path(engines: int, trajectories: int, chat: Chat, model: Path, out: Path) -> dict:
    """The same with real worlds, buffers, verifiers and store on simulated engines."""
    latency = LatencyModel()
    spec = SimulatedSpec(str(model), latency, skill=0.7)
    samplers = [SimulatedSampler(spec, chat) for _ in range(engines)]
    inflight = engines * SLOTS[engines]
    fleet = LocalFleet(
        samplers[0], chat, SETTINGS, max_inflight=inflight, others=samplers[1:],
        policy=PolicyRef("policy", 1, "simulated"),
    )  # fmt: skip
    store, memory, waits = TrajectoryStore(out / f"full-{engines}"), Memory(), list[float]()

    def settled(played, version: int) -> None:
        fleet.policy = replace(fleet.policy, version=version + 1)
        store.append(played.groups, "train", version)
        turns = [t.timings for g in played.groups for m in g.trajectories
                 for s in m.segments for t in s.turns]  # fmt: skip
        waits.append(sum(each.decode for each in turns) / (len(played.groups) * SIZE))
        memory.note(len(played.groups) * SIZE)

    stream = fleet.stream(SIZE, ahead=True)
    began, cpu = time.perf_counter(), time.process_time()
    drive(stream, trajectories // SIZE, max(8, inflight // SIZE // 2), settled)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    stream.close()
    demand = inflight / float(np.mean(waits))
    return {
        "inflight": inflight,
        "trajectories": memory.count,
        "trajectories_per_second": round(memory.count / seconds, 1),
        "demand": round(demand, 1),
        "share": round(memory.count / seconds / demand, 3),
        "cpu_ms": round(1000 * cpu / memory.count, 2),
        "bytes_per_trajectory": memory.slope(),
    }


def main() -> None:
    """All cells, one after the other."""
    args = arguments(__doc__ or "")
    out = args.out / "driver-capacity"
    shutil.rmtree(out, ignore_errors=True)
    groups, played = (8_192, 256) if args.quick else (200_000, 20_000)
    scheduler = {str(n): scheduler_alone(n, groups) for n in ENGINES}
    model = find_model("default")
    chat = Chat(load_tokenizer("default"), call_format("hermes"))
    full = {str(n): full_path(n, played, chat, model, out) for n in ENGINES}
    costs = [cell["cpu_us"] for cell in scheduler.values()]
    finish({"scheduler": scheduler, "full": full, "ratio": round(costs[0] / costs[-1], 3)})


if __name__ == "__main__":
    main()
