"""The outside process: loads one backend and answers requests, a line of JSON each.

`python -P -s worker.py BACKEND.py CONFIG`. Imports nothing of this package, so that what runs here
holds no task, goal or verdict but those in its requests. Covers: a crash, a hang, memory, writes in
the working directory. Does not cover: files elsewhere and the network; that is the sandbox's work.
Invariant: standard output carries answers alone, whatever a backend prints.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY = 8 << 30  # bytes of address space; numpy's threads alone reserve some
FILE_SIZE = 64 << 20  # bytes of one file


def load(path: str, config: dict[str, Any]) -> Any:
    """The backend object: `Backend(**config)` of the file."""
    spec = importlib.util.spec_from_file_location("backend", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Backend(**config)


def answer(backend: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What one of the backend's public methods returns, or how it failed."""
    method = request.pop("do")
    if method.startswith("_") or not callable(getattr(type(backend), method, None)):
        return {"error": f"LookupError: no request {method!r}"}
    try:
        return {"value": getattr(backend, method)(**request)}
    except (Exception, SystemExit) as error:
        return {"error": f"{type(error).__name__}: {error}"[:2000]}


def encoded(reply: dict[str, Any]) -> bytes:
    """One line; what JSON cannot carry is an error of the backend."""
    try:
        text = json.dumps(reply, allow_nan=False)
    except (TypeError, ValueError) as error:
        text = json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]})
    return text.encode("utf-8", "backslashreplace") + b"\n"


def main() -> None:
    """Serve until standard input ends."""
    backend_path, config = sys.argv[1], json.loads(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers, silence = os.dup(1), os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    sys.path[:0] = config.pop("path")
    with open(0, "rb", closefd=False) as requests:
        try:
            backend = load(str(Path(backend_path)), config)
            first: dict[str, Any] = {"value": "ready"}
        except (Exception, SystemExit) as error:
            backend, first = None, {"error": f"{type(error).__name__}: {error}"[:2000]}
        os.write(answers, encoded(first))
        for line in requests if backend is not None else ():
            reply = memoryview(encoded(answer(backend, json.loads(line))))
            while reply:
                reply = reply[os.write(answers, reply) :]


if __name__ == "__main__":
    main()
