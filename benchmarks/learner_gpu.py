"""One policy update on a GPU: tokens a second, utilisation and memory.

python benchmarks/learner_gpu.py [--quick] [--peak TFLOPS]

Random weights of Qwen3's architectures of 0.6B and 1.7B parameters in bfloat16, LoRA of rank 1, 16
and 64 on all linear layers, and rank 16 on a 4-bit base (QLoRA), on trajectories with eight times
the quickstart's recorded lengths. `mfu`: the products that an update cannot do without
(`updates.update_flops`) over the device's peak, from its data sheet (known for some, else
`--peak`); `of_ceiling`: over the best square matrix product in bfloat16, measured beside it. Memory
is the allocator's peak, weights included, and what `nvidia-smi` says the process holds. Seconds are
the median of the updates after one that does not count. `--quick` takes the smaller model and
fewer trajectories. `ratio`: the lowest utilisation at 1.7B without quantisation, over the goal of
0.40. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from common import answer_apart, arguments, finish, or_skip
from updates import (
    CONVENTIONS,
    QWEN3,
    gemm_ceiling,
    random_model,
    recorded,
    synchronise,
    update_flops,
)

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.training.learning.learner import Learner
from tooldojo.training.policy import DTYPES, load_policy

GOAL = 0.40
SCALE = 8  # times the recorded lengths: contexts of some 6,000 tokens
PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}  # bf16, dense


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    name: str
    model: str
    rank: int
    quantization: Literal["none", "nf4"]
    groups: int
    repeats: int
    scale: int = SCALE
    dtype: Literal["float32", "bfloat16"] = "bfloat16"


def main() -> None:
    """Every size, rank and quantisation."""
    args = arguments(__doc__ or "", _own_arguments)
    peak = or_skip(lambda: device_peak(args.peak))
    names, groups, repeats = (("0.6B",), 2, 2) if args.quick else (tuple(QWEN3), 8, 5)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            model = random_model(QWEN3[name], torch.bfloat16, Path(folder) / name)
            for rank, quantization in ((1, "none"), (16, "none"), (64, "none"), (16, "nf4")):
                cell = Cell(name, model, rank, quantization, groups, repeats)
                rows.append(answer_apart(measure, cell, "cuda"))
                rows[-1]["mfu"] = round(rows[-1]["tflops"] / peak, 3)
                print(json.dumps(rows[-1]), flush=True)
    plain = [row["mfu"] for row in rows if row["quantization"] == "none"]
    asked = [row["mfu"] for row in rows if row["model"] == "1.7B" and row["quantization"] == "none"]
    device = torch.cuda.get_device_name()
    ratio = round(min(asked or plain) / GOAL, 3)
    finish({"device": device, "peak_tflops": peak, "rows": rows, "ratio": ratio})


def _own_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peak", type=float, help="the device's bfloat16 TFLOPS, dense")


def device_peak(given: float | None) -> float:
    """TFLOPS in bfloat16.

    Raises:
        LookupError: without a GPU, or for one whose data sheet is not known here.
    """
    if not torch.cuda.is_available():
        raise LookupError("there is no CUDA device; nothing was measured")
    name = torch.cuda.get_device_name()
    known = [tflops for part, tflops in PEAKS.items() if part in name]
    if given is None and not known:
        raise LookupError(f"{name} is none of {', '.join(PEAKS)}; give its TFLOPS by --peak")
    return given or known[0]


def measure(cell: Cell, device: str) -> dict[str, Any]:
    """The cell's row but for its utilisation."""
    section = PolicySection(
        model=cell.model,
        dtype=cell.dtype,
        lora_rank=cell.rank,
        quantization=cell.quantization,
    )
    policy = load_policy(section, CONVENTIONS, device=device)
    members = recorded(cell.groups, cell.scale, len(policy.tokenizer))
    learner = Learner(policy, LearnerSection(), ObjectiveSection(), range(3, 40))
    seconds = []
    for _ in range(cell.repeats + 1):
        began = time.perf_counter()
        learner.gradients(members)
        synchronise(device)
        seconds.append(time.perf_counter() - began)
    spent = median(seconds[1:])
    memory = _memory(device)
    rate = update_flops(policy, members) / spent
    tokens = sum(len(member.sequences[0].ids_T) for member in members)
    return {
        "model": cell.name,
        "rank": cell.rank,
        "quantization": cell.quantization,
        "merged": learner.merged,
        "tokens": tokens,
        "seconds": round(spent, 3),
        "tokens_per_second": round(tokens / spent),
        "tflops": round(rate / 1e12, 3),
        "of_ceiling": round(rate / gemm_ceiling(device, DTYPES[cell.dtype]), 3),
        **memory,
    }


def _memory(device: str) -> dict[str, float]:
    """GiB: the allocator's peak, and the process's by `nvidia-smi`."""
    if not device.startswith("cuda"):
        return {}
    asked = ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    said = subprocess.run(["nvidia-smi", *asked], capture_output=True, text=True, check=False)
    rows = [line.split(",") for line in said.stdout.splitlines() if "," in line]
    own = [float(mib) for pid, mib in rows if int(pid) == os.getpid()]
    return {
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "nvidia_smi_gib": round(sum(own) / 1024, 2),
    }


if __name__ == "__main__":
    main()
