"""The quickstart on a Ray cluster of two nodes, with nothing changed but `run.address`.

python benchmarks/two_nodes.py [--quick]

The head has no room for workers, so every engine runs on the other node. Cell `raylets`: both on
this machine's network. Cell `namespaces`, for root: the other node in a network namespace of its
own, joined to this one by a pair of virtual interfaces; it has no other way out. The run must end
well, its engines must have sampled in the other node's network namespace, and every stored
trajectory must replay.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from common import arguments, finish, tooldojo

from tooldojo.rollouts.store import TrajectoryStore

PORT = 6399
NAMESPACE, OUTER, INNER = "tooldojo-node", "10.77.0.1", "10.77.0.2"
SMALL = ("task.demos=160", "learner.steps=2", "objective.groups=4", "eval.tasks=24",
         "eval.transfer_worlds=[]")  # fmt: skip
# Ray's nodes and drivers must share a token.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
_WAIT = 90.0  # seconds for a node to come up


def sh(*command: str, check: bool = True) -> str:
    """A command's output."""
    done = subprocess.run(command, check=check, capture_output=True, text=True)
    return done.stdout


@contextmanager
def namespace() -> Iterator[list[str]]:
    """A network namespace behind a pair of interfaces; what to put before a command to be in it."""
    sh("ip", "netns", "add", NAMESPACE)
    try:
        inside = ["ip", "netns", "exec", NAMESPACE]
        sh(*f"ip link add dojo0 type veth peer name dojo1 netns {NAMESPACE}".split())
        sh("ip", "addr", "add", f"{OUTER}/24", "dev", "dojo0")
        sh("ip", "link", "set", "dojo0", "up")
        for command in (f"addr add {INNER}/24 dev dojo1", "link set dojo1 up", "link set lo up"):
            sh(*inside, "ip", *command.split())
        yield inside
    finally:
        sh("ip", "link", "del", "dojo0", check=False)
        sh("ip", "netns", "del", NAMESPACE)


@contextmanager
def node(before: Sequence[str], *options: str) -> Iterator[None]:
    """A raylet, and everything that it starts."""
    ray = [*before, str(Path(sys.executable).with_name("ray")), "start", "--block"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    store = f"--object-store-memory={400 << 20}"
    started = subprocess.Popen([*ray, store, *options], start_new_session=True, **quiet)
    try:
        yield
    finally:
        started.terminate()
        started.wait(_WAIT)


def wait_for(address: str, nodes: int) -> None:
    """Until so many nodes are alive.

    Raises:
        TimeoutError: naming how many are.
    """
    ask = (
        f"import ray; ray.init({address!r}, logging_level='ERROR', log_to_driver=False); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    until, found = time.monotonic() + _WAIT, ""
    while found != str(nodes):
        if time.monotonic() > until:
            raise TimeoutError(f"{found or 'no'} of {nodes} Ray nodes are up after {_WAIT:g} s")
        found = sh(sys.executable, "-c", ask, check=False).strip()


@contextmanager
def cluster(apart: bool) -> Iterator[tuple[str, str]]:
    """Two nodes; the address of the first, and the network that engines must be in."""
    with ExitStack() as stack:
        inside = stack.enter_context(namespace()) if apart else []
        home, away = (OUTER, INNER) if apart else ("127.0.0.1", "127.0.0.1")
        address = f"{home}:{PORT}"
        head = ("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
        stack.enter_context(node((), *head, f"--node-ip-address={home}"))
        wait_for(address, 1)
        other = (f"--address={address}", "--num-cpus=2", f"--node-ip-address={away}")
        stack.enter_context(node(inside, *other))
        wait_for(address, 2)
        yield address, sh(*inside, "readlink", "/proc/self/ns/net").strip()


def watched(directory: Path, address: str, options: Sequence[str]) -> dict[str, str]:
    """Run the quickstart; the network namespace of each process that was seen to be an engine."""
    tool = [sys.executable, "-m", "tooldojo.training.cli"]
    given = ("quickstart", "--dir", str(directory), f"run.address={address}", *options)
    run = subprocess.Popen([*tool, *given])
    seen: dict[str, str] = {}
    while run.poll() is None:
        time.sleep(1)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cmdline").read_bytes().startswith(b"ray::RolloutWorker"):
                    seen[process.name] = os.readlink(process / "ns" / "net")
            except OSError:
                continue  # it has ended
    if run.returncode:
        sys.exit(run.returncode)
    return seen


def cell(apart: bool, directory: Path, options: Sequence[str]) -> dict[str, Any]:
    """One cluster, one run."""
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    with cluster(apart) as (address, network):
        networks = watched(directory, address, options)
    seconds = time.monotonic() - began
    tooldojo("replay", str(directory), "--verify")
    rows = [row.trajectory for row in TrajectoryStore(directory / "trajectories").read()]
    elsewhere = {t.engine.pid for t in rows if networks.get(str(t.engine.pid)) != network}
    summary = json.loads((directory / "summary.json").read_text())
    return {
        "seconds": round(seconds, 1),
        "success": {stage: summary[stage]["success"] for stage in ("base", "sft", "rl")},
        "trajectories": len(rows),
        "engines_elsewhere": len(elsewhere),
        "own_network": network != os.readlink("/proc/self/ns/net"),
    }


def main() -> None:
    """Both cells; the second where this process may make namespaces."""
    args = arguments(__doc__ or "")
    options = SMALL if args.quick else ()
    cells = {"raylets": cell(False, args.out / "two-raylets", options)}
    if os.geteuid() == 0 and shutil.which("ip"):
        cells["namespaces"] = cell(True, args.out / "two-namespaces", options)
    finish({"cells": cells})


if __name__ == "__main__":
    main()
