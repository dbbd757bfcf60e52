"""What the benchmarks of the learner and of publishing share: random models of real shapes, members
with recorded lengths, and what an update has to multiply.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tooldojo.training.card import Conventions
from tooldojo.training.learning.batch import Column, Member, PackedSequence, packed_tokens
from tooldojo.training.policy import Policy, find_model
from tooldojo.verifiers.records import Reward

LENGTHS = Path(__file__).parent / "data" / "quickstart_lengths.json"
CONVENTIONS = Conventions("", (), "hermes", (1,))
_QWEN3 = {
    "num_hidden_layers": 28,
    "layer_types": ["full_attention"] * 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN3: dict[str, dict[str, Any]] = {  # the published shapes
    "0.6B": {**_QWEN3, "hidden_size": 1024, "intermediate_size": 3072},
    "1.7B": {**_QWEN3, "hidden_size": 2048, "intermediate_size": 6144},
}


def random_model(shape: dict[str, Any], dtype: torch.dtype, folder: Path) -> str:
    """A model of Qwen3's architecture with random weights and the default policy's tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    base = find_model("default")
    config = AutoConfig.from_pretrained(base)
    config.update(shape)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return str(folder)


def recorded(groups: int, scale: int, vocabulary: int) -> list[Member]:
    """Members with the recorded lengths times `scale`, and random ids and advantages."""
    rng, members = np.random.default_rng(0), []
    for index, group in enumerate(json.loads(LENGTHS.read_text())[:groups]):
        shared = scale * group["prompt"]
        prompt = rng.integers(3, vocabulary, shared)
        for each in group["members"]:
            spans = [scale * n for n in each["spans"]]
            turn = np.repeat(np.arange(len(spans)), spans)
            targets = shared + np.flatnonzero(turn % 2 == 0)
            ids = np.concatenate([prompt, rng.integers(3, vocabulary, sum(spans))])
            count = len(targets)
            sequence = PackedSequence(
                ids[: targets[-1] + 1],
                targets,
                np.full(count, -8.0, np.float32),
                turn[turn % 2 == 0] // 2,
                np.zeros(count, bool),
                shared,
            )
            bare = Member(index, (sequence,), Reward(0.0, tuple(each["rewards"]), {}))
            members.append(bare.having(Column.ADVANTAGE, np.full(count, rng.normal())))
    return members


def update_flops(policy: Policy, members: Sequence[Member]) -> float:
    """Floating-point operations that one update of an adapter cannot do without.

    Forward and gradients of the inputs through frozen matrices (4 a weight and token, a group's
    prompt once), attention (12 a layer, channel and visible token), the head where a token was
    sampled. Recomputation, padding, the factors and gradients of frozen weights do not count.
    """
    config = policy.network.config
    weights = sum(x.a.shape[1] * x.b.shape[0] for x in policy.linears)
    channels = config.num_attention_heads * config.head_dim * config.num_hidden_layers
    prompts = {member.group: member.prompt for member in members}
    pairs = sum(n * (n + 1) // 2 for n in prompts.values())
    for sequence in (each for member in members for each in member.sequences):
        pairs += sequence.inputs * sequence.shared + sequence.inputs * (sequence.inputs + 1) // 2
    sampled = sum(member.length for member in members)
    head = policy.head_VH.numel() * sampled
    return 4.0 * weights * packed_tokens(members) + 12.0 * channels * pairs + 4.0 * head


def gemm_ceiling(device: str, dtype: torch.dtype, size: int = 0, seconds: float = 2.0) -> float:
    """The best operations a second of a square matrix product, tried for so long; size: rows, 0 for
    what fills the device."""
    size = size or (8192 if device.startswith("cuda") else 2048)
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    end, best = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(left, right)
        synchronise(device)
        best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def synchronise(device: str) -> None:
    """Wait for a GPU to finish what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
