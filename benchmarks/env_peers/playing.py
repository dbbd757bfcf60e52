"""How a side is described, played and timed; needs the standard library alone.

A module of a side has a `Side` whose `playing` opens it: a context manager that yields
`play(episodes)`, which returns the sum of their rewards.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Play = Callable[[int], float]


@dataclass
class Clock:
    """CPU time of this process and of all below it, less those left out; seconds.

    parts: what a side wants told apart. aside_cpu, aside_wall: time that does not count. A process
    that was not waited for when it ended drops out.
    """

    left_out: set[int] = field(default_factory=set)
    parts: dict[str, float] = field(default_factory=dict)
    aside_cpu: float = 0.0
    aside_wall: float = 0.0

    def cpu(self) -> float:
        """Since the processes began; of those still running below, to 10 ms."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        running = sum(_seconds_below(os.getpid(), self.left_out))
        own = time.process_time() - self.aside_cpu
        return own + ended.ru_utime + ended.ru_stime + running

    def wall(self) -> float:
        """Since some moment."""
        return time.perf_counter() - self.aside_wall

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What this process does in here does not count."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.aside_cpu += time.process_time() - cpu
            self.aside_wall += time.perf_counter() - wall

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the CPU time of this process in here as a part."""
        began = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.parts[name] = self.parts.get(name, 0.0) + spent


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison.

    package: whose version is reported. validates: whether arguments are checked against a schema
    before a tool runs. parses: who turns the policy's text into a call. keeps: what it does and
    records beside that. batch: episodes that go together.
    """

    package: str
    validates: bool
    parses: str
    keeps: str
    playing: Callable[[int, Clock], AbstractContextManager[Play]]
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Round:
    """What some episodes took; seconds of CPU and of wall clock."""

    episodes: int
    cpu: float
    wall: float
    parts: dict[str, float]


def timed(play: Play, side: Side, clock: Clock, seconds: float) -> Round:
    """Play whole batches for about so many seconds.

    Raises:
        RuntimeError: when an episode was not solved; its time would say nothing.
    """
    clock.parts.clear()
    cpu, began = clock.cpu(), clock.wall()
    episodes, earned = 0, 0.0
    while not episodes or clock.wall() - began < seconds:
        earned += play(side.batch)
        episodes += side.batch
    wall, cpu = clock.wall() - began, clock.cpu() - cpu
    if earned != episodes:
        raise RuntimeError(f"{episodes - earned:g} of {episodes} episodes were not solved")
    return Round(episodes, cpu, wall, dict(clock.parts))


def _seconds_below(root: int, left_out: set[int]) -> Iterator[float]:
    """CPU time of each running process below `root`, with what it has waited for."""
    ticks, below = os.sysconf("SC_CLK_TCK"), {root}
    spent: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                text = (place / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            after_name = text.rpartition(")")[2].split()  # a name may hold anything
            used = sum(map(int, after_name[11:15])) / ticks  # utime stime cutime cstime
            if int(place.name) not in left_out:
                spent[int(place.name)] = (int(after_name[1]), used)
    while found := {pid for pid, (parent, _) in spent.items() if parent in below} - below:
        below |= found
    yield from (spent[pid][1] for pid in below - {root} if pid in spent)
