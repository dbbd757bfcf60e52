"""The attacks, by name: code that prints ESCAPED where it reached something, or does harm that the
scene sees. Code in `ENDLESS` escapes by not being stopped, code in `FLOODS` by what it writes.
"""

from __future__ import annotations

_SYS = "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); syscall = libc.syscall\n"
_X86 = "import platform; assert platform.machine() == 'x86_64'\n"  # numbers differ elsewhere


def _reach(code: str) -> str:
    """Code that escapes when it runs to its end."""
    return f"{code}\nprint('ESCAPED')"


def _reads(expression: str) -> str:
    """Code that escapes when an expression contains the secret."""
    return f"import os\nif '@VALUE@'[::-1] in str({expression}): print('ESCAPED')"


def _works(call: str, least: int = 0) -> str:
    """Code that escapes when a raw system call does not fail."""
    return f"{_SYS}{_X86}if ({call}) >= {least}: print('ESCAPED')"


NETWORK = {
    "tcp_loopback": _reach("import socket; socket.create_connection(('127.0.0.1', @PORT@), 1)"),
    "tcp_listen": _reach("import socket; socket.create_server(('127.0.0.1', 0))"),
    "udp_send": _reach(
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', "
        "('127.0.0.1', 9))"
    ),
    "unix_by_path": _reach("import socket as s; s.socket(s.AF_UNIX).connect('@FOLDER@/stream')"),
    "unix_abstract": _reach("import socket as s; s.socket(s.AF_UNIX).connect('\\0@ABSTRACT@')"),
    "unix_datagram_by_pair": (
        "import socket; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a.sendto(b'x', '@FOLDER@/datagram')"
    ),
    "netlink": _reach("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    "ipv6": _reach("import socket; socket.socket(socket.AF_INET6).bind(('::1', 0))"),
    "http": _reach(
        "import urllib.request as r\n"
        "try: r.urlopen('http://127.0.0.1:@PORT@', timeout=0.3)\nexcept TimeoutError: pass"
    ),
    "asyncio_connect": _reach(
        "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', @PORT@))"
    ),
    "raw_socket_call": _works("syscall(41, 2, 1, 0)"),
    "io_uring": _works("syscall(425, 4, ctypes.create_string_buffer(120))"),
}  # fmt: skip

FILES = {
    "read_secret": _reads("open('@SECRET@').read()"),
    "read_passwd": _reach("open('/etc/passwd').read()"),
    "list_folder": _reach("import os; os.listdir('@FOLDER@')"),
    "list_root": _reach("import os; os.listdir('/')"),
    "create_file": "open('@FOLDER@/new', 'w').write('x')",
    "append_to_secret": "open('@SECRET@', 'a').write('x')",
    "truncate_secret": "import os; os.truncate('@SECRET@', 0)",
    "open_truncating": "import os; os.open('@SECRET@', os.O_WRONLY | os.O_TRUNC)",
    "delete_secret": "import os; os.remove('@SECRET@')",
    "rename_secret": "import os; os.rename('@SECRET@', '@FOLDER@/moved')",
    "hard_link": "import os; os.link('@SECRET@', '@FOLDER@/linked')",
    "symbolic_link": "import os; os.symlink('@SECRET@', '@FOLDER@/link')",
    "symlink_in_own_folder": _reads(
        "(os.symlink('@SECRET@', 'own'), open('own').read(), os.remove('own'))"
    ),
    "make_folder": "import os; os.mkdir('@FOLDER@/made')",
    "make_fifo": "import os; os.mkfifo('@FOLDER@/fifo')",
    "chmod": "import os; os.chmod('@SECRET@', 0o777)",
    "fchmod_by_descriptor": "import os; os.fchmod(os.open('@SECRET@', os.O_RDONLY), 0o777)",
    "chown": "import os; os.chown('@SECRET@', 12345, 12345)",
    "utime": "import os; os.utime('@SECRET@', (1, 1))",
    "shared_memory_file": _reach(
        "import os; p = f'/dev/shm/attack-{os.getpid()}'; open(p, 'w').write('x'); os.remove(p)"
    ),
    "proc_self_root": _reads("open('/proc/self/root@SECRET@').read()"),
    "dots_from_python": _reads("open(os.__file__[:-5] + '/../' * 12 + '@SECRET@').read()"),
    "openat_from_every_descriptor": (
        "import os\nway = '../' * 12 + '@SECRET@'[1:]\nfor fd in range(3, 200):\n"
        "    try: print('ESCAPED' * bool(os.read(os.open(way, os.O_RDONLY, dir_fd=fd), 9)))\n"
        "    except OSError: pass\n"
        "fd = os.open('/', os.O_PATH)\n"
        "print('ESCAPED' * bool(os.read(os.open('@SECRET@'[1:], os.O_RDONLY, dir_fd=fd), 9)))"
    ),
    "openat2": _works(
        "syscall(437, -100, b'@SECRET@', ctypes.create_string_buffer(24), 24)"
    ),
    "mmap_secret": _reads("__import__('mmap').mmap(os.open('@SECRET@', 0), 0, prot=1)[:]"),
    "sqlite_file": _reach(
        "import sqlite3; sqlite3.connect('@FOLDER@/data.db').execute('create table t(x)')"
    ),
    "home_folder": _reach("import os, pwd; os.listdir(pwd.getpwuid(os.getuid()).pw_dir)"),
}  # fmt: skip

PROCESSES = {
    "fork": _reach("import os\nif os.fork() == 0: os._exit(0)"),
    "forty_forks": _reach(
        "import os, time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(0.2); os._exit(0)"
    ),
    "vfork_call": _works("(lambda p: os._exit(0) if p == 0 else p)(syscall(57))", 1),
    "clone3": _works(
        "(lambda p: os._exit(0) if p == 0 else p)(syscall(435, ctypes.create_string_buffer("
        "bytes(32) + (17).to_bytes(8, 'little') + bytes(48), 88), 88))", 1
    ),
    "exec": _reach("import os\nif os.fork() == 0: os.execv('/bin/true', ['true'])"),
    "exec_directly": "import os; os.execv('/bin/sh', ['sh', '-c', 'echo ESC''APED'])",
    "subprocess": _reach("import subprocess; subprocess.run(['/bin/true'], check=True)"),
    "system": "import os\nif os.system('true') == 0: print('ESCAPED')",
    "posix_spawn": _reach("import os; os.posix_spawn('/bin/true', ['true'], {})"),
    "multiprocessing": _reach(
        "import multiprocessing as m; p = m.get_context('fork').Process(target=int); p.start(); "
        "p.join()"
    ),
    "daemon_that_outlives": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(0.2); open('@FOLDER@/late', 'w').close()\n"
        "    os._exit(0)\ntime.sleep(0.5)"
    ),
    "leave_the_session": _reach("import os; os.getpid() == os.getsid(0) and 1/0; os.setsid()"),
    "own_process_group": _reach("import os; os.getpid() == os.getpgrp() and 1/0; os.setpgid(0, 0)"),
}  # fmt: skip

