"""The task in verifiers 0.4: a taskset with a shared toolset, the `null` harness, all on this host.

The cheapest of its documented ways: the harness program and the tool server are subprocesses, the
tool server is started once, and only the program once an episode. The policy is an endpoint in a
process of its own, which is not counted. The harness program needs `uv` and, at its first start,
an index of packages.
"""

# pyright: reportMissingImports=false
# ruff: noqa: TID251 (the other project's package is meant)
from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from env_peers.playing import Clock, Play, Side

if version("verifiers").startswith("0.1."):
    raise ImportError(f"verifiers {version('verifiers')} has no tasksets; 0.4 has")

import verifiers.v1 as vf
from verifiers.v1.utils.loaders import load_environment, resolve_env_config

TASKSET = "verifiers_tools"


@contextmanager
def _policy(clock: Clock) -> Iterator[str]:
    """The scripted endpoint's address."""
    command = [sys.executable, "-m", "env_peers.verifiers_endpoint"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        clock.left_out.add(process.pid)
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.kill()


async def _episode(env: Any, task: Any, context: Any) -> float:
    episode = await env.run_slot(env.slots(task)[0], context)
    if not episode.ok:
        raise RuntimeError(f"an episode failed: {episode.errors or episode.traces[0].errors}")
    return float(episode.traces[0].reward)


@contextmanager
def _playing(records: int, clock: Clock) -> Iterator[Play]:
    logging.disable(logging.WARNING)
    here = str(Path(__file__).parent)
    sys.path.append(here)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(here).parent), here])
    agent = {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}}
    config = {"taskset": {"id": TASKSET, "records": records}, "agent": agent}
    env = load_environment(resolve_env_config(config))
    (task,) = env.taskset
    with _policy(clock) as address, asyncio.Runner() as runner:
        client = vf.EvalClientConfig(base_url=address, api_key_var="NO_KEY")
        context = vf.ModelContext("scripted", client)
        serving = env.serving()
        runner.run(serving.__aenter__())
        try:
            yield lambda n: sum(runner.run(_episode(env, task, context)) for _ in range(n))
        finally:
            runner.run(serving.__aexit__(None, None, None))


SIDE = Side(
    "verifiers",
    True,
    "the endpoint sends calls; json.loads in its program",
    "a trace; a program for each episode; the state over HTTP around each call",
    _playing,
)
