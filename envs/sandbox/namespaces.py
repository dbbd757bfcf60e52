"""What runs in namespaces of its own, by bubblewrap: a fork server (STRICT), or a shell command.

Network, processes and mounts are apart; of the file system only what is listed is there, read-only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from tooldojo.envs.sandbox import syscalls
from tooldojo.envs.sandbox.machine import require, survey
from tooldojo.envs.sandbox.records import (
    Isolation,
    Limits,
    Outcome,
    Result,
    SandboxLost,
)

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
_FIRST_UID, _UIDS = 61100, 80  # beside those of the fork server's children
_HOME = "/work"
_SHELL_PROCESSES = 64
_turns = count()


def _bwrap() -> list[str]:
    require(Isolation.STRICT)
    path = survey().bwrap
    assert path is not None
    own = [
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    ]
    return [path, *own, "--dev", "/dev", "--uid", "60000", "--gid", "60000"]


def _shown(paths: Sequence[str]) -> list[str]:
    return [part for path in paths for part in ("--ro-bind-try", path, path)]


def python_in_bwrap(python: str, package: Path, readable: Sequence[str]) -> list[str]:
    """The command line before a Python one: it sees `python`, the package and `readable`."""
    prefixes = {str(path.parents[1]) for path in (Path(python), Path(python).resolve())}
    places = prefixes | {str(package)}
    return [*_bwrap(), *_shown([*_SYSTEM, *sorted(places), *readable])]


def run_shell(
    command: str, files: Mapping[str, str] | None = None, limits: Limits | None = None
) -> Result:
    """Run a bash command in an empty, size-capped directory that holds `files` (path to text).

    `error` names an exit status other than 0. Nothing lasts beyond the call.

    Raises:
        SandboxUnavailable: without bubblewrap; a shell needs processes, so nothing less will do.
        SandboxLost: where it could not be started.
        ValueError: for a path of a file that leads elsewhere.
    """
    limits = limits or Limits(scratch=8 << 20)
    for path in files or {}:
        if os.path.isabs(path) or ".." in Path(path).parts or not Path(path).parts:
            raise ValueError(f"sandbox: a file's path stays below the directory; got {path!r}")
    with tempfile.TemporaryFile() as program, tempfile.TemporaryFile() as output:
        program.write(syscalls.shell_filter())
        program.seek(0)
        texts = [(path, _memory(text)) for path, text in (files or {}).items()]
        try:
            fds = [program.fileno(), *(fd for _, fd in texts)]
            given = _shell_command(command, texts, program.fileno(), limits)
            return _waited(given, output.fileno(), fds, limits)
        finally:
            for _, fd in texts:
                os.close(fd)


def _memory(text: str) -> int:
    fd = os.memfd_create("file")
    os.write(fd, text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _shell_command(
    command: str, texts: Sequence[tuple[str, int]], program: int, limits: Limits
) -> list[str]:
    size = limits.scratch or 8 << 20
    home = ["--size", str(size), "--tmpfs", _HOME, "--chdir", _HOME]
    for path, fd in texts:
        home += ["--perms", "0644", "--file", str(fd), f"{_HOME}/{path}"]
    seconds = round(limits.cpu_seconds) + 1
    bounds = {
        "-v": limits.memory >> 10, "-t": seconds, "-f": size >> 10, "-n": limits.files,
        "-u": _SHELL_PROCESSES, "-c": 0,
    }  # fmt: skip
    lowered = " && ".join(f"ulimit {flag} {value}" for flag, value in bounds.items())
    environment = ["--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", _HOME]
    shell = [
        "bash",
        "--noprofile",
        "--norc",
        "-c",
        f'{lowered} || exit 125; eval "$1"',
        "sh",
        command,
    ]
    proc = ["--proc", "/proc"]
    filters = ["--seccomp", str(program)]
    return [*_bwrap(), *proc, *_shown(_SYSTEM), *home, *environment, *filters, *shell]


def _waited(command: list[str], output: int, fds: Sequence[int], limits: Limits) -> Result:
    """Run to the end, or kill the whole of it: no process outlives the one that bwrap started."""
    uid = _FIRST_UID + next(_turns) % _UIDS if os.geteuid() == 0 else None
    dropped = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={}, cwd="/", pass_fds=fds, start_new_session=True, **dropped,
        )  # fmt: skip
    except OSError as error:
        raise SandboxLost(f"sandbox: a shell could not be started: {error}") from None
    outcome = Outcome.DONE
    try:
        status = process.wait(limits.wall_seconds)
    except subprocess.TimeoutExpired:  # a loop ends by its own limit; this one sleeps or waits
        process.kill()
        status, outcome = process.wait(), Outcome.IDLE
    seconds = time.monotonic() - began
    raw = os.pread(output, limits.output + 1, 0)
    text = raw[: limits.output].decode("utf-8", "replace")
    error = f"exit status {status}" if outcome is Outcome.DONE and status else ""
    return Result(outcome, text, error, len(raw) > limits.output, seconds)
