"""How long a new version of the policy takes from the learner to the engine, by both transports.

python benchmarks/publish_latency.py [--quick]

Three policies with LoRA of rank 32 on all linear layers: the default one in float32, and random
weights of Qwen3's architectures of 0.6B and 1.7B parameters, in bfloat16 where the processor has
it; what does not fit into memory is left out. A cell has a process for itself, in which a learner
exports version after version (each a small random step from the last) and an engine takes them.
Seconds are medians over the versions. `export`: digest, serialised tensors and the probe's
logprobs, on the learner; `publish`: from the call to the receipt, of an engine without requests, of
which `swap` is the new tensors and `proof` the probe's logprobs; `busy`: the same call while
requests are under way, which it waits for where the engine must pause. Tokens a second are those of
requests without a publish: what a transport costs afterwards. `ratio`: the aim of 50 ms for
the default policy, over the slower transport's `publish`. `--quick` measures the default policy
only.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import psutil
import torch
from common import answer_apart, arguments, finish
from updates import CONVENTIONS, QWEN3, random_model

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.envs.source import GeneratedTasks
from tooldojo.envs.task import Split
from tooldojo.rollouts.engine import EngineSpec, VllmSampler, environment
from tooldojo.rollouts.publish import Transport
from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.sampler import SampleRequest, SamplingSpec
from tooldojo.training.learning.learner import Learner
from tooldojo.training.policy import DTYPES, load_policy
from tooldojo.training.precision import has_bfloat16

AIM = 0.05  # seconds


@dataclass(frozen=True)
class Burst:
    """Requests at once, tokens of a prompt, tokens to sample."""

    requests: int
    prompt: int
    tokens: int


SMALL, LARGE = Burst(8, 64, 32), Burst(2, 8, 4)  # large: vLLM's LoRA on CPUs takes seconds a token


@dataclass(frozen=True)
class Cell:
    """One measurement. probe: tokens whose logprobs prove a delivery."""

    name: str
    model: str
    dtype: Literal["float32", "bfloat16"]
    transport: Transport
    versions: int
    probe: int
    burst: Burst


def main() -> None:
    """Every policy with either transport."""
    args = arguments(__doc__ or "")
    os.environ.update(environment(EngineSpec("")))  # before a process imports torch
    rows = [row_of(Cell("default", "default", "float32", way, 12, 400, SMALL)) for way in Transport]
    slowest = max(row["publish"] for row in rows)
    dtype = "bfloat16" if has_bfloat16("cpu") else "float32"
    with tempfile.TemporaryDirectory() as folder:
        for name in () if args.quick else QWEN3:
            model = random_model(QWEN3[name], DTYPES[dtype], Path(folder) / name)
            rows += [row_of(Cell(name, model, dtype, way, 4, 16, LARGE)) for way in Transport]
    finish({"rows": rows, "ratio": round(AIM / slowest, 3)})


def row_of(cell: Cell) -> dict[str, Any]:
    """A cell measured in a process of its own, as no two engines share one, or why it is not."""
    about = {"model": cell.name, "transport": cell.transport.value, "dtype": cell.dtype}
    missing = short_of(Path(cell.model), cell.transport)
    row = about | ({"left_out": missing} if missing else answer_apart(measure, cell))
    print(json.dumps(row), flush=True)
    return row


def short_of(model: Path, transport: Transport) -> str | None:
    """What a cell needs, where that is more than is free: the weights twice, for learner and
    engine, and with merged ones three times more, for tensors, their bytes and what is read."""
    weights = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    copies = 5 if transport is Transport.MERGED else 2
    need, free = copies * weights / 2**30, psutil.virtual_memory().available / 2**30
    return f"needs {need:.0f} GiB, {free:.0f} are free" if need > free - 2 else None


def measure(cell: Cell) -> dict[str, Any]:
    """The cell's row; see the module for its columns."""
    policy = load_policy(PolicySection(model=cell.model, dtype=cell.dtype), CONVENTIONS)
    ids = np.random.default_rng(0).integers(3, 2000, cell.probe).tolist()
    learner = Learner(policy, LearnerSection(), ObjectiveSection(), ids)
    engine = VllmSampler(
        EngineSpec(
            model=str(policy.base_folder),
            dtype=cell.dtype,
            kv_cache_gib=0.5,
            max_context=512,
            max_inflight=2 * cell.burst.requests,
            transport=cell.transport,
        )
    )
    try:
        spans, size = asyncio.run(_published(learner, engine, cell))
    finally:
        engine.close()
    tokens = cell.burst.requests * cell.burst.tokens / median(spans.pop("burst"))
    seconds = {name: round(median(times), 4) for name, times in spans.items()}
    return {"mib": round(size / 2**20, 1), **seconds, "tokens_per_second": round(tokens, 1)}


async def _published(
    learner: Learner, engine: VllmSampler, cell: Cell
) -> tuple[dict[str, list[float]], int]:
    """Seconds by what they were spent on, and a version's bytes; half of the versions come while
    requests are under way."""
    dtype = DTYPES[cell.dtype] if cell.transport is Transport.MERGED else None
    spans: dict[str, list[float]] = defaultdict(list)
    update = learner.export(1, dtype)
    await engine.publish(update)
    first = _sampled(engine, update.ref, cell.burst)  # they take longer, and do not count
    await asyncio.gather(*first)
    for version in range(2, cell.versions + 2):
        began = time.perf_counter()
        await asyncio.gather(*_sampled(engine, update.ref, cell.burst))
        spans["burst"].append(time.perf_counter() - began)
        _step(learner)
        busy, held, began = version % 2 == 0, update.ref, time.perf_counter()
        update = learner.export(version, dtype)
        spans["export"].append(time.perf_counter() - began)
        waiting = _sampled(engine, held, cell.burst) if busy else []
        if busy:
            await _under_way(engine)
        began = time.perf_counter()
        receipt = await engine.publish(update)
        spans["busy" if busy else "publish"].append(time.perf_counter() - began)
        await asyncio.gather(*waiting)
        spans["swap"].append(receipt.seconds)
        spans["proof"].append(receipt.proof_seconds)
    return spans, len(update.merged or update.adapter)


def _step(learner: Learner) -> None:
    """Move every factor by about what a step of AdamW does at the default rate."""
    with torch.no_grad():
        for factor in learner.policy.parameters().values():
            factor.add_(torch.randn_like(factor), alpha=1e-4)


def _sampled(engine: VllmSampler, policy: PolicyRef, burst: Burst) -> list[asyncio.Future[Any]]:
    """A burst of requests under a policy."""
    task = GeneratedTasks(["tooldojo/Orders-v0"], Split.TRAIN, 0, ()).task(0)
    rng, sampling = np.random.default_rng(1), SamplingSpec(max_tokens=burst.tokens)
    prompts = rng.integers(3, 2000, (burst.requests, burst.prompt)).tolist()
    return list(
        engine.submit(
            [
                SampleRequest(str(i), prompt, sampling, i, policy, task, 0, ())
                for i, prompt in enumerate(prompts)
            ]
        )
    )


async def _under_way(engine: VllmSampler, steps: int = 2) -> None:
    """Return after some steps of the engine."""
    first = engine.stats().steps
    while engine.stats().steps < first + steps:
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    main()
