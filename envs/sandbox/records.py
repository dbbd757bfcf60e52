"""What goes into a sandbox and what comes out: isolation, limits, results, and two failures.

Whose fault is it? What the code did (an exception, a loop without end, a crash of its process) is
a `Result` that the model may see. `SandboxLost` is infrastructure's: the trajectory has no verdict.
`SandboxUnavailable` is the machine's: nothing ran, and nothing runs with less isolation instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tooldojo.envs.tools import ToolLost


class Isolation(StrEnum):
    """How far code is kept from the machine, strongest first; none is taken for another."""

    STRICT = "strict"  # STANDARD inside namespaces of its own (bubblewrap)
    STANDARD = "standard"  # limits, an unused uid where root, Landlock, seccomp
    UNSAFE = "unsafe"  # limits alone: for machines without a kernel that can, never the default


class SandboxUnavailable(RuntimeError):
    """This machine lacks what the isolation needs; the message says what and what to do."""


class SandboxLost(ToolLost):
    """The sandbox itself failed, or the machine had no time for it. Not the code's doing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What code may use. Sizes are bytes.

    cpu_seconds: of one call. session_cpu: of all calls of a child, the kernel's own limit.
    wall_seconds: of one call, without the time in which the machine ran others instead.
    lost_seconds: with that time, after which the machine is to blame. scratch: the size of a
    writable directory, 0 for none. readable: paths that may be read, besides Python's own modules
    and shared libraries.
    """

    cpu_seconds: float = 2.0
    session_cpu: int = 60
    wall_seconds: float = 5.0
    lost_seconds: float = 60.0
    memory: int = 512 << 20
    output: int = 20_000
    files: int = 64
    threads: int = 16
    scratch: int = 0
    readable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "session_cpu", "wall_seconds", "lost_seconds", "output"):
            if getattr(self, name) <= 0:
                raise ValueError(f"limits: {name} must be above 0; got {getattr(self, name)!r}")
        if self.memory < 64 << 20:
            raise ValueError(f"limits: memory must be at least 64 MiB; got {self.memory} bytes")


class Outcome(StrEnum):
    """How a call ended. All four are the code's own doing."""

    DONE = "done"  # by itself; `Result.error` is the exception that it did not catch, if any
    CPU = "cpu"  # killed: it used up its processor time
    IDLE = "idle"  # killed: it slept or waited past its time
    DIED = "died"  # its process ended: an exit, a crash, a reply that is none


@dataclass(frozen=True, slots=True)
class Result:
    """What a call came to. `output` is text of the code's making: to be read, never trusted.

    cut: whether output was left out. seconds: by the wall clock.
    """

    outcome: Outcome
    output: str
    error: str = ""
    cut: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end."""
        return self.outcome is Outcome.DONE and not self.error
