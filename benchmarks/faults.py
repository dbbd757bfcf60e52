"""Random faults while groups are played: what is lost, what comes twice, and what is left behind.

python benchmarks/faults.py [--quick] [--seed N]

A Ray cluster of several raylets on this machine, rollout workers with simulated engines, and a
world with a tool on threads. While groups are played, engines crash and hang, workers exit and are
killed, nodes are lost, tools crash and hang, and a few poisoned tasks always fail. Every (ordinal,
member) must come back once; one with a verdict must be, token for token and reward for reward, the
one of an undisturbed run, and only poisoned ones may lack it. `ratio` is the share of members of
which that is true. Crashes of the driver are in `resume_kills.py`.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from random import Random
from typing import Any

from common import arguments, finish
from fault_worlds.workshop import FAULTS
from resume_kills import TAG, processes

from tooldojo.configs.schema import RolloutSection
from tooldojo.envs.registry import world_class
from tooldojo.envs.task import IssuedTask, Split, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.fleet import Fleet
from tooldojo.rollouts.formats import call_format
from tooldojo.rollouts.local_fleet import LocalFleet
from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.rollouts.simulated import ENGINE_FAULTS, LatencyModel, SimulatedSampler, SimulatedSpec
from tooldojo.training.policy import find_model, load_tokenizer

WORLD = f"{Path(__file__).parent / 'fault_worlds' / 'workshop.py'}:Workshop"
SIZE, WORKERS, POOL = 4, 2, 32
ORDERED = (*ENGINE_FAULTS, "tool_crash", "tool_hang")  # by a file that the victim takes away
KINDS = (*ORDERED, "worker_kill", "node_loss")
SECTION = RolloutSection(workers=WORKERS, max_inflight=32, max_context=4096, deadline=20)
LEAVING = 90.0  # seconds in which every process must be gone; Ray's agents take one minute


@dataclass
class Lab:
    """A cluster, and faults to order in it. `nodes` are those that workers run on."""

    faults: Path
    luck: Random
    cluster: Any = None
    nodes: list[Any] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """A head without room for workers, and a node for each worker."""
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(WORKERS)]
        os.environ["RAY_ADDRESS"] = self.cluster.address

    def strike(self, kind: str, fleet: Fleet) -> None:
        """One fault; ordered ones happen a little later."""
        self.done[kind] += 1
        if kind == "worker_kill":
            living = [e for e in fleet.engines if Path(f"/proc/{e.pid}").exists()]
            os.kill(self.luck.choice(living).pid, signal.SIGKILL)
        elif kind == "node_loss":
            lost = self.nodes.pop(self.luck.randrange(len(self.nodes)))
            self.cluster.remove_node(lost, allow_graceful=False)
            self.nodes.append(self.cluster.add_node(num_cpus=1))
        else:
            (self.faults / kind).touch()

    def pending(self) -> bool:
        """Whether an ordered fault has not happened yet."""
        return any((self.faults / kind).exists() for kind in ORDERED)


def tasks(poisoned: int) -> Iterator[IssuedTask]:
    """Tasks without end, of a few different ones; the first are poisoned. All are made at once: a
    task is proven by its gold, which must not meet an ordered fault.
    """
    world = world_class(WORLD)
    made = [world.make_task(0, Split.TRAIN, 1, ordinal) for ordinal in range(POOL)]
    sound = (IssuedTask(n, made[n % POOL]) for n in count(poisoned))
    return chain((IssuedTask(n, poison(made[n])) for n in range(poisoned)), sound)


def poison(task: Task) -> Task:
    """The same task in a state in which its tool always fails."""
    return replace(task, world=task.world | {"poison": True})


def disturbed(fleet: Fleet, lab: Lab, plan: list[str], issued: Iterator[IssuedTask]) -> list[Group]:
    """Play on until the plan's faults have all happened, then to the end."""
    stream, groups = fleet.stream(SIZE), list[Group]()
    left = list(reversed(plan))
    while left or lab.pending() or stream.outstanding:
        while (left or lab.pending()) and stream.has_room():
            stream.put([next(issued)])
        groups.append(stream.get())
        if left and not lab.pending():
            lab.strike(left.pop(), fleet)
    return groups


def undisturbed(groups: list[Group], spec: SimulatedSpec, fleet: Fleet) -> dict:
    """What the same tasks give in one process without faults, by ordinal and member."""
    chat = Chat(load_tokenizer("default"), call_format("hermes"))
    sampler = SimulatedSampler(replace(spec, faults="", latency=LatencyModel(step=0.0)), chat)
    local = LocalFleet(sampler, chat, fleet.settings, max_inflight=64)
    issued = [IssuedTask(group.ordinal, group.task) for group in groups]
    return members(local.play(issued, SIZE))


def members(groups) -> dict[tuple[int, int], Trajectory]:
    """All trajectories by place."""
    return {(g.ordinal, t.member): t for g in groups for t in g.trajectories}


def as_it_must_be(mine: Trajectory, theirs: Trajectory) -> bool:
    """The same tokens and reward; without a verdict only where the undisturbed one has none."""
    ids = [segment.ids_T.tolist() for segment in mine.segments]
    same = ids == [segment.ids_T.tolist() for segment in theirs.segments]
    return mine.reward == theirs.reward and (same or theirs.reward is None)


def orphans(tag: str) -> list[str]:
    """Processes of the cluster that are still there after a while."""
    end = time.monotonic() + LEAVING
    while True:
        left = [words for pid, words in processes(tag) if pid != os.getpid()]
        if not left or time.monotonic() > end:
            return left
        time.sleep(1.0)


def run(faults: int, seed: int, tag: str) -> dict:
    """The figures of one disturbed run."""
    luck = Random(seed)
    plan = [*KINDS, *luck.choices(KINDS, k=max(0, faults - len(KINDS)))]
    luck.shuffle(plan)
    issued = tasks(poisoned=2)
    with tempfile.TemporaryDirectory() as directory:
        os.environ[FAULTS] = directory
        lab = Lab(Path(directory), luck)
        lab.start()
        model = find_model("default")
        spec = SimulatedSpec(str(model), LatencyModel(step=0.002), 0.7, directory)
        began = time.monotonic()
        with Fleet(
            SECTION, model, "hermes", [WORLD], seed, simulated=spec, replacements=10 * len(plan)
        ) as fleet:
            groups = disturbed(fleet, lab, plan[:faults], issued)
            seconds, replaced = time.monotonic() - began, len(fleet.replaced)
            expected = undisturbed(groups, spec, fleet)
        lab.cluster.shutdown()
    found = members(groups)
    right = sum(as_it_must_be(found[place], expected[place]) for place in expected)
    return {
        "faults": dict(lab.done),
        "groups": len(groups),
        "members": len(expected),
        "duplicated": sum(len(group.trajectories) for group in groups) - len(found),
        "wrong": [place for place in expected if not as_it_must_be(found[place], expected[place])],
        "failed": dict(Counter(t.ending.stop.value for t in found.values() if t.score is None)),
        "workers_replaced": replaced,
        "seconds": round(seconds, 1),
        "orphans": orphans(tag),
        "ratio": right / len(expected),
    }


def main() -> None:
    """One disturbed run."""
    args = arguments(
        __doc__ or "", lambda parser: parser.add_argument("--seed", type=int, default=0)
    )
    tag = os.environ[TAG] = uuid.uuid4().hex
    finish(run(len(KINDS) if args.quick else 200, args.seed, tag))


if __name__ == "__main__":
    main()
