"""What a child does to itself before it runs model-written code: limits, uid, Landlock, seccomp.

Every step raises OSError where the kernel refuses it; nothing is skipped. Plain system calls by
ctypes, standard library only, because the fork server loads it without the package.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Sequence
from functools import cache

from tooldojo.envs.sandbox import syscalls

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # on every architecture
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 4, 36, 38
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 1 << 18
_NEW_LISTENER = 8
_SIGKILL = 9

_READ = 0b1100  # READ_FILE, READ_DIR
_WRITE_FILE = 0b10
_MAY_NOT = 0b1000111001000001  # EXECUTE, MAKE_CHAR, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, IOCTL_DEV
_FILE_RIGHTS = 0b1100000000000111  # those that a rule on a single file may give

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(what: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _syscall(what: str, number: int, *args: int | bytes | None) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in args]
    return _checked(what, _libc.syscall(ctypes.c_long(number), *given))


def _prctl(what: str, option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return _checked(what, _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    try:
        return _syscall("landlock", _LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


def has_seccomp(action: int = 0x7FFF0000) -> bool:
    """Whether filters can be set, with an action (by default: allow)."""
    try:
        asked = struct.pack("=I", action)
        return _syscall("seccomp", _SECCOMP[os.uname().machine], 2, 0, asked) == 0
    except (OSError, KeyError):
        return False


def die_with_parent() -> None:
    """Be killed when the parent ends. A change of uid undoes it, so it comes after."""
    _prctl("PR_SET_PDEATHSIG", _SET_PDEATHSIG, _SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _prctl("PR_SET_CHILD_SUBREAPER", _SET_CHILD_SUBREAPER, 1)


def limit(what: int, value: int) -> None:
    """Lower one resource limit, soft and hard; never raise it."""
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def change_uid(uid: int) -> None:
    """Become an ordinary user, for good, with no group of the old one.

    Raises:
        PermissionError: where root's powers remain, for whatever reason.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getgroups():
        raise PermissionError(1, f"uid {uid} was not taken")


def mount_scratch(place: str, size: int) -> None:
    """An empty file system of `size` bytes at `place`, seen by this process alone.

    Root uses its own rights; anybody else a user namespace, whose powers are dropped afterwards.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _checked("unshare", _libc.unshare(_NEWNS))
    else:
        _checked("unshare (user namespace)", _libc.unshare(_NEWUSER | _NEWNS))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    options = f"size={size},nr_inodes=1024,mode=0777".encode()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _mount(b"tmpfs", os.fsencode(place), b"tmpfs", flags, options)
    if uid:
        header, none = struct.pack("=II", 0x20080522, 0), bytes(24)
        _syscall("capset", _CAPSET[os.uname().machine], header, none)


def _mount(source: bytes, at: bytes, kind: bytes | None, flags: int, data: bytes | None) -> None:
    result = _libc.mount(source, at, kind, ctypes.c_ulong(flags), data)
    _checked(f"mount {os.fsdecode(at)}", result)


def landlock_rules(readable: Sequence[str], writable: str | None) -> int:
    """Rules by which a process may read below `readable`, change what is below `writable`, and
    reach no other file; a descriptor for `restrict`. Made before uid and rights are given up.

    Paths that do not exist are left out. Rights that the kernel knows and that are not given are
    refused, network and signals to others included where it can (ABI 4 and 6).
    """
    abi = landlock_abi()
    known = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    handled = (1 << known) - 1
    fields = [handled, *([0b11] if abi >= 4 else []), *([0b11] if abi >= 6 else [])]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    rules = _syscall("landlock_create_ruleset", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    for path in readable:
        _rule(rules, path, _READ)
    _rule(rules, "/dev/null", _READ | _WRITE_FILE)
    if writable is not None:
        _rule(rules, writable, handled & ~_MAY_NOT)
    return rules


def restrict(rules: int) -> None:
    """Put this process under Landlock rules, for good."""
    _prctl("PR_SET_NO_NEW_PRIVS", _SET_NO_NEW_PRIVS, 1)
    _syscall("landlock_restrict_self", _LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def _rule(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= _FILE_RIGHTS
    rule = struct.pack("=Qi", rights, place)
    _syscall(f"landlock_add_rule {path}", _LANDLOCK_ADD, rules, 1, rule, 0)
    os.close(place)


def seccomp(program: bytes, listener: bool = False) -> int:
    """Set a filter on this process; with `listener`, the descriptor on which it asks."""
    _prctl("PR_SET_NO_NEW_PRIVS", _SET_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    number, flags = _SECCOMP[os.uname().machine], _NEW_LISTENER if listener else 0
    return _syscall("seccomp", number, 1, flags, head)


def hide_memory() -> None:
    """Keep processes of the same user from looking into this one (no core dump, no ptrace)."""
    _prctl("PR_SET_DUMPABLE", _SET_DUMPABLE, 0)


def close_others(kept: Sequence[int]) -> None:
    """Close every descriptor above the standard ones but `kept`."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


@cache
def python_filters(forks: bool) -> list[bytes]:
    """The filters of a child, first to last; where it may fork, the first one has a listener."""
    notifier = [syscalls.fork_notifier()] if forks else []
    return [*notifier, syscalls.python_filter(forks)]
