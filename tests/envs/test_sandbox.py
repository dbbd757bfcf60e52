"""The sandbox: what it holds back, what it lets pass, whose fault an ending is, nothing left over.

The attacks are those of benchmarks/sandbox_probes.py; each one here also succeeds without a
sandbox, or it would show nothing.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from attacks.probes import ALL
from attacks.running import LIMITS, SCRATCH, as_nobody, attack, inside, outside, public_python

from tooldojo.envs.sandbox import syscalls
from tooldojo.envs.sandbox.machine import Machine, require, survey
from tooldojo.envs.sandbox.namespaces import run_shell
from tooldojo.envs.sandbox.pool import Sandbox
from tooldojo.envs.sandbox.records import (
    Isolation,
    Limits,
    Outcome,
    SandboxLost,
    SandboxUnavailable,
)
from tooldojo.envs.tools import ToolLost

pytestmark = pytest.mark.usefixtures("isolation")
ATTACKS = (
    "tcp_loopback", "unix_by_path", "unix_abstract", "read_secret", "list_root", "create_file",
    "truncate_secret", "delete_secret", "chmod", "utime", "symbolic_link", "proc_self_root",
    "dots_from_python", "fork", "exec_directly", "daemon_that_outlives", "kill_victim",
    "kill_by_owner_of_socket", "renice_victim", "trace_victim", "victim_command_line",
    "parents_descriptors", "environment", "inherited_descriptor", "memory", "threads",
    "descriptors", "loop_without_signals", "sleep", "print_much",
)  # fmt: skip
_WRITES = """
import os
for fd in range(3, 64):
    try: os.write(fd, {0})
    except OSError: pass