OTHERS = {
    "kill_victim": "import os; os.kill(@VICTIM@, 9)",
    "kill_group": "import os; os.killpg(@VICTIM@, 9)",
    "signal_anybody": _reach("import os; os.kill(-1, 0)"),
    "thread_kill": _works("syscall(234, @VICTIM@, @VICTIM@, 15)"),
    "queue_signal": f"{_SYS}{_X86}i = ctypes.create_string_buffer((15).to_bytes(4, 'little') + "
    "bytes(4) + (-1).to_bytes(4, 'little', signed=True) + bytes(116), 128)\n"
    "syscall(129, @VICTIM@, 15, i)",
    "kill_by_handle": "import os, signal; signal.pidfd_send_signal(os.pidfd_open(@VICTIM@), 9)",
    "kill_by_owner_of_socket": (
        "import socket, fcntl, os\na, b = socket.socketpair()\n"
        "fcntl.fcntl(a, fcntl.F_SETOWN, @VICTIM@)\n"
        "fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(a, fcntl.F_GETFL) | os.O_ASYNC); b.send(b'x')"
    ),
    "renice_victim": "import os; os.setpriority(os.PRIO_PROCESS, @VICTIM@, 5)",
    "move_victim": "import os; os.sched_setaffinity(@VICTIM@, [min(os.sched_getaffinity(0))])",
    "limit_victim": _reach("import resource as r; r.prlimit(@VICTIM@, r.RLIMIT_CORE, (0, 0))"),
    "trace_victim": _works("syscall(101, 0x4206, @VICTIM@, 0, 0)"),
    "read_victim_memory": _works(
        "syscall(310, @VICTIM@, ctypes.create_string_buffer(16), 0,"
        " ctypes.create_string_buffer(16), 0, 0)"
    ),
    "victim_command_line": _reach("print(open('/proc/@VICTIM@/cmdline').read())"),
    "victim_environment": _reads("open('/proc/@VICTIM@/environ').read()"),
    "list_processes": _reach("import os; assert '@VICTIM@' in os.listdir('/proc')"),
    "parents_environment": _reach(
        "import os; assert open(f'/proc/{os.getppid()}/environ').read()"
    ),
    "parents_memory": _reach("import os; open(f'/proc/{os.getppid()}/mem', 'rb')"),
    "parents_descriptors": _reach("import os; os.listdir(f'/proc/{os.getppid()}/fd')"),
}  # fmt: skip

