"""What this machine offers for isolation, and what is missing for a rung of the ladder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from tooldojo.envs.sandbox import confine, syscalls
from tooldojo.envs.sandbox.records import Isolation, SandboxUnavailable

_NOTIFY = 0x7FC00000
_TRY_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """The means of isolation. landlock: the version, 0 for none. bwrap: where it is, if it works.

    notify: whether the kernel asks about single system calls, which forks of sessions need.
    """

    kernel: str
    processor: str
    root: bool
    changes_uid: bool
    landlock: int
    seccomp: bool
    notify: bool
    bwrap: str | None
    bwrap_problem: str

    def missing(self, isolation: Isolation) -> list[str]:
        """What an isolation needs and this machine lacks, each with what to do about it."""
        if isolation is Isolation.UNSAFE:
            return []
        found = []
        if not self.landlock:
            found.append("Landlock (Linux 5.13 or newer, not disabled at boot)")
        if not self.seccomp:
            found.append(f"seccomp filters for {self.processor}")
        if self.root and not self.changes_uid:
            found.append(
                "the right to change the uid (run as an ordinary user, or with CAP_SETUID)"
            )
        if isolation is Isolation.STRICT and self.bwrap is None:
            found.append(f"bubblewrap ({self.bwrap_problem})")
        return found

    @property
    def best(self) -> Isolation:
        """The strongest isolation that nothing is missing for; UNSAFE where there is none."""
        return next(each for each in Isolation if not self.missing(each))


@cache
def survey() -> Machine:
    """Try out what there is; once a process."""
    processor = platform.machine()
    known = sys.platform == "linux" and syscalls.supported(processor)
    bwrap, problem = _bwrap()
    return Machine(
        kernel=platform.release(),
        processor=processor,
        root=os.geteuid() == 0,
        changes_uid=_has_capability(6) and _has_capability(7),
        landlock=confine.landlock_abi() if known else 0,
        seccomp=known and confine.has_seccomp(),
        notify=known and confine.has_seccomp(_NOTIFY),
        bwrap=bwrap,
        bwrap_problem=problem,
    )


def require(isolation: Isolation, machine: Machine | None = None) -> None:
    """Refuse where something is missing, on this machine or on the given one.

    Raises:
        SandboxUnavailable: naming all of it.
    """
    missing = (machine or survey()).missing(isolation)
    if missing:
        raise SandboxUnavailable(
            f"sandbox: no {isolation.value} isolation on this machine; it lacks "
            f"{'; '.join(missing)}. `tooldojo sandbox` shows what there is"
        )


def _has_capability(number: int) -> bool:
    with open("/proc/self/status") as file:
        effective = next((line for line in file if line.startswith("CapEff")), "CapEff: 0")
    return bool(int(effective.split()[1], 16) >> number & 1)


def _bwrap() -> tuple[str | None, str]:
    """Where a working bubblewrap is, or why there is none."""
    path = shutil.which("bwrap")
    if path is None:
        return None, "not installed; the package is called bubblewrap"
    command = [path, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(
            command, env={}, capture_output=True, text=True, timeout=_TRY_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    if done.returncode:
        return None, f"it fails here: {' '.join(done.stderr.split())[:160]}"
    return path, ""