"""
needs_bwrap = pytest.mark.usefixtures("bubblewrap")


@pytest.fixture(scope="module")
def pool() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_nowhere(pool: Sandbox, name: str) -> None:
    found = inside(pool, name)
    assert found.escaped == "", found


@pytest.mark.parametrize("name", ["tcp_loopback", "read_secret", "fork", "kill_victim", "sleep"])
def test_the_same_attack_succeeds_without_a_sandbox(name: str) -> None:
    assert outside(name, public_python() or "python3").escaped


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run without rights already")
def test_attacks_get_nowhere_without_rights_either() -> None:
    python = public_python()
    if python is None:
        pytest.skip("no interpreter that another user can run")
    names = [name for name in ATTACKS if name not in ("loop_without_signals", "sleep")]
    found = as_nobody(lambda: [[a.name, a.escaped] for a in attack(names, LIMITS, python=python)])
    assert found == [[name, ""] for name in names]


def test_attacks_on_a_writable_directory_get_nowhere() -> None:
    names = ("symlink_in_own_folder", "disk_files", "many_empty_files")
    assert [each.escaped for each in attack(names, SCRATCH)] == ["", "", ""]


def test_there_are_many_attacks() -> None:
    assert len(ALL) >= 60


def test_ordinary_code_works(pool: Sandbox) -> None:
    done = pool.run(
        "import asyncio, dataclasses, json, sqlite3, statistics, threading, unittest\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "c = sqlite3.connect(':memory:'); print(c.execute('select 1 + 1').fetchone())\n"
        "print(statistics.mean([1, 2, 6]), json.dumps({'a': 1}))"
    )
    assert done.ok and done.output == 'thread\n(2,)\n3 {"a": 1}\n'


@pytest.mark.parametrize(
    ("code", "outcome", "error"),
    [
        ("1 / 0", Outcome.DONE, "ZeroDivisionError: division by zero (line 1)"),
        ("x = 1\nx +", Outcome.DONE, "SyntaxError: invalid syntax (line 2)"),
        ("raise SystemExit(3)", Outcome.DONE, ""),
        ("import os; os._exit(0)", Outcome.DIED, ""),
        ("import ctypes; ctypes.string_at(0)", Outcome.DIED, ""),
        ("while True: pass", Outcome.CPU, ""),
        ("import time; time.sleep(99)", Outcome.IDLE, ""),
    ],
)
def test_how_code_ends_is_its_own_doing(
    pool: Sandbox, code: str, outcome: Outcome, error: str
) -> None:
    done = pool.run(code)
    assert (done.outcome, done.error) == (outcome, error)


@pytest.mark.parametrize(
    "reply", ["b'\\xff' * 64", "b'\\x05\\0\\0\\0[[[[['", "b'\\x02\\0\\0\\0[]'"]
)
def test_a_forged_reply_ends_the_child_and_harms_nobody(pool: Sandbox, reply: str) -> None:
    assert pool.run(_WRITES.format(reply)).outcome is Outcome.DIED
    assert pool.run("print('well')").output == "well\n"


@pytest.mark.parametrize("begun", ["b'\\x05\\0'", "b'\\x05\\0\\0\\0{}'"])
def test_a_reply_that_is_begun_and_never_ended_is_not_waited_for(begun: str) -> None:
    with Sandbox(LIMITS) as sandbox:
        sandbox.run("pass")
        assert sandbox.server_pid
        rescue = threading.Timer(30, os.kill, (sandbox.server_pid, signal.SIGKILL))
        rescue.start()
        done = sandbox.run(_WRITES.format(begun) + "import time; time.sleep(600)")
        rescue.cancel()
    assert done.outcome is Outcome.DIED and done.seconds < 10


def test_calls_share_nothing(pool: Sandbox) -> None:
    pool.run("import builtins; builtins.left = 1; x = 1")
    assert (
        pool.run("print('left' in dir(__builtins__), 'x' in globals())").output == "False False\n"
    )


def test_random_numbers_and_hashes_repeat(pool: Sandbox) -> None:
    code = "import random; print(random.random(), hash('text'))"
    assert pool.run(code).output == pool.run(code).output


def test_a_long_output_is_cut_and_a_strange_one_is_text(pool: Sandbox) -> None:
    done = pool.run("print('ab' * 20000)")
    assert done.cut and done.output == "ab" * 10000
    assert pool.run("print('\\ud800')").output == "\\ud800\n"


def test_a_session_keeps_its_state_until_something_ends_it(pool: Sandbox) -> None:
    with pool.session() as session:
        assert session.run("x = 40").ok
        assert session.run("print(x + 2)").output == "42\n"
        assert session.run("1 / 0").error.startswith("ZeroDivisionError")
        assert session.run("print(x)").output == "40\n"
        assert session.run("while True: pass").outcome is Outcome.CPU
        assert session.run("print(x)").outcome is Outcome.DIED


def test_a_fork_of_a_session_goes_on_apart(pool: Sandbox) -> None:
    with pool.session(forkable=True) as one:
        one.run("x = [1]")
        with one.fork() as two, two.fork() as three:
            two.run("x.append(2)")
            three.run("x.append(3)")
            assert [s.run("print(x)").output for s in (one, two, three)] == [
                "[1]\n", "[1, 2]\n", "[1, 3]\n",
            ]  # fmt: skip
            one.close()
            assert two.run("print(x)").output == "[1, 2]\n"


def test_only_the_client_can_fork_a_session(pool: Sandbox) -> None:
    with pool.session(forkable=True) as one, one.fork() as two:
        for session in (one, two):
            assert "PermissionError" in session.run("import os; os.fork()").error
    with pool.session() as plain, pytest.raises(SandboxLost):
        plain.fork()


def test_a_writable_directory_is_empty_each_time_and_not_shared_by_forks() -> None:
    with Sandbox(SCRATCH) as sandbox:
        assert sandbox.run("open('a', 'w').write('x'); print(open('a').read())").output == "x\n"
        assert sandbox.run("import os; print(os.listdir('.'))").output == "[]\n"
        full = sandbox.run("for i in range(99): open(str(i), 'w').write('x' * 10**6)")
        assert full.error.startswith("OSError: [Errno 28]")
        with pytest.raises(ValueError, match="cannot be forked"):
            sandbox.session(forkable=True)


def test_what_may_be_read_is_what_is_listed(tmp_path: Any) -> None:
    (tmp_path / "data").write_text("listed")
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    code = f"print(open({str(tmp_path / 'data')!r}).read())"
    with Sandbox(replace(LIMITS, readable=(str(tmp_path),))) as sandbox:
        assert sandbox.run(code).output == "listed\n"


def _started_with(text: str) -> set[str]:
    """Processes whose command line has a text; the server's children show its own."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                found |= {pid} if text in file.read() else set()
        except OSError:
            continue
    return found


def test_many_calls_leave_nothing_behind() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with Sandbox(SCRATCH) as sandbox:
        for _ in range(60):
            sandbox.run("import threading; threading.Thread(target=print).start()")
        place = sandbox._scratch
        session = sandbox.session()
        assert os.path.exists(place) and str(sandbox.server_pid) in _started_with(place)
        assert 2 <= len(_started_with(place)) <= 10  # the server, the session, spare children
    assert _started_with(place) == set()
    session.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert not os.path.exists(place)


_SERVED = """
import os, socket, time
from tooldojo.envs.sandbox.server import Family, Server
server = Server(socket.socket(), {}, (), ())
if (pid := os.fork()) == 0:
    time.sleep(600)  # still without a session of its own
server.families[pid] = Family(pid)
server.reap()
print(list(server.families) == [pid])
server.end()
"""


