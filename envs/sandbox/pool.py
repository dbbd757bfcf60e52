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
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tooldojo.envs.sandbox import wire
from tooldojo.envs.sandbox.machine import require, survey
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
_START_SECONDS = 60.0
_QUICK = 0.05  # seconds, within which most calls end, without a look at their clocks
_LEAST_WAIT = 0.005
_REPLY_ROOM = 4096  # bytes of a reply besides its output, which JSON may make six times as long


class Child:
    """One confined process, seen from here: its connection, and a handle to kill it by."""

    def __init__(self, sock: socket.socket, family: int) -> None:
        self.family = family
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._handle: int | None = None
        self.pid = 0

    def wait_ready(self) -> None:
        """Take its first message, whose sender the kernel names.

        Raises:
            SandboxUnavailable: where it could not be confined.
            SandboxLost: where it never came to that.
        """
        if not self._answers(_START_SECONDS):
            raise SandboxLost(f"sandbox: a child did not start within {_START_SECONDS:.0f} s")
        try:
            data, ancillary = wire.part(self._sock, _REPLY_ROOM)
            said = wire.message_of(data, self._sock, _REPLY_ROOM)
        except wire.Broken as error:
            raise SandboxLost(f"sandbox: a child ended before it was ready ({error})") from None
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        if not said.get("ready"):
            raise SandboxUnavailable(f"sandbox: a child could not be confined: {said.get('why')}")
        self.pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else 0
        with contextlib.suppress(ProcessLookupError):  # then the first call says that it died
            self._handle = os.pidfd_open(self.pid)

    def call(self, request: dict, limits: Limits) -> Result:
        """Send a request and wait for what it comes to; a child that did not end it is killed."""
        began = time.monotonic()
        try:
            wire.send(self._sock, request)
        except OSError:
            return Result(Outcome.DIED, "")
        stopped = None if self._answers(_QUICK) else self._watch(began, limits)
        if stopped is not None:
            return self._stopped(stopped, time.monotonic() - began)
        try:
            said, fd = wire.receive(self._sock, 6 * limits.output + _REPLY_ROOM)
        except wire.Broken:
            return self._stopped(Outcome.DIED, time.monotonic() - began)
        if fd is not None:
            os.close(fd)
        return _result(said, limits, time.monotonic() - began)

    def _watch(self, began: float, limits: Limits) -> Outcome | None:
        """Wait for the answer; the limit that the call went over, if it did.

        Time is counted from here on, so a call has `_QUICK` seconds more than its limits say.

        Raises:
            SandboxLost: where the machine did not let it run.
        """
        start, cpu, waited = time.monotonic(), self._cpu(), self._waited()
        wait = min(limits.cpu_seconds, limits.wall_seconds, limits.lost_seconds)
        while not self._answers(max(_LEAST_WAIT, wait)):
            passed, used = time.monotonic() - start, self._cpu() - cpu
            own = passed - (self._waited() - waited)
            if used >= limits.cpu_seconds:
                return Outcome.CPU
            if own >= limits.wall_seconds:
                return Outcome.IDLE
            if passed >= limits.lost_seconds:
                self.kill()
                gone = time.monotonic() - began
                raise SandboxLost(f"sandbox: the machine gave a call {own:.1f} of {gone:.1f} s")
            left = (limits.cpu_seconds - used, limits.wall_seconds - own)
            wait = min(*left, limits.lost_seconds - passed)
        return None

    def _answers(self, seconds: float) -> bool:
        """Whether something comes within some time (poll, for descriptors may be many)."""
        return bool(self._poll.poll(seconds * 1000))

    def fork(self, fd: int) -> None:
        """Ask it to go on twice; the copy takes the connection `fd`.

        Raises:
            SandboxLost: where it did not.
        """
        try:
            wire.send(self._sock, {"fork": True}, fd)
            said, _ = wire.receive(self._sock, _REPLY_ROOM)
        except (wire.Broken, OSError) as error:
            raise SandboxLost(f"sandbox: a session could not be forked: {error}") from None
        if not said.get("forked"):
            raise SandboxLost(f"sandbox: a session could not be forked: {said.get('why')}")

    def kill(self) -> None:
        """End the process, if it runs still, and let go of it."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = None
        self._sock.close()

    @property
    def ended(self) -> bool:
        """Whether it has been killed here."""
        return self._handle is None

    def _stopped(self, outcome: Outcome, seconds: float) -> Result:
        self.kill()
        return Result(outcome, "", seconds=seconds)

    def _cpu(self) -> float:
        """Processor seconds of the process, all threads; the clock id is Linux's own formula."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def _waited(self) -> float:
        """Seconds that it was ready to run while others did (0 where the kernel does not count)."""
        try:
            with open(f"/proc/{self.pid}/schedstat") as file:
                return int(file.read().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0


def _result(said: dict, limits: Limits, seconds: float) -> Result:
    output, error = str(said.get("output", "")), str(said.get("error", ""))
    cut = bool(said.get("cut")) or len(output) > limits.output
    return Result(Outcome.DONE, output[: limits.output], error[:1000], cut, seconds)


class Session:
    """A child that keeps its variables from call to call. Close it, or use it in a `with`."""

    def __init__(self, sandbox: Sandbox, child: Child) -> None:
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
        require(isolation)
        self.limits, self.isolation, self._spare = limits or Limits(), isolation, max(1, spare)
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

    def _take(self) -> Child:
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

    def _made(self, forks: bool) -> Child:
        with self._lock:
            self._ensure()
            self._ask(forks)
            while self._asked > 1:
                self._waiting.append(self._next_child())
            child = self._next_child()
        return self._ready(child)

    def _fork(self, parent: Child) -> Child:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with self._lock:
            while self._asked:
                self._waiting.append(self._next_child())
            self._tell({"grant": parent.family})
            granted = self._hear()[0].get("granted")
        if not granted:
            raise SandboxLost("sandbox: the session to be forked has ended")
        parent.fork(theirs.fileno())
        theirs.close()
        return self._ready(Child(ours, parent.family))

    def _ready(self, child: Child) -> Child:
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
        self._control.settimeout(_START_SECONDS)
        self._scratch = tempfile.mkdtemp(prefix="tooldojo-") if self.limits.scratch else ""
        self._waiting: deque[Child] = deque()
        self._asked, self._owner = 0, os.getpid()
        self._server = subprocess.Popen(
            self._command(theirs.fileno()),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
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
            from tooldojo.envs.sandbox.namespaces import python_in_bwrap

            return [
                *python_in_bwrap(self._python, _PACKAGE, self._scratch, self.limits.readable),
                *command,
            ]
        return command

    def _ask(self, forks: bool) -> None:
        self._tell({"forks": forks})
        self._asked += 1

    def _next_child(self) -> Child:
        said, fd = self._hear()
        self._asked -= 1
        if fd is None:
            raise SandboxLost("sandbox: the server sent no child")
        sock = socket.socket(fileno=fd)
        return Child(sock, said["child"])

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
            self._drop_server()
            raise SandboxLost(f"sandbox: its server ended ({error})") from None

    def _drop_server(self) -> None:
        if self._server is None:
            return
        for child in self._waiting:
            child.kill()
        self._waiting.clear()
        self._control.close()
        if self._owner == os.getpid():
            try:
                self._server.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            if self._scratch:
                shutil.rmtree(self._scratch, ignore_errors=True)
        self._server = None


@cache
def shared_sandbox() -> Sandbox:
    """The sandbox that the worlds of this process share, with the default limits."""
    return Sandbox()
