"""One policy update: our learner against TRL's GRPOTrainer at its best batch size.

python benchmarks/learner_vs_trl.py [--quick]

The trajectories have the lengths and masks of the first step of a quickstart run (15 groups of 8;
`data/quickstart_lengths.json`: prompt tokens, then sampled and observed tokens in turn) with random
ids; "long" doubles every length. Models: the default policy, and a random Qwen3 of about six times
its size; LoRA rank 32 on all linear layers, bfloat16 autocast on both sides where the CPU computes
in it. Both compute loss and adapter gradients of one update (DAPO, no KL): TRL by its own
`_compute_loss` on padded rows of the micro-batch size that is fastest of those tried. Tokens are
those of the trajectories, prompts counted once each, padding not at all; seconds are the best of
several repeats, core seconds add up all threads. Memory is what the process grew by at its peak,
`of_ceiling` the products that an update cannot do without, over those of the best square matrix
product in the same time and precision (`updates.py`).
Every measurement runs in a process of its own.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import answer_apart, arguments, finish
from updates import CONVENTIONS, gemm_ceiling, random_model, recorded, update_flops

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.training.learning.batch import Member
from tooldojo.training.learning.learner import Learner
from tooldojo.training.policy import Policy, load_policy
from tooldojo.training.precision import has_bfloat16

TIMES_SIX = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "layer_types": ["full_attention"] * 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
}
BATCH_SIZES = (2, 4, 8, 16, 30)


@dataclass(frozen=True)
class Cell:
    """One measurement. batch: TRL's micro-batch; None is our learner."""

    model: str
    scale: int
    groups: int
    repeats: int
    batch: int | None


def load(model: str) -> Policy:
    """`default`, or the larger one with random weights and the default policy's tokenizer."""
    if model == "default":
        return load_policy(PolicySection(), CONVENTIONS)
    with tempfile.TemporaryDirectory() as folder:
        random_model(TIMES_SIX, torch.float32, Path(folder))
        return load_policy(PolicySection(model=folder), CONVENTIONS)


def padded(members: list[Member]) -> dict[str, torch.Tensor]:
    """TRL's inputs: prompts padded on the left, completions on the right."""
    rows = [member.sequences[0] for member in members]
    left, right = max(r.shared for r in rows), max(len(r.ids_T) - r.shared for r in rows)
    prompt_ids, ids = (torch.zeros(len(rows), n, dtype=torch.long) for n in (left, right))
    prompt_mask, mask, sampled = (torch.zeros_like(x) for x in (prompt_ids, ids, ids))
    old = torch.zeros(ids.shape)
    for i, row in enumerate(rows):
        tokens, at = torch.from_numpy(row.ids_T), torch.from_numpy(row.targets_N) - row.shared
        prompt_ids[i, left - row.shared :] = tokens[: row.shared]
        prompt_mask[i, left - row.shared :] = 1
        ids[i, : len(tokens) - row.shared] = tokens[row.shared :]
        mask[i, : len(tokens) - row.shared] = 1
        sampled[i, at], old[i, at] = 1, torch.from_numpy(row.old_N)
    return {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": ids,
        "completion_mask": mask,
        "tool_mask": sampled,
        "old_per_token_logps": old,
        "advantages": torch.tensor([member.advantage for member in members]),
    }


def trl_update(policy: Policy, members: list[Member], batch: int) -> Callable[[], object]:
    """TRL's loss and gradients over micro-batches of `batch` rows."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    folder = tempfile.mkdtemp()
    config = GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=has_bfloat16("cpu"),
        loss_type="dapo",
        beta=0.0,
        per_device_train_batch_size=2,
        num_generations=2,
        gradient_checkpointing=False,
        report_to=[],
    )
    trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["a"] * 4}),
        processing_class=policy.tokenizer,
    )
    parts = [padded(members[at : at + batch]) for at in range(0, len(members), batch)]
    total = torch.tensor(float(sum(member.length for member in members)))

    def update() -> None:
        for part in parts:
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16("cpu")):
                inputs = part | {"num_items_in_batch": total}
                loss = trainer._compute_loss(policy.model, inputs)
            loss.backward()

    return update


def measure(cell: Cell) -> dict[str, Any]:
    """Best seconds of an update after one that does not count, and the process's growth, MiB."""
    policy = load(cell.model)
    members = recorded(cell.groups, cell.scale, policy.head_VH.shape[0])
    learner = Learner(policy, LearnerSection(), ObjectiveSection(), range(3, 40))
    update = lambda: learner.gradients(members)  # noqa: E731
    if cell.batch is not None:
        update = trl_update(policy, members, cell.batch)
    before, seconds, core = _resident(), [], []
    for _ in range(cell.repeats + 1):
        started, used = time.perf_counter(), time.process_time()
        update()
        seconds.append(time.perf_counter() - started)
        core.append(time.process_time() - used)
    peak = _resident() - before
    tokens = sum(len(member.sequences[0].ids_T) for member in members)
    dtype = torch.bfloat16 if has_bfloat16("cpu") else torch.float32
    used = update_flops(policy, members) / min(seconds[1:])
    return {
        "batch": cell.batch,
        "seconds": round(min(seconds[1:]), 2),
        "core_seconds": round(min(core[1:]), 2),
        "tokens_per_second": round(tokens / min(seconds[1:])),
        "peak_mib": round(peak),
        "of_ceiling": round(used / gemm_ceiling("cpu", dtype), 3),
    }


def _resident() -> float:
    """Largest resident size of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(model: str, scale: int, groups: int, repeats: int, sizes: tuple[int, ...]) -> dict:
    """Ours, and TRL at the fastest of the micro-batch sizes."""
    ours = answer_apart(measure, Cell(model, scale, groups, repeats, None))
    tried = [answer_apart(measure, Cell(model, scale, groups, repeats, size)) for size in sizes]
    best = min(tried, key=lambda row: row["seconds"])
    return {
        "model": model,
        "scale": scale,
        "ours": ours,
        "trl": best,
        "tried": [[row["batch"], row["seconds"]] for row in tried],
        "core_ratio": round(best["core_seconds"] / ours["core_seconds"], 2),
        "ratio": round(best["seconds"] / ours["seconds"], 2),
    }


def main() -> None:
    """Two models, two lengths; the ratio is that of the worst cell."""
    args = arguments(__doc__ or "")
    groups, repeats, sizes = (4, 1, (4, 8)) if args.quick else (15, 3, BATCH_SIZES)
    rows = []
    for model in ("default", "larger"):
        for scale in (1, 2):
            rows.append(compare(model, scale, groups, repeats, sizes))
            print(json.dumps(rows[-1]), flush=True)
    threads = torch.get_num_threads()
    ratio = min(row["ratio"] for row in rows)
    finish({"rows": rows, "groups": groups, "threads": threads, "ratio": ratio})


if __name__ == "__main__":
    main()
