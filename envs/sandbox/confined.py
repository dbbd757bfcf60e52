"""`Confined`: one child of the fork server as the client sees it, and the verdict on its calls.

Whose doing an ending is gets decided here, by the clocks of the process and of the machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

from tooldojo.envs.sandbox import wire
from tooldojo.envs.sandbox.records import (
    Limits,
    Outcome,
    Result,
    SandboxLost,
    SandboxUnavailable,
)

START_SECONDS = 60.0  # within which a child or a server must have started
_QUICK = 0.05  # seconds, within which most calls end, without a look at their clocks
_AT_ONCE = 0.0001  # seconds of looking without sleeping: to fall asleep and be woken takes as long
_LEAST_WAIT = 0.005
_REPLY_ROOM = 4096  # bytes of a reply besides its output, which JSON may make six times as long


class Confined:
    """One confined process, seen from here: its connection, and a handle to kill it by."""

    def __init__(self, sock: socket.socket, family: int) -> None:
        self.family = family
        self._sock = sock
        self._sock.settimeout(START_SECONDS)  # for a child that reads nothing
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._handle: int | None = None
        self._used = False
        self.pid = 0

    def wait_ready(self) -> None:
        """Take its first message, whose sender the kernel names.

        Raises:
            SandboxUnavailable: where it could not be confined.
            SandboxLost: where it never came to that.
        """
        if not self._answers(START_SECONDS):
            raise SandboxLost(f"sandbox: a child did not start within {START_SECONDS:.0f} s")
        try:
            until = time.monotonic() + START_SECONDS
            data, ancillary = wire.part(self._sock, _REPLY_ROOM, until)
            said = wire.message_of(data, self._sock, _REPLY_ROOM, until)
        except wire.Broken as error:
            raise SandboxLost(f"sandbox: a child ended before it was ready ({error})") from None
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        if not said.get("ready"):
            raise SandboxUnavailable(f"sandbox: a child could not be confined: {said.get('why')}")
        try:
            self.pid = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            self._handle = os.pidfd_open(self.pid)
        except (IndexError, OSError) as error:
            raise SandboxLost(f"sandbox: a child ended before it was used ({error})") from None

    def call(self, request: dict, limits: Limits) -> Result:
        """Send a request and wait for what it comes to; a child that did not end it is killed.

        Raises:
            SandboxLost: where the child had ended before any code ran, or got no time to run.
        """
        began, fresh, self._used = time.monotonic(), not self._used, True
        try:
            wire.send(self._sock, request)
        except OSError as error:
            if fresh:
                raise SandboxLost(f"sandbox: a child ended before it was used ({error})") from None
            return self._stopped(Outcome.DIED, 0.0)
        soon = self._answers_at_once() or self._answers(_QUICK)
        stopped = None if soon else self._watch(began, limits)
        if stopped is not None:
            return self._stopped(stopped, time.monotonic() - began)
        try:
            room = 6 * limits.output + _REPLY_ROOM
            said, fd = wire.receive(self._sock, room, limits.wall_seconds)
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
            if own >= limits.wall_seconds and not self._runnable():
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

    def _answers_at_once(self) -> bool:
        """Whether something comes while this process stays awake for it."""
        until = time.monotonic() + _AT_ONCE
        while time.monotonic() < until:
            if self._poll.poll(0):
                return True
        return False

    def fork(self, fd: int, seconds: float) -> None:
        """Ask it to go on twice, within some time; the copy takes the connection `fd`.

        Raises:
            SandboxLost: where it did not.
        """
        try:
            wire.send(self._sock, {"fork": True}, fd)
            if not self._answers(seconds):
                raise wire.Broken(f"no answer within {seconds:.0f} s")
            said, _ = wire.receive(self._sock, _REPLY_ROOM, seconds)
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

    def _runnable(self) -> bool:
        """Whether it runs or would: a wait for a core is counted only once it is over."""
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):
            return False

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