def test_the_server_knows_and_ends_a_child_that_has_only_just_begun() -> None:
    """`end` waits for every child, so one that it has forgotten makes it hang."""
    command = [sys.executable, "-c", _SERVED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.communicate(timeout=30) == (b"True\n", None)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_lost_server_is_nobodys_fault_and_replaced() -> None:
    with Sandbox(LIMITS) as sandbox:
        sandbox.run("pass")
        session = sandbox.session()
        assert sandbox.server_pid
        os.kill(sandbox.server_pid, signal.SIGKILL)
        with pytest.raises(SandboxLost) as lost:
            for _ in range(100):
                session.run("pass")
                time.sleep(0.02)
        assert isinstance(lost.value, ToolLost)
        session.close()
        assert sandbox.run("print(1)").output == "1\n"


def test_a_server_that_cannot_start_says_why() -> None:
    with Sandbox(python="/bin/cat") as sandbox, pytest.raises(SandboxLost, match=r"ended \(.*cat"):
        sandbox.run("pass")


def test_a_starved_call_is_nobodys_fault() -> None:
    limits = replace(LIMITS, cpu_seconds=30, wall_seconds=30, lost_seconds=0.3)
    with Sandbox(limits) as sandbox, pytest.raises(SandboxLost, match="the machine gave a call"):
        sandbox.run("import time; time.sleep(5)")


def test_several_threads_share_a_sandbox(pool: Sandbox) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(pool.run(f"print({n} ** 2)").output))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"{n**2}\n" for n in range(8))


def _machine(**changes: Any) -> Machine:
    return replace(
        Machine("6.1", "x86_64", True, True, 3, True, True, "/usr/bin/bwrap", ""), **changes
    )


@pytest.mark.parametrize(
    ("changes", "best", "named"),
    [
        ({}, Isolation.STRICT, ""),
        ({"bwrap": None, "bwrap_problem": "not installed"}, Isolation.STANDARD, "bubblewrap"),
        ({"landlock": 0}, Isolation.UNSAFE, "Landlock"),
        ({"seccomp": False, "processor": "riscv64"}, Isolation.UNSAFE, "riscv64"),
        ({"changes_uid": False}, Isolation.UNSAFE, "uid"),
        ({"root": False, "changes_uid": False}, Isolation.STRICT, ""),
    ],
)
def test_the_ladder(changes: dict, best: Isolation, named: str) -> None:
    found = _machine(**changes)
    assert found.best is best
    assert named in "; ".join(found.missing(Isolation.STRICT))


def test_less_isolation_than_asked_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match=r"no standard isolation.*lacks Landlock"):
        require(Isolation.STANDARD, _machine(landlock=0))
    with pytest.raises(SandboxUnavailable, match="no writable directory"):
        Sandbox(SCRATCH, Isolation.STRICT)
    with pytest.raises(SandboxUnavailable, match="allow_unsafe=True"):
        Sandbox(isolation=Isolation.UNSAFE)
    with Sandbox(isolation=Isolation.UNSAFE, allow_unsafe=True) as sandbox:
        assert sandbox.run("print(1)").output == "1\n"


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No program is found."""
    monkeypatch.setenv("PATH", "/nowhere")
    survey.cache_clear()
    yield
    survey.cache_clear()


@pytest.mark.usefixtures("without_bubblewrap")
def test_without_bubblewrap_there_is_neither_strict_isolation_nor_a_shell() -> None:
    for refused in (lambda: Sandbox(isolation=Isolation.STRICT), lambda: run_shell("true")):
        with pytest.raises(SandboxUnavailable, match=r"it lacks bubblewrap \(not installed"):
            refused()


def test_the_filters_have_no_jump_out_of_range() -> None:
    for program in (
        syscalls.python_filter(),
        syscalls.python_filter(True),
        syscalls.shell_filter(),
    ):
        assert len(program) % 8 == 0 and len(program) // 8 < 4096
    assert not syscalls.supported("riscv64")


@pytest.mark.parametrize("wrong", [{"cpu_seconds": 0}, {"memory": 1}, {"wall_seconds": -1}])
def test_limits_are_checked(wrong: dict) -> None:
    with pytest.raises(ValueError, match="limits: "):
        Limits(**wrong)


@needs_bwrap
def test_strict_isolation_runs_the_same() -> None:
    names = ("read_secret", "list_root", "tcp_loopback", "fork", "kill_victim", "environment")
    assert {each.escaped for each in attack(names, LIMITS, isolation=Isolation.STRICT)} == {""}
    with Sandbox(isolation=Isolation.STRICT) as sandbox, sandbox.session(forkable=True) as session:
        session.run("x = 1")
        with session.fork() as copy:
            assert copy.run("print(x + 1)").output == "2\n"


@needs_bwrap
def test_a_shell_has_its_files_and_nothing_else() -> None:
    done = run_shell("cat a/b.txt; ls; env | sort | head -3; exit 3", {"a/b.txt": "text\n"})
    assert done.output.startswith("text\na\n") and done.error == "exit status 3"
    assert "SECRET" not in done.output
    for command in (
        "exec 3<>/dev/tcp/127.0.0.1/1", "cat /etc/passwd", "ls /root", "touch /usr/x",
        "head -c 20000000 /dev/zero > f", "unshare -Ur true",
    ):  # fmt: skip
        assert run_shell(command).error, command


@needs_bwrap
def test_a_shell_that_waits_is_killed() -> None:
    done = run_shell("sleep 50 & sleep 60", limits=replace(SCRATCH, wall_seconds=0.5))
    assert done.outcome is Outcome.IDLE


@needs_bwrap
@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", ""])
def test_a_shells_files_stay_in_its_directory(path: str) -> None:
    with pytest.raises(ValueError, match="stays below"):
        run_shell("true", {path: "x"})
