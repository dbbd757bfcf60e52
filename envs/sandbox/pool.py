"""`Sandbox`: one-shot calls from a pool of confined children, and `Session`s that keep their state.

The client's half: it owns the fork server, the deadlines and the verdict on how a call ended.
Safe to use from several threads; a copy of it in a forked process starts a server of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tooldojo.envs.sandbox import wire
from tooldojo.envs.sandbox.confined import START_SECONDS, Confined
from tooldojo.envs.sandbox.machine import require, survey
from tooldojo.envs.sandbox.namespaces import python_in_bwrap
from tooldojo.envs.sandbox.records import (
    Isolation,
    Limits,
    Outcome,
    Result,
    SandboxLost,
    SandboxUnavailable,
)

_PACKAGE = Path(__file__).resolve().parents[2]
_BOOT = """
import sys, types
package = types.ModuleType("tooldojo")
package.__path__ = [sys.argv[3]]
sys.modules["tooldojo"] = package
from tooldojo.envs.sandbox.server import main
main()
"""


class Session:
    """A child that keeps its variables from call to call. Close it, or use it in a `with`."""

    def __init__(self, sandbox: Sandbox, child: Confined) -> None:
        self._sandbox, self._child = sandbox, child

    def run(self, code: str) -> Result:
        """Run Python in it. After an outcome other than DONE the session is over."""
        if self._child.ended:
            return Result(Outcome.DIED, "", "the session is over")
        return self._sandbox._judged(self._child.call({"code": code}, self._sandbox.limits))

    def fork(self) -> Session:
        """A second session in the same state; the two go on apart.

        Raises:
            ValueError: where the session was not made for it.
        """
        return Session(self._sandbox, self._sandbox._fork(self._child))

    def close(self) -> None:
        """End its process."""
        self._child.kill()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sandbox:
    """Runs model-written Python in confined processes. Close it, or use it in a `with`.

    spare: how many children wait, confined, for the next calls. allow_unsafe: must be set for
    `Isolation.UNSAFE`, which is limits alone. python: another interpreter, 3.11 or newer.

    Raises:
        SandboxUnavailable: where the machine cannot isolate as asked. It never does with less.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        isolation: Isolation = Isolation.STANDARD,
        spare: int = 3,
        allow_unsafe: bool = False,
        python: str = sys.executable,
    ) -> None:
        if isolation is Isolation.UNSAFE and not allow_unsafe:
            raise SandboxUnavailable(
                "sandbox: unsafe isolation runs code with limits alone; pass allow_unsafe=True "
                "where that is meant"
            )
        self.limits, self.isolation, self._spare = limits or Limits(), isolation, max(1, spare)
        if isolation is Isolation.STRICT and self.limits.scratch:
            raise SandboxUnavailable(
                "sandbox: strict isolation has no writable directory; set scratch=0, or take "
                "standard isolation"
            )
        require(isolation)
        self._python = python
        self._lock = threading.RLock()
        self._server: subprocess.Popen | None = None
        self._owner = 0
        atexit.register(self.close)

    def run(self, code: str) -> Result:
        """Run Python once, in a child of its own.

        Raises:
            SandboxLost: where the sandbox failed; the code is not to blame.
        """
        child = self._take()
        try:
            cpu = math.ceil(self.limits.cpu_seconds) + 1
            return self._judged(child.call({"code": code, "cpu": cpu}, self.limits))
        finally:
            child.kill()
            self._refill()  # afterwards, for the server's work would slow the call down

    def session(self, forkable: bool = False) -> Session:
        """A child that keeps its variables. forkable: whether `Session.fork` may be called.

        Raises:
            SandboxUnavailable: for a forkable one where the kernel cannot supervise forks.
            ValueError: for a forkable one with a writable directory, which copies would share.
        """
        if forkable and self.limits.scratch:
            raise ValueError("sandbox: a session with scratch cannot be forked; set scratch=0")
        if forkable and self.isolation is not Isolation.UNSAFE and not survey().notify:
            raise SandboxUnavailable(
                "sandbox: forking a session needs seccomp notification (Linux 5.5 or newer)"
            )
        child = self._made(forks=True) if forkable else self._take()
        self._refill()
        return Session(self, child)

    def close(self) -> None:
        """End the server and, with it, every child."""
        atexit.unregister(self.close)
        with self._lock:
            self._drop_server()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_pid(self) -> int | None:
        """The server's process id; None before the first call."""
        return self._server.pid if self._server else None

    def _take(self) -> Confined:
        """A child that waits for a call."""
        with self._lock:
            self._ensure()
            if not (self._waiting or self._asked):
                self._ask(forks=False)
            child = self._waiting.popleft() if self._waiting else self._next_child()
        return self._ready(child)

    def _refill(self) -> None:
        """Ask for children until enough are there or under way; a lost server shows at next use."""
        with self._lock, contextlib.suppress(SandboxLost):
            while self._server is not None and len(self._waiting) + self._asked < self._spare:
                self._ask(forks=False)

    def _made(self, forks: bool) -> Confined:
        with self._lock:
            self._ensure()
            self._ask(forks)
            while self._asked > 1:
                self._waiting.append(self._next_child())
            child = self._next_child()
        return self._ready(child)

    def _fork(self, parent: Confined) -> Confined:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with self._lock:
            while self._asked:
                self._waiting.append(self._next_child())
            self._tell({"grant": parent.family})
            granted = self._hear()[0].get("granted")
        if not granted:
            raise SandboxLost("sandbox: the session to be forked has ended")
        try:
            parent.fork(theirs.fileno(), self.limits.lost_seconds)
        except SandboxLost:
            ours.close()
            raise
        finally:
            theirs.close()
        return self._ready(Confined(ours, parent.family))

    def _ready(self, child: Confined) -> Confined:
        try:
            child.wait_ready()
        except (SandboxLost, SandboxUnavailable):
            child.kill()
            raise
        return child

    def _judged(self, result: Result) -> Result:
        """A child that died with its server is the server's loss, not the code's doing."""
        if result.outcome is Outcome.DIED and (
            self._server is None or self._server.poll() is not None
        ):
            raise SandboxLost("sandbox: its server ended during a call")
        return result

    # The server

    def _ensure(self) -> None:
        if self._server is not None and self._owner == os.getpid() and self._server.poll() is None:
            return
        self._drop_server()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_SECONDS)
        self._scratch = tempfile.mkdtemp(prefix="tooldojo-") if self.limits.scratch else ""
        self._waiting: deque[Confined] = deque()
        self._asked, self._owner = 0, os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # no child can write to it
        self._server = subprocess.Popen(
            self._command(theirs.fileno()),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors,
            env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/", pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip
        theirs.close()
        for _ in range(self._spare):
            self._ask(forks=False)

    def _command(self, control: int) -> list[str]:
        limits = asdict(self.limits)
        settings = {
            name: limits[name] for name in ("memory", "output", "files", "threads", "scratch")
        }
        settings |= {
            "cpu": self.limits.session_cpu,
            "readable": list(self.limits.readable),
            "scratch_at": self._scratch,
            "unsafe": self.isolation is Isolation.UNSAFE,
        }
        python = [self._python, "-s", "-S", "-P", "-c", _BOOT]
        command = [*python, str(control), json.dumps(settings), str(_PACKAGE)]
        if self.isolation is Isolation.STRICT:
            return [*python_in_bwrap(self._python, _PACKAGE, self.limits.readable), *command]
        return command

    def _ask(self, forks: bool) -> None:
        self._tell({"forks": forks})
        self._asked += 1

    def _next_child(self) -> Confined:
        said, fd = self._hear()
        self._asked -= 1
        if fd is None:
            raise SandboxLost("sandbox: the server sent no child")
        sock = socket.socket(fileno=fd)
        return Confined(sock, said["child"])

    def _tell(self, message: dict) -> None:
        with self._lost():
            wire.send(self._control, message)

    def _hear(self) -> tuple[dict, int | None]:
        with self._lost():
            return wire.receive(self._control)

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        """A broken connection means that the server has ended."""
        try:
            yield
        except (wire.Broken, OSError) as error:
            said = self._drop_server()
            raise SandboxLost(f"sandbox: its server ended ({said or error})") from None

    def _drop_server(self) -> str:
        """End the server and what waits for calls; the last line of what it complained about."""
        if self._server is None:
            return ""
        for child in self._waiting:
            child.kill()
        self._waiting.clear()
        self._control.close()
        if self._owner == os.getpid():
            try:
                self._server.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            if self._scratch:
                shutil.rmtree(self._scratch, ignore_errors=True)
        self._server = None
        with self._errors as file:
            file.seek(0)
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


@cache
def shared_sandbox() -> Sandbox:
    """The sandbox that the worlds of this process share, with the default limits."""
    return Sandbox()
