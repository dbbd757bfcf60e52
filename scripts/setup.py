#!/usr/bin/env python3
"""Build .venv from the lock: `make setup`, or `PROFILE=gpu make setup`.

Owns .venv, and bubblewrap where it is missing and root may install it. Refuses machines that the
locks were not made for, with one line.
Invariant: .venv/tooldojo-setup.json exists exactly when the environment is complete, and says what
it was built from; so an interrupted build starts over and a finished one is left alone.

Needs the standard library only, and any Python 3.7 or newer to start: it looks for a fitting one.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "tooldojo-setup.json"
LOG = VENV / "setup.log"
LOCKS = ROOT / "requirements"
PROFILES = ("cpu", "gpu")
PYTHONS = ("3.11", "3.12")
FITS = (
    "import ensurepip, sys, venv\n"
    "ok = sys.version_info[:2] in ((3, 11), (3, 12)) and sys.implementation.name == 'cpython'\n"
    "sys.exit(not ok)"
)

# Gigabytes: on disk when done, and fetched on a machine with an empty pip cache.
NEEDS_GB = {"cpu": 5, "gpu": 20}
CUDA_TORCH_DISK_GB, CUDA_TORCH_FETCH_GB, GPU_FETCH_GB = 7, 2.7, 6


class SetupError(Exception):
    """What is wrong and what to do about it, in one line."""


# ---------------------------------------------------------------------------- what to build


def fitting_python():
    """A CPython 3.11 or 3.12 that can make a venv: $PYTHON, or what .venv has, or what there is."""
    asked = os.environ.get("PYTHON")
    had = os.path.realpath(str(VENV / "bin" / "python"))
    known = [had, sys.executable, "python3.11", "python3.12", "python3"]
    for candidate in [asked] if asked else known:
        path = shutil.which(candidate)
        if path and subprocess.call([path, "-c", FITS], stderr=subprocess.DEVNULL) == 0:
            return path
    which = f"PYTHON={asked} is not one" if asked else f"found {platform.python_version()}"
    raise SetupError(
        f"needs CPython {' or '.join(PYTHONS)} with venv and pip ({which}); "
        "install one and run `PYTHON=/path/to/python3.11 make setup`"
    )


def check_machine():
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SetupError(
            f"the locks are for Linux x86-64, this is {platform.system()} {platform.machine()}; "
            "`pip install .` gives the worlds and verifiers without the training engine"
        )


def check_disk(gigabytes):
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"needs about {gigabytes} GB free in {ROOT}, there are {free:.1f} GB; "
            "free some space and run `make setup` again"
        )


def fingerprint(profile, python):
    """What the environment depends on; the same fingerprint means that there is nothing to do."""
    digest = hashlib.sha256()
    for path in (LOCKS / f"{profile}.txt", LOCKS / "torch-cuda.txt", ROOT / "pyproject.toml"):
        digest.update(path.read_bytes() + b"\0")
    version = subprocess.check_output([python, "-VV"], text=True).strip()
    # A moved checkout needs a rebuild: scripts in .venv/bin name its absolute path.
    return {
        "profile": profile,
        "python": version,
        "place": str(ROOT),
        "sources": digest.hexdigest(),
    }


def finished():
    """The stamp of a complete environment, or nothing."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if (VENV / "bin" / "python").exists() else {}


def pins(path):
    """Name -> requirement line of a lock, in order."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {line.split("==")[0]: line for line in lines}


# ---------------------------------------------------------------------------- doing it


class Steps:
    """Prints each step when it starts and its seconds when it is done."""

    def __init__(self, total):
        self.total, self.number, self.began = total, 0, time.monotonic()

    def run(self, what, action, *arguments):
        self.number += 1
        began = time.monotonic()
        print(f"[{self.number}/{self.total}] {what}", flush=True)
        result = action(*arguments)
        print(f"      done in {time.monotonic() - began:.0f} s", flush=True)
        return result

    def seconds(self):
        return time.monotonic() - self.began


def installed():
    """How many packages are in the environment, whole or nearly so."""
    return sum(1 for _ in VENV.glob("lib/python*/site-packages/*.dist-info"))


def watch(process, goal):
    """Wait for pip, saying how far it is: in place on a terminal, every half minute elsewhere."""
    began = said = time.monotonic()
    terminal = sys.stdout.isatty()
    while process.poll() is None:
        time.sleep(0.2)
        now = time.monotonic()
        if now - said < (1 if terminal else 30):
            continue
        said = now
        count = f"{min(installed(), goal)} of {goal} packages in place" if goal else "fetching"
        state = f"      {count}, {now - began:.0f} s"
        print("\r" + state if terminal else state, end="" if terminal else "\n", flush=True)
    if terminal:
        print("\r" + " " * 60 + "\r", end="", flush=True)


def pip(arguments, goal=0):
    """Run the environment's pip; returns its exit code and what it said."""
    began = LOG.stat().st_size if LOG.exists() else 0
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    environment = dict(os.environ, PIP_NO_INPUT="1", PYTHONUNBUFFERED="1")
    environment.pop("PIP_REQUIRE_VIRTUALENV", None)
    with LOG.open("ab") as log:
        log.write(("\n$ pip " + " ".join(arguments) + "\n").encode())
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,  # pip keeps the lock of `main` if it outlives this process
        )
        try:
            watch(process, goal)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    with LOG.open("rb") as log:
        log.seek(began)
        return process.returncode, log.read().decode(errors="replace")


