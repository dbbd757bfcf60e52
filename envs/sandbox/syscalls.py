"""Which system calls sandboxed code may make, as a seccomp filter program (classic BPF).

An allow-list: a call that is not named here, a future one included, fails with EPERM. Imports
nothing but the standard library, because the fork server loads it without the package.
"""

from __future__ import annotations

import errno
import platform
import struct

# Numbers by name: (x86_64, aarch64), None where the architecture lacks the call.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66),
    "pread64": (17, 67), "pwrite64": (18, 68), "close": (3, 57), "close_range": (436, 436),
    "lseek": (8, 62), "stat": (4, None), "fstat": (5, 80), "lstat": (6, None),
    "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "open": (2, None), "openat": (257, 56), "getdents64": (217, 61),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17), "chdir": (80, 49),
    "fchdir": (81, 50), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "ftruncate": (77, 46), "fsync": (74, 82), "fdatasync": (75, 83),
    "flock": (73, 32), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "pipe": (22, None), "pipe2": (293, 59), "select": (23, None), "pselect6": (270, 72),
    "poll": (7, None), "ppoll": (271, 73), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19),
    "recvfrom": (45, 207), "recvmsg": (47, 212), "shutdown": (48, 210),
    "getsockname": (51, 204), "getsockopt": (55, 209),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216),
    "brk": (12, 214), "madvise": (28, 233), "futex": (202, 98), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "setitimer": (38, 103),
    "getitimer": (36, 102), "alarm": (37, None), "pause": (34, None), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "restart_syscall": (219, 128), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "times": (100, 153), "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getgroups": (115, 158), "getresuid": (118, 148), "getresgid": (120, 150),
    "getrandom": (318, 278), "wait4": (61, 260), "exit": (60, 93), "exit_group": (231, 94),
    "set_tid_address": (218, 96), "set_robust_list": (273, 99), "rseq": (334, 293),
    "arch_prctl": (158, None),
}  # fmt: skip
_CLONE, _CLONE3, _FCNTL, _IOCTL = (56, 220), (435, 435), (72, 25), (16, 29)
_SOCKETPAIR, _SENDTO, _PRLIMIT = (53, 199), (44, 206), (302, 261)

# What kills or blocks a shell's host where namespaces alone would not; everything else a shell may.
_SHELL_DENIED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "sendmsg": (46, 211), "sendmmsg": (307, 269), "ptrace": (101, 117), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "memfd_create": (319, 279),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265), "mknod": (133, None), "mknodat": (259, 33),
    "fsopen": (430, 430), "fsmount": (432, 432), "move_mount": (429, 429),
    "open_tree": (428, 428), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224), "quotactl": (179, 60),
}  # fmt: skip

_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH value
_X32 = 0x40000000
_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_KILL, _ALLOW, _NOTIFY, _ERRNO = 0x80000000, 0x7FFF0000, 0x7FC00000, 0x00050000
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in seccomp_data
_CLONE_THREAD, _THREAD_FLAGS = 0x10000, 0x7D0F00  # as glibc and musl start threads
FORK_FLAGS = 0x01200011  # glibc's fork: CHILD_SETTID | CHILD_CLEARTID | SIGCHLD
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)  # no owner of signals, no seals
_IOCTL_REQUESTS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)  # isatty, size, blocking, close-on-exec

Instruction = tuple[int, int, int, int]


def supported(machine: str | None = None) -> bool:
    """Whether there is a table for a machine's architecture, by default this one's."""
    return (machine or platform.machine()) in _ARCHES


def _column() -> int:
    return _ARCHES[platform.machine()][0]


def _refuse(code: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | code)


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def _argument(index: int, high: bool = False) -> Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * index + 4 * high)


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [test for value in values for test in ((_JUMP_EQUAL, 0, 1, value), _allow())]
    return [_argument(index), *tests, _refuse(errno.EPERM)]


def _on(number: int | None, block: list[Instruction]) -> list[Instruction]:
    """`block`, which must return on every path, for one system call; others pass by it."""
    return [] if number is None else [(_JUMP_EQUAL, 0, len(block), number), *block]


def _prologue() -> list[Instruction]:
    column, arch = _ARCHES[platform.machine()]
    head: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    other_numbers = [(_JUMP_AT_LEAST, 0, 1, _X32), _refuse(errno.EPERM)]
    return head + (other_numbers if column == 0 else [])


def _clone(forks: bool) -> list[Instruction]:
    """Threads; and, where asked for, exactly what glibc's fork does."""
    fork = [(_JUMP_EQUAL, 0, 1, FORK_FLAGS), _allow()] if forks else []
    return [
        _argument(0),
        *fork,
        (_JUMP_ANY_BIT, 0, 1, 0xFFFFFFFF & ~_THREAD_FLAGS),
        _refuse(errno.EPERM),
        (_JUMP_ANY_BIT, 0, 1, _CLONE_THREAD),
        _allow(),
        _refuse(errno.EPERM),
    ]


def python_filter(forks: bool = False) -> bytes:
    """The filter of a Python child. forks: whether fork passes (a second filter must guard it)."""
    column = _column()
    program = _prologue()
    for numbers in _ALLOWED.values():
        program += _on(numbers[column], [_allow()])
    program += _on(_CLONE[column], _clone(forks))
    program += _on(_CLONE3[column], [_refuse(errno.ENOSYS)])  # its flags lie in memory
    program += _on(_FCNTL[column], _one_of(1, _FCNTL_COMMANDS))
    program += _on(_IOCTL[column], _one_of(1, _IOCTL_REQUESTS))
    program += _on(_PRLIMIT[column], _one_of(0, (0,)))  # its own limits only
    pair = [_argument(0), (_JUMP_EQUAL, 1, 0, 1), _refuse(errno.EPERM)]  # AF_UNIX
    stream = tuple(1 | flags for flags in (0, 0x800, 0x80000, 0x80800))  # a datagram can be sent
    program += _on(_SOCKETPAIR[column], [*pair, *_one_of(1, stream)])  # to any address
    no_address = [_argument(4), (_JUMP_EQUAL, 1, 0, 0), _refuse(errno.EPERM)]
    no_address += [_argument(4, high=True), (_JUMP_EQUAL, 1, 0, 0), _refuse(errno.EPERM), _allow()]
    program += _on(_SENDTO[column], no_address)
    return _packed([*program, _refuse(errno.EPERM)])


def fork_notifier() -> bytes:
    """A filter that asks its listener about each fork and lets everything else pass."""
    ask: list[Instruction] = [
        _argument(0),
        (_JUMP_EQUAL, 0, 1, FORK_FLAGS),
        (_RETURN, 0, 0, _NOTIFY),
    ]
    return _packed([*_prologue(), *_on(_CLONE[_column()], [*ask, _allow()]), _allow()])


def shell_filter() -> bytes:
    """The filter of a shell in namespaces: programs may start, sockets and namespaces may not."""
    column = _column()
    program = _prologue()
    for numbers in _SHELL_DENIED.values():
        program += _on(numbers[column], [_refuse(errno.EPERM)])
    namespaces = 0x7E020000 | 0x80  # CLONE_NEW*
    program += _on(
        _CLONE[column],
        [_argument(0), (_JUMP_ANY_BIT, 0, 1, namespaces), _refuse(errno.EPERM), _allow()],
    )
    program += _on(_CLONE3[column], [_refuse(errno.ENOSYS)])
    return _packed([*program, _allow()])


def _packed(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *each) for each in program)
