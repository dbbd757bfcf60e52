"""What attacks are aimed at: a secret file, listeners, a victim process, a folder to write to.

Built anew for each attack by the uid that runs the sandbox, so that everything in it could be had
without one.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

SECRET = "TOP-SECRET-7f3a"


class Scene:
    """Targets of one attack; close it afterwards."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attack-"))
        self.secret = self.folder / "secret.txt"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        self.before = self.secret.stat()
        os.environ["ATTACK_SECRET"] = SECRET
        self.fd = os.open(self.secret, os.O_RDONLY)
        os.set_inheritable(self.fd, True)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(str(self.folder / "stream"))
        self.path.listen()
        self.datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagrams.bind(str(self.folder / "datagram"))
        self.datagrams.setblocking(False)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0attack-{os.getpid()}-{id(self)}")
        self.abstract.listen()
        self.victim = subprocess.Popen(["sleep", "60"], start_new_session=True)

    def fill(self, code: str) -> str:
        """Code with its targets filled in."""
        values = {
            "FOLDER": str(self.folder), "SECRET": str(self.secret), "VALUE": SECRET[::-1],
            "PORT": str(self.tcp.getsockname()[1]), "VICTIM": str(self.victim.pid),
            "ABSTRACT": f"attack-{os.getpid()}-{id(self)}",
        }  # fmt: skip
        for name, value in values.items():
            code = code.replace(f"@{name}@", value)
        return code

    def harmed(self) -> str:
        """What the attack left to be seen from outside; "" for nothing."""
        if self.victim.poll() is not None:
            return "the victim was killed"
        if os.getpriority(os.PRIO_PROCESS, self.victim.pid) != 0:
            return "the victim's priority changed"
        if os.sched_getaffinity(self.victim.pid) != os.sched_getaffinity(0):
            return "the victim's processors changed"
        try:
            now = self.secret.stat()
        except FileNotFoundError:
            return "the secret file is gone"
        if (now.st_mode, now.st_uid, now.st_size, now.st_mtime, now.st_nlink) != (
            self.before.st_mode, self.before.st_uid, self.before.st_size, self.before.st_mtime,
            self.before.st_nlink,
        ):  # fmt: skip
            return "the secret file was changed"
        if extra := {p.name for p in self.folder.iterdir()} - {"secret.txt", "stream", "datagram"}:
            return f"made {sorted(extra)[0]}"
        try:
            return "a datagram arrived" if self.datagrams.recv(100) else ""
        except BlockingIOError:
            return ""

    def close(self) -> None:
        """End the victim and remove what was made."""
        for sock in (self.tcp, self.path, self.datagrams, self.abstract):
            sock.close()
        os.close(self.fd)
        self.victim.kill()
        self.victim.wait()
        os.environ.pop("ATTACK_SECRET", None)
        shutil.rmtree(self.folder, ignore_errors=True)