# Most of the 28 000 modules are never imported: Python compiles those that are, when they are.
INSTALL = ("install", "--no-deps", "--no-compile", "--progress-bar=off")


def install(arguments, goal=0):
    code, said = pip([*INSTALL, *arguments], goal)
    if code:
        tail = "\n".join("      | " + line for line in said.strip().splitlines()[-8:])
        print(tail, file=sys.stderr)
        raise SetupError(f"pip stopped with exit code {code}; all it said is in {LOG}")


def make_venv(python, gigabytes):
    if VENV.is_symlink() or VENV.is_file():
        raise SetupError(f"{VENV} is not a folder; move it away and run `make setup` again")
    if VENV.exists():
        shutil.rmtree(str(VENV))
    check_disk(gigabytes)
    subprocess.run([python, "-m", "venv", str(VENV)], check=True)


def install_torch(torch, cuda):
    """The CPU build if pip is offered one, else the registry's build and what that loads."""
    code, said = pip([*INSTALL, torch + "+cpu"])
    if code == 0:
        return
    if "No matching distribution found" not in said:
        raise SetupError(f"pip could not install {torch}; all it said is in {LOG}")
    print(
        f"      no CPU build of {torch} on offer; taking the CUDA build: about "
        f"{CUDA_TORCH_FETCH_GB} GB to fetch, {CUDA_TORCH_DISK_GB} GB on disk.\n"
        "      (To avoid that, stop now, point pip's `find-links` or `extra-index-url` at a place "
        "with PyTorch's CPU wheels, and run `make setup` again.)",
        flush=True,
    )
    check_disk(CUDA_TORCH_DISK_GB)
    install([torch, *cuda.values()], goal=len(cuda) + 1)


def remove_strays(lock):
    """Uninstall what an earlier lock put here and this one no longer has."""
    keep = {re.sub(r"[-_.]+", "-", name).lower() for name in lock}
    keep |= {"pip", "tooldojo", *pins(LOCKS / "torch-cuda.txt")}
    out = pip_list()
    strays = [name for name in out if re.sub(r"[-_.]+", "-", name).lower() not in keep]
    if strays:
        print("      removing " + ", ".join(strays))
        pip(["uninstall", "--yes", *strays])


def pip_list():
    command = [str(VENV / "bin" / "python"), "-m", "pip", "list", "--format=json"]
    listed = subprocess.check_output(command, cwd=str(ROOT), stderr=subprocess.DEVNULL)
    return [entry["name"] for entry in json.loads(listed)]


def build(profile, python, wanted, fresh):
    lock = pins(LOCKS / f"{profile}.txt")
    steps = Steps(4 if profile == "cpu" else 3)
    if fresh:
        version = wanted["python"].split(" (")[0]
        steps.run(f"a new .venv with {version}", make_venv, python, NEEDS_GB[profile])
    else:
        steps.run("packages that the lock no longer has", remove_strays, lock)
    if profile == "cpu":
        cuda = pins(LOCKS / "torch-cuda.txt")
        steps.run(lock["torch"], install_torch, lock.pop("torch"), cuda)
    elif fresh:
        print(f"      profile gpu fetches about {GPU_FETCH_GB} GB")
    rest = ["-r", str(write_rest(lock))]
    steps.run(f"{len(lock)} packages of requirements/{profile}.txt", install, rest, len(lock))
    editable = ["--no-build-isolation", "--editable", "."]
    steps.run("tooldojo itself, editable", install, editable)
    STAMP.write_text(json.dumps(wanted, indent=1) + "\n")
    return steps.seconds()


def provide_bubblewrap():
    """It isolates the shell commands of worlds, which refuse to play without it."""
    apt = shutil.which("apt-get")
    if shutil.which("bwrap") is None and apt and os.geteuid() == 0:
        print("setup: installing bubblewrap, which isolates shell commands", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if subprocess.call([apt, "install", "--yes", "bubblewrap"], **quiet):
            subprocess.call([apt, "update"], **quiet)
            subprocess.call([apt, "install", "--yes", "bubblewrap"], **quiet)
    if shutil.which("bwrap") is None:
        print(
            "setup: bubblewrap is missing, so worlds with a shell (tooldojo/Files-v0) cannot play; "
            "`apt-get install bubblewrap` as root, or your system's own way"
        )


def write_rest(lock):
    path = VENV / "setup-rest.txt"
    path.write_text("".join(line + "\n" for line in lock.values()))
    return path


def main():
    profile = os.environ.get("PROFILE") or "cpu"
    if profile not in PROFILES:
        raise SetupError(f"unknown PROFILE={profile}; it is one of {', '.join(PROFILES)}")
    check_machine()
    python = fitting_python()
    provide_bubblewrap()
    with (ROOT / "pyproject.toml").open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SetupError("another `make setup` is at work here; wait for it") from None
        os.set_inheritable(held.fileno(), True)
        wanted, built = fingerprint(profile, python), finished()
        if built == wanted:
            print(f"setup: .venv is up to date (profile {profile}); nothing to do")
            return
        # Only a change of versions is applied in place; anything else starts from an empty folder.
        fresh = {**built, "sources": ""} != {**wanted, "sources": ""}
        if STAMP.exists():
            STAMP.unlink()
        seconds = build(profile, python, wanted, fresh)
    print(f"setup: ready in {seconds:.0f} s; next: `make quickstart` or `make test`")


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("\nsetup: interrupted; run `make setup` again, it starts over")
