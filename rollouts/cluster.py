"""Ray's start-up, and the check that a fleet fits. Refuses to start what cannot run."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Any

from tooldojo.configs.schema import RolloutSection

_ADDRESS = "RAY_ADDRESS"
_KNOCK = 10.0  # seconds in which a cluster must answer
_STORE_GIB = 0.4  # Ray's object store at least: groups and small updates
_TRIES = 3  # Ray gives its own processes 30 s, which a busy machine can exceed
_WORKER_GIB = 1.2  # resident memory of a worker without weights and key-value cache


class FleetError(RuntimeError):
    """The fleet cannot play: too few resources, or workers that keep dying."""


def start_ray(model: Path) -> bool:
    """Connect to the cluster that RAY_ADDRESS names, or start Ray on this machine.

    The object store holds two updates of the model. Returns whether Ray was started here, so that
    whoever asked can end it.
    """
    import ray

    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # engines are the work, not the background
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if on_cluster():
        _join(os.environ[_ADDRESS], settings)
        return True
    store = int(max(_STORE_GIB, 2 * _weights_gib(model)) * 2**30)
    settings |= {"address": "local", "include_dashboard": False, "object_store_memory": store}
    for left in reversed(range(_TRIES)):
        try:
            ray.init(**settings)
        except Exception as error:  # Ray raises no narrower one when it is too slow to start
            ray.shutdown()
            if not left:
                raise FleetError(f"Ray did not start in {_TRIES} attempts: {error}") from error
        else:
            break
    return True


def _join(address: str, settings: dict[str, Any]) -> None:
    import ray

    _knock(address)
    try:
        ray.init(**settings)
    except Exception as error:  # as above
        ray.shutdown()
        raise FleetError(
            f"the Ray cluster at {address!r} (run.address or {_ADDRESS}) takes no one in: {error}; "
            "its nodes and this machine need the same Ray, Python and RAY_AUTH_TOKEN"
        ) from error


def _knock(address: str) -> None:
    """Refuse a cluster that does not listen; Ray itself would try for minutes. `auto` and URLs are
    left to Ray.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()) or "/" in address:
        return
    try:
        socket.create_connection((host, int(port)), _KNOCK).close()
    except OSError as error:
        raise FleetError(
            f"no Ray cluster answers at {address!r} (run.address or {_ADDRESS}): {error}; start "
            "one with `ray start --head`, or set neither"
        ) from None


def join_cluster(address: str) -> None:
    """Let everything that this process starts run on the cluster at `address`; "" changes nothing.

    Through the variable that Ray itself reads, so that its commands and children agree.
    """
    if address:
        os.environ[_ADDRESS] = address


def on_cluster() -> bool:
    """Whether RAY_ADDRESS names a running cluster."""
    return _ADDRESS in os.environ


def threads_per_worker(workers: int) -> int:
    """Cores for each engine when all share this machine."""
    return max(1, len(os.sched_getaffinity(0)) // workers)


def check_gpus(section: RolloutSection) -> None:
    """Raise before an engine starts; needs a running Ray, which knows the GPUs.

    Raises:
        FleetError: naming what is missing and which key to change.
    """
    import ray

    gpus, wanted = (
        ray.cluster_resources().get("GPU", 0.0),
        section.workers * section.gpus_per_worker,
    )
    if wanted > gpus:
        raise FleetError(
            f"{section.workers} workers with rollout.gpus_per_worker={section.gpus_per_worker:g} "
            f"need {wanted:g} GPUs, Ray knows {gpus:g}; lower either key"
        )


def check_machine(section: RolloutSection, model: Path) -> None:
    """Raise before Ray starts, on `join_cluster`'s cluster or this machine.

    Raises:
        FleetError: naming what is missing and which key to change.
    """
    if section.tensor_parallel > max(1.0, section.gpus_per_worker):
        raise FleetError(
            f"rollout.tensor_parallel={section.tensor_parallel} needs as many GPUs per worker; "
            f"rollout.gpus_per_worker is {section.gpus_per_worker:g}"
        )
    if on_cluster() or section.gpus_per_worker:
        return
    need = section.workers * (_WORKER_GIB + section.kv_cache_gib + 2 * _weights_gib(model))
    free = _free_gib()
    if need > free:
        raise FleetError(
            f"{section.workers} workers need about {need:.1f} GiB of memory, {free:.1f} GiB are "
            "free; lower rollout.workers or rollout.kv_cache_gib"
        )


def _weights_gib(model: Path) -> float:
    return sum(file.stat().st_size for file in model.glob("*.safetensors")) / 2**30


def _free_gib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return float("inf")
