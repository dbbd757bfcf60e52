"""`Outside`: somebody else's code in a process of its own, asked by JSON lines under a deadline.

Invariant: whatever that code does to its process, a request ends with its answer or with one of the
two failures; the next one starts a fresh process where that is needed.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from tooldojo.envs.tools import ToolLost
from tooldojo.verifiers.records import Json

WORKER = Path(__file__).with_name("worker.py")
START = 120.0  # seconds that a process may take to load its backend
DEADLINE = 20.0  # seconds for one request
LONGEST = 64 << 20  # bytes of an answer


class OutsideError(RuntimeError):
    """The code raised something while it handled a request; the process goes on."""


class OutsideLost(ToolLost):
    """The process died, missed its deadline or broke the protocol; there is no answer."""


class Outside:
    """One process with one backend (`Backend(**config)` of a file beside this one).

    path: folders from which its code is imported, put first. hash_seed: its PYTHONHASHSEED, fixed
    so that sets come in one order. folder: its working directory, empty at first.
    """

    def __init__(
        self,
        backend: str,
        config: dict[str, Json] | None = None,
        path: tuple[str, ...] = (),
        hash_seed: int = 0,
    ) -> None:
        self._backend = Path(__file__).with_name(f"{backend}.py")
        self._given, self._path = config, path
        self._config = json.dumps({**(config or {}), "path": list(path)})
        self._hash_seed = hash_seed
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self.folder = Path(tempfile.mkdtemp(prefix="tooldojo-outside-"))
        self.starts = 0

    def ask(self, do: str, deadline: float = DEADLINE, **arguments: Json) -> Json:
        """The answer of the backend's method `do`.

        Raises:
            OutsideError: what the method raised.
            OutsideLost: no answer within `deadline` seconds, or the process is gone.
        """
        with self._lock:
            process = self._process or self._start()
            line = json.dumps({"do": do, **arguments}).encode() + b"\n"
            try:
                assert process.stdin
                process.stdin.write(line)
                process.stdin.flush()
                return self._read(process, deadline, do)
            except OSError as error:
                self._stop()
                raise OutsideLost(f"{self._backend.stem}: {do}: {error}") from None

    def twin(self, hash_seed: int) -> Outside:
        """Another process of the same kind, not yet started."""
        return Outside(self._backend.stem, self._given, self._path, hash_seed)

    def close(self) -> None:
        """End the process and delete its folder."""
        with self._lock:
            self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "PYTHONHASHSEED": str(self._hash_seed),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._rest = b""
        self.starts += 1
        self.folder.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            # -P and -s rather than -I, which would ignore the hash seed
            [sys.executable, "-P", "-s", str(WORKER), str(self._backend), self._config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env=environment,
            start_new_session=True,
        )
        self._read(self._process, START, "start")
        return self._process

    def _read(self, process: subprocess.Popen[bytes], deadline: float, do: str) -> Json:
        assert process.stdout
        until = time.monotonic() + deadline
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                ready = selector.select(max(0.0, until - time.monotonic()))
                chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
                if not chunk or len(self._rest) > LONGEST:
                    self._stop()
                    what = "it ended" if ready else f"no answer within {deadline:g} s"
                    raise OutsideLost(f"{self._backend.stem}: {do}: {what}")
                self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return self._value(line, do)

    def _value(self, line: bytes, do: str) -> Json:
        try:
            reply = json.loads(line)
            if "value" in reply:
                return reply["value"]
            error = str(reply["error"])
        except (ValueError, TypeError, KeyError):
            self._stop()
            raise OutsideLost(f"{self._backend.stem}: {do}: broke the protocol") from None
        if do == "start":
            self._stop()
        raise OutsideError(error)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


def shared(backend: str, path: tuple[str, ...] = (), config: str = "{}") -> Outside:
    """This process's one `Outside` of a backend; `config` is JSON text."""
    return _shared(os.getpid(), backend, path, config)


@cache
def _shared(_pid: int, backend: str, path: tuple[str, ...], config: str) -> Outside:
    outside = Outside(backend, json.loads(config), path)
    atexit.register(outside.close)
    return outside
