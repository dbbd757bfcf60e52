"""Running attacks, in the sandbox and without it, as this uid or as one without rights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from attacks.probes import ALL, ENDLESS, FLOODS
from attacks.scene import Scene
from tooldojo.envs.sandbox.pool import Sandbox
from tooldojo.envs.sandbox.records import Limits, Outcome

NOBODY = 65534
LIMITS = Limits(cpu_seconds=0.4, wall_seconds=1.0, output=20_000)
SCRATCH = Limits(cpu_seconds=0.4, wall_seconds=1.0, output=20_000, scratch=8 << 20)
_OFF_SECONDS = 3.0  # after which an endless one counts as not stopped
_AIM_SECONDS = 40.0  # for the others, which may be slow on a loaded machine


@dataclass(frozen=True, slots=True)
class Attacked:
    """What an attack came to. escaped: how it got out; "" where it did not."""

    name: str
    escaped: str
    detail: str


def inside(sandbox: Sandbox, name: str) -> Attacked:
    """Run one attack in the sandbox."""
    scene = Scene()
    try:
        result = sandbox.run(scene.fill(ALL[name]))
        detail = f"{result.outcome.value} {result.error}".strip()
        ended = result.outcome in (Outcome.CPU, Outcome.IDLE)
        return Attacked(name, _escape(name, scene, result.output, ended), detail)
    finally:
        scene.close()


def outside(name: str, python: str) -> Attacked:
    """Run the same without a sandbox: an ordinary process with what its parent has."""
    scene = Scene()
    folder = tempfile.mkdtemp(prefix="attack-off-")
    command = [python, "-c", scene.fill(ALL[name])]
    ended = True
    try:
        process = subprocess.Popen(
            command, cwd=folder, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            seconds = _OFF_SECONDS if name in ENDLESS else _AIM_SECONDS
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            ended = False
            process.kill()
            output, _ = process.communicate()
        last = output.strip().splitlines()[-1:] or [""]
        return Attacked(name, _escape(name, scene, output, ended), last[0][:200])
    finally:
        scene.close()
        shutil.rmtree(folder, ignore_errors=True)


def _escape(name: str, scene: Scene, output: str, ended: bool) -> str:
    if name in ENDLESS:
        return "" if ended else "it was not stopped"
    if name in FLOODS:
        return f"wrote {len(output)} characters" if len(output) > LIMITS.output else ""
    return "it reached its aim" if "ESCAPED" in output else scene.harmed()


def attack(names: Iterable[str], limits: Limits, **settings: Any) -> list[Attacked]:
    """Run attacks in one sandbox, one after the other."""
    with Sandbox(limits, **settings) as sandbox:
        return [inside(sandbox, name) for name in names]


def public_python() -> str | None:
    """An interpreter that any user can run, new enough for the fork server."""
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        test = [path, "-c", "import sys; assert sys.version_info >= (3, 11)"]
        try:
            done = subprocess.run(test, user=_nobody(), cwd="/", capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return None


def _nobody() -> int | None:
    return NOBODY if os.geteuid() == 0 else None


def as_nobody(work: Callable[[], Any]) -> Any:
    """The JSON-able result of `work`, done in a fork of this process without any right.

    Raises:
        RuntimeError: with its traceback, where it failed there.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.environ["HOME"] = "/"
            os.environ.pop("TMPDIR", None)
            answer = {"value": work()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(writing, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    answer = json.loads(text or '{"error": "it died"}')
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["value"]
