"""What the framework adds to one tool step, over the bare env; both in turns in one process."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

import numpy as np

from env_peers.bare_shop import Bare
from env_peers.ours_shop import Shop, shop_task
from env_peers.shop import fresh, hermes
from tooldojo.envs.snapshot import Snapshot
from tooldojo.rollouts.formats import call_format

T = TypeVar("T")
ROUND = 100  # steps between a reset of both, which is not timed here


def step_figures(records: int, count: int) -> dict[str, Any]:
    """Microseconds of CPU time over so many steps, half reads and half writes; the overhead is the
    difference of a pair.
    """
    task, world = shop_task(records), Shop()
    bare, other = Bare(fresh(records)), Bare(fresh(records))
    kinds: dict[str, list[float]] = {"read": [], "write": []}
    bare_times, noise, resets, members = [], [], [], []
    write = actions(records, 2)[1]
    gc.collect()
    gc.disable()
    for number, action in enumerate(actions(records, count)):
        if number % ROUND == 0:
            start = {"task": replace(task)}  # whose id nobody has asked for yet
            resets.append(timed(lambda each: world.reset(options=each), start))
            members.append(timed(lambda each: member(each, write), world.snapshot()))
            world.step(action)  # the first hash of a state covers all of it
            gc.collect()
        alone = timed(bare.step, action)
        noise.append(abs(timed(other.step, action) - alone))
        kinds["write" if number % 2 else "read"].append(timed(world.step, action) - alone)
        bare_times.append(alone)
    gc.enable()
    return {
        "records": records,
        "state_bytes": len(json.dumps(task.world)),
        "steps": count,
        "bare_us": spread(bare_times),
        "overhead_us": spread(kinds["read"] + kinds["write"]),
        "overhead_read_us": spread(kinds["read"]),
        "overhead_write_us": spread(kinds["write"]),
        "timer_noise_us": spread(noise),
        "parse_us": parsing(min(count, 2000)),
        "reset_us": spread(resets),
        "member_us": spread(members),
    }


def member(start: Snapshot, write: dict) -> str:
    """What a further member of a group does up to its first write."""
    world = Shop()
    world.restore(start)
    world.step(write)
    return world.task.id  # a player's requests carry it


def actions(records: int, count: int) -> list[dict]:
    """Reads and writes in turn, over all records."""
    rng, found = Random(0), []
    for number in range(count):
        order, status = f"W{rng.randrange(records)}", f"s{number}"
        made = (
            {"name": "set_status", "arguments": {"order": order, "status": status}}
            if number % 2
            else {"name": "get_order", "arguments": {"order": order}}
        )
        found.append({"calls": (made,), "message": ""})
    return found


def timed(step: Callable[[T], object], action: T) -> float:
    """Microseconds of this thread's CPU time in one step; other programs do not enter."""
    began = time.thread_time_ns()
    step(action)
    return (time.thread_time_ns() - began) / 1000


def spread(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in microseconds."""
    return {
        "median": round(statistics.median(values), 2),
        "p95": round(float(np.percentile(values, 95)), 2),
    }


def parsing(count: int) -> dict[str, float]:
    """Reading one call in the Hermes format."""
    form, text = call_format("hermes"), hermes("set_status", {"order": "W1", "status": "lost"})
    assert len(form.parse(text).calls) == 1
    return spread([timed(lambda _: form.parse(text), {}) for _ in range(count)])
