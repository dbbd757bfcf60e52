"""The fork server: a small process, started by exec, that forks confined children on request.

It holds nothing but code: no answers, no environment, no descriptors besides its control socket.
Invariant: it ends with its client, and no child of its own outlives it. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import sysconfig
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tooldojo.envs.sandbox import child, confine, wire

_USEFUL = """
    bisect collections copy dataclasses datetime decimal enum fractions functools heapq itertools
    json math operator random re statistics string textwrap time typing
"""
_LIBRARIES = ("/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/zero", "/dev/urandom")
_FIRST_UID, _UIDS = 60600, 500  # between the ranges that systemd hands out
_MOST_COPIES = 1024  # of a session, with their threads: all have one uid
_NOTIFY_RECEIVE, _NOTIFY_ANSWER = 0xC0502100, 0xC0182101
_CONTINUE = 1


@dataclass(slots=True)
class Family:
    """A child and the copies it made of itself: one process group."""

    leader: int
    ended: bool = False  # the leader, and collected
    listener: int | None = None  # where the kernel asks about forks
    grants: int = 0


@dataclass(slots=True)
class Server:
    """Settings as the client sent them, and the families alive."""

    control: socket.socket
    settings: dict[str, Any]
    readable: tuple[str, ...]
    kept: tuple[int, ...]
    families: dict[int, Family] = field(default_factory=dict)
    made: int = 0

    def run(self) -> None:
        """Serve until the client hangs up."""
        wake, poke = os.pipe()
        for fd in (wake, poke):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(poke)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            asking = {f.listener: f for f in self.families.values() if f.listener is not None}
            ready, _, _ = select.select([self.control, wake, *asking], [], [])
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
                self.reap()
            for listener, family in asking.items():
                if listener in ready and family.listener is not None:
                    self.answer_fork(family)
            if self.control in ready and not self.obey():
                break
        self.end()

    def obey(self) -> bool:
        """Do what the client asks next; False where it has gone."""
        try:
            request, _ = wire.receive(self.control)
        except wire.Broken:
            return False
        if "grant" in request:
            family = self.families.get(request["grant"])
            if family is not None:
                family.grants += 1
            wire.send(self.control, {"granted": family is not None})
        else:
            self.spawn(bool(request.get("forks")))
        return True

    def spawn(self, forks: bool) -> None:
        """Fork a child and send the client its end of the connection."""
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # it will tell the client its pid
        forks = forks and not self.settings["unsafe"]  # else there is no filter to ask about them
        first, second = socket.socketpair() if forks else (None, None)
        self.made += 1
        pid = os.fork()
        if pid == 0:
            _become(self, theirs, second, forks)
        theirs.close()
        family = self.families[pid] = Family(pid)
        if first is not None and second is not None:
            second.close()
            with contextlib.suppress(wire.Broken):  # then the child says why
                family.listener = wire.receive(first)[1]
            first.close()
        wire.send(self.control, {"child": pid}, ours.fileno())
        ours.close()

    def answer_fork(self, family: Family) -> None:
        """Let a fork go on if the client has asked for one; refuse it otherwise."""
        assert family.listener is not None
        asked = bytearray(80)
        try:
            fcntl.ioctl(family.listener, _NOTIFY_RECEIVE, asked)
            (number,) = struct.unpack_from("=Q", asked)
            allowed = family.grants > 0
            family.grants -= allowed
            reply = struct.pack(
                "=QqiI", number, 0, 0 if allowed else -1, _CONTINUE if allowed else 0
            )
            fcntl.ioctl(family.listener, _NOTIFY_ANSWER, bytearray(reply))
        except OSError:  # the one that asked is gone
            if not _alive(family):
                self.forget(family)

    def reap(self) -> None:
        """Collect the ended; forget the families without a member left."""
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid in self.families:
                    self.families[pid].ended = True
        for family in list(self.families.values()):
            if not _alive(family):
                self.forget(family)

    def forget(self, family: Family) -> None:
        """Drop what is kept for a family."""
        if family.listener is not None:
            os.close(family.listener)
            family.listener = None
        self.families.pop(family.leader, None)

    def end(self) -> None:
        """Kill and collect every child."""
        for family in self.families.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(family.leader, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                if not family.ended:  # it may not have a group of its own yet
                    os.kill(family.leader, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def _alive(family: Family) -> bool:
    """Whether a member is left; the leader may not have made the group yet."""
    if not family.ended:
        return True
    try:
        os.killpg(family.leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _become(
    server: Server, sock: socket.socket, setup: socket.socket | None, forks: bool
) -> NoReturn:
    """In the child: confine this process, say so, and serve. Never returns to the server's loop."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the server's own errors go to the client
        kept = [sock.fileno(), *server.kept, *([setup.fileno()] if setup else [])]
        confine.close_others(kept)
        _confine(server, setup, forks)
        child.prepare()
        wire.send(sock, {"ready": True})
    except BaseException as error:
        with contextlib.suppress(OSError):
            wire.send(sock, {"ready": False, "why": f"{type(error).__name__}: {error}"})
        os._exit(1)
    child.serve(sock, server.settings["output"])


