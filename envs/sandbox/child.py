"""What runs inside a confined child: take code, run it, answer with what it wrote and how it ended.

The code shares this interpreter, so nothing here is a promise to the client; the kernel's limits
are. Standard library only, because the fork server loads it without the package.
"""

from __future__ import annotations

import gc
import io
import os
import random
import resource
import socket
import sys
import traceback
from typing import Any, NoReturn

from tooldojo.envs.sandbox import wire

_NAME = "<code>"
_LONGEST_REASON = 300  # characters of an error


class Output(io.TextIOBase):
    """Keeps the first `limit` characters written to it and counts the others as cut."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._left = limit
        self.cut = False

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        if self._left >= len(text):
            self._parts.append(text)
        else:
            self.cut = True
            self._parts.append(text[: self._left])
        self._left -= min(self._left, len(text))
        return len(text)

    def text(self) -> str:
        """All that was kept, as text that can be sent."""
        return "".join(self._parts).encode("utf-8", "backslashreplace").decode()


def serve(sock: socket.socket, output: int) -> NoReturn:
    """Answer requests until the client hangs up. output: characters kept of each."""
    names: dict[str, Any] = {"__name__": "__main__"}
    while True:
        try:
            request, fd = wire.receive(sock)
        except wire.Broken:
            os._exit(0)
        if request.get("fork") and fd is not None:
            _reap()
            sock = _forked(sock, fd)
            continue
        if request.get("cpu"):  # from here on this child is for one call
            seconds = request["cpu"]
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        wire.send(sock, run(request["code"], names, output))


def run(code: str, names: dict[str, Any], limit: int) -> dict[str, Any]:
    """Run code in a namespace: what it wrote, and the error that ended it ("" for none)."""
    output = Output(limit)
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), output, output
    error = ""
    try:
        exec(compile(code, _NAME, "exec"), names)
    except SystemExit:
        pass
    except BaseException as raised:
        error = describe(raised)
    return {"output": output.text(), "error": error, "cut": output.cut}


def describe(error: BaseException) -> str:
    """Kind, message and line of an error, short."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == _NAME]
    line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    where = f" (line {line})" if line else ""
    text = f"{type(error).__name__}: {message}"[:_LONGEST_REASON]
    return (text + where).encode("utf-8", "backslashreplace").decode()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _forked(sock: socket.socket, fd: int) -> socket.socket:
    """Fork: the parent keeps its connection, the copy goes on with the one that came."""
    try:
        pid = os.fork()
    except OSError as error:
        os.close(fd)
        wire.send(sock, {"forked": False, "why": str(error)})
        return sock
    if pid:
        os.close(fd)
        wire.send(sock, {"forked": True})
        return sock
    sock.close()
    copy = socket.socket(fileno=fd)
    wire.send(copy, {"ready": True})
    return copy


def prepare() -> None:
    """Start as every child does: same random numbers, no environment, nothing to collect."""
    random.seed(0)
    os.environ.clear()
    gc.freeze()