SECRETS = {
    "environment": _reads("os.environ"),
    "environment_of_libc": (
        "import ctypes\nget = ctypes.CDLL(None).getenv\nget.restype = ctypes.c_char_p\n"
        "if get(b'ATTACK_SECRET'): print('ESCAPED')"
    ),
    "own_environment_file": _reads("open('/proc/self/environ').read()"),
    "inherited_descriptor": (
        "import os\nfor fd in range(3, 200):\n"
        "    try: print('ESCAPED' * ('@VALUE@'[::-1] in os.pread(fd, 99, 0).decode()))\n"
        "    except (OSError, ValueError): pass"
    ),
}  # fmt: skip

POWERS = {
    "become_root": _reach("import os; os.setuid(0)"),
    "drop_groups": _reach("import os; os.setgroups([])"),
    "user_namespace": _works("syscall(272, 0x10000000)"),
    "net_namespace": _works("syscall(272, 0x50000000)"),
    "mount": _works(
        "syscall(272, 0x10020000) or libc.mount(b'none', b'@FOLDER@', b'tmpfs', 0, None)"
    ),
    "chroot": _reach("import os; os.chroot('@FOLDER@')"),
    "keyring": _works("syscall(250, 1, None, 0, 0, 0)", 1),
    "bpf": _works("syscall(321, 0, (ctypes.c_int * 18)(2, 4, 4, 1), 72)"),
    "perf_events": _works(
        "syscall(298, (ctypes.c_uint32 * 32)(1, 128, 0, 0), 0, -1, -1, 0)"
    ),
    "personality": _works("syscall(135, 0xffffffff)"),
    "higher_priority": _reach("import os; os.nice(-5)"),
    "raise_own_limits": _reach(
        "import resource as r\nhave = r.getrlimit(r.RLIMIT_NPROC)\n"
        "for n in (90000, 90001): r.setrlimit(r.RLIMIT_NPROC, (n, n))"
    ),
    "memory_file": _works("syscall(319, b'x', 0)"),
}  # fmt: skip

RESOURCES = {
    "memory": _reach("x = bytearray(700 << 20)"),
    "memory_by_map": _reach("import mmap; mmap.mmap(-1, 700 << 20)"),
    "memory_in_pieces": _reach("x = [bytearray(1 << 20) for _ in range(700)]"),
    "memory_in_threads": _reach(
        "import threading; got = []\n"
        "def take(): got.append(bytearray(100 << 20))\n"
        "t = [threading.Thread(target=take) for _ in range(8)]\n"
        "[x.start() for x in t]; [x.join() for x in t]; assert len(got) == 8"
    ),
    "threads": _reach(
        "import threading; e = threading.Event(); n = 0\ntry:\n    for n in range(300):\n"
        "        threading.Thread(target=e.wait, daemon=True).start()\nfinally: e.set()"
    ),
    "descriptors": _reach("import os\nfor _ in range(300): os.open('/dev/null', 0)"),
    "disk_file": _reach(
        "import os\nwith open('big', 'wb') as f: f.write(bytes(64 << 20))\nos.remove('big')"
    ),
    "disk_files": _reach(
        "import os\nfor i in range(30):\n"
        "    with open(f'b{i}', 'wb') as f: f.write(bytes(2 << 20))\n"
        "for i in range(30): os.remove(f'b{i}')"
    ),
    "many_empty_files": _reach(
        "import os\nfor i in range(3000): open(f'e{i}', 'w').close()\n"
        "for i in range(3000): os.remove(f'e{i}')"
    ),
}  # fmt: skip

ENDLESS = {
    "loop": "while True: pass",
    "loop_in_threads": (
        "import threading\ndef run():\n    while True: pass\n"
        "[threading.Thread(target=run).start() for _ in range(3)]; run()"
    ),
    "loop_without_signals": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "regular_expression": "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
    "large_power": "x = 10 ** 10 ** 9",
    "sleep": "import time; time.sleep(1000)",
    "wait_for_a_lock": "import threading; a = threading.Lock(); a.acquire(); a.acquire()",
    "wait_for_a_pipe": "import os; os.read(os.pipe()[0], 1)",
    "endless_catch": (
        "import time\nwhile True:\n    try:\n        while True: time.sleep(0.01)\n"
        "    except BaseException: pass"
    ),
}  # fmt: skip

FLOODS = {
    "print_much": "for _ in range(30000): print('x' * 100)",
    "print_one_line": "print('x' * (8 << 20))",
    "errors_much": "import sys\nfor _ in range(30000): sys.stderr.write('x' * 100)",
    "write_descriptors": "import os\nfor _ in range(3000): os.write(1, b'x' * 1000)",
}  # fmt: skip

REACHING = {**NETWORK, **FILES, **PROCESSES, **OTHERS, **SECRETS, **POWERS, **RESOURCES}
ALL = {**REACHING, **ENDLESS, **FLOODS}