def _confine(server: Server, setup: socket.socket | None, forks: bool) -> None:
    wanted, scratch = server.settings, server.settings["scratch_at"]
    if scratch:
        confine.mount_scratch(scratch, wanted["scratch"])
    confine.limit(resource.RLIMIT_AS, wanted["memory"])
    confine.limit(resource.RLIMIT_CPU, wanted["cpu"])
    confine.limit(resource.RLIMIT_FSIZE, wanted["scratch"] if scratch else 0)
    confine.limit(resource.RLIMIT_NOFILE, wanted["files"])
    confine.limit(resource.RLIMIT_CORE, 0)
    rules = None if wanted["unsafe"] else confine.landlock_rules(server.readable, scratch or None)
    if os.geteuid() == 0 and rules is not None:
        confine.limit(resource.RLIMIT_NPROC, _MOST_COPIES if forks else wanted["threads"])
        confine.change_uid(_FIRST_UID + (os.getppid() + server.made) % _UIDS)
    confine.die_with_parent()
    os.chdir(scratch or "/")
    if rules is None:
        return
    confine.hide_memory()
    confine.restrict(rules)
    programs = confine.python_filters(forks)
    if setup is not None:
        listener = confine.seccomp(programs[0], listener=True)
        wire.send(setup, {}, listener)
        os.close(listener)
        setup.close()
    confine.seccomp(programs[-1])


def _world_readable(path: str) -> bool:
    """Whether any user can get to a directory and list it."""
    here = os.path.realpath(path)
    if not os.stat(here).st_mode & stat.S_IROTH:
        return False
    while True:
        if not os.stat(here).st_mode & stat.S_IXOTH:
            return False
        if here == "/":
            return True
        here = os.path.dirname(here)


def _open_library(drops_uid: bool) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Where modules lie, and the descriptors by which children reach those that only root could."""
    places = tuple(p for p in sys.path if os.path.isdir(p))
    kept: list[int] = []
    for place in places if drops_uid and os.path.isdir("/proc/self/fd") else ():
        if not _world_readable(place):
            kept.append(os.open(place, os.O_PATH))
            _look_for(place, f"/proc/self/fd/{kept[-1]}")
    return places, tuple(kept)


def _look_for(place: str, under: str) -> None:
    """Import modules of a folder by another path of it, those in packages loaded by now as well."""
    sys.path[:] = [under if path == place else path for path in sys.path]
    for module in list(sys.modules.values()):
        found = getattr(module, "__path__", None)
        if isinstance(found, list):
            found[:] = [under + p[len(place) :] if p.startswith(place) else p for p in found]
    sys.path_importer_cache.clear()


def main() -> None:
    """Take the settings and the control socket from the command line, and serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    confine.adopt_orphans()
    for name in _USEFUL.split():
        __import__(name)
    for forks in (False, True):
        confine.python_filters(forks)  # once, not in each child
    drops = os.geteuid() == 0 and not settings["unsafe"]
    places, kept = _open_library(drops)
    readable = (*places, sysconfig.get_paths()["stdlib"], *_LIBRARIES, *settings["readable"])
    Server(control, settings, readable, kept).run()
