"""Members with recorded lengths, and what an update of them has to multiply."""

# pyright: reportMissingImports=false
from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from learner_gpu import Cell, measure
from torch.utils.flop_counter import FlopCounterMode
from updates import CONVENTIONS, LENGTHS, gemm_ceiling, recorded, update_flops

from tooldojo.configs.schema import PolicySection
from tooldojo.training.learning.batch import Member
from tooldojo.training.policy import Policy, load_policy


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(PolicySection(lora_rank=1), CONVENTIONS)


def test_recorded_trajectories_have_the_recorded_lengths() -> None:
    groups = json.loads(LENGTHS.read_text())
    members = recorded(2, 3, 100)
    assert len(members) == len(groups[0]["members"]) + len(groups[1]["members"]) == 16
    first, spans = members[0], groups[0]["members"][0]["spans"]
    assert first.sequences[0].shared == 3 * groups[0]["prompt"]
    assert first.length == 3 * sum(spans[::2])
    assert len(np.unique(first.turn_N)) == len(spans[::2]) == len(first.reward.turns)
    gaps = np.diff(first.sequences[0].targets_N)
    assert sorted(gaps[gaps > 1] - 1) == sorted(3 * n for n in spans[1:-1:2])


def alone() -> Member:
    """A trajectory with no prompt to share, all of whose tokens but the first are sampled."""
    member = recorded(1, 1, 100)[0]
    sequence = member.sequences[0]
    every = replace(
        sequence,
        targets_N=np.arange(1, len(sequence.ids_T)),
        old_N=np.zeros(len(sequence.ids_T) - 1, np.float32),
        shared=0,
    )
    return replace(member, sequences=(every,))


def test_twice_the_forward_pass_as_torch_counts_it(policy: Policy) -> None:
    member = alone()
    ids = torch.from_numpy(member.sequences[0].ids_T[:-1])[None]
    with FlopCounterMode(display=False) as counter, policy.model.disable_adapter(), torch.no_grad():
        policy.network(input_ids=ids)
    products = counter.get_flop_counts()["Global"]
    dense = sum(count for name, count in products.items() if str(name) in ("aten.mm", "aten.addmm"))
    config, length = policy.network.config, ids.shape[1]
    width = config.num_attention_heads * config.head_dim * config.num_hidden_layers
    attention = 3 * 4 * width * length * (length + 1) // 2
    assert update_flops(policy, [member]) == 2 * dense + attention


def test_a_prompt_of_a_group_counts_once(policy: Policy) -> None:
    group = [member for member in recorded(1, 1, 100) if member.group == 0]
    together = update_flops(policy, group)
    apart = sum(update_flops(policy, [member]) for member in group)
    prompt = group[0].prompt
    empty = replace(group[0].sequences[0], ids_T=group[0].sequences[0].ids_T[: prompt + 1])
    bare = replace(empty, targets_N=empty.targets_N[:0], old_N=empty.old_N[:0])
    once = update_flops(policy, [replace(group[0], sequences=(bare,))])
    assert apart - together == pytest.approx((len(group) - 1) * once)


def test_a_matrix_product_has_a_rate() -> None:
    assert gemm_ceiling("cpu", torch.float32, size=64, seconds=0.01) > 1e6


def test_the_update_that_is_measured_on_gpus_runs(policy: Policy) -> None:
    cell = Cell("default", "default", 1, "none", 1, 1, scale=1, dtype="float32")
    row = measure(cell, "cpu")
    done = row["tflops"] * row["seconds"] * 1e12
    assert done == pytest.approx(update_flops(policy, recorded(1, 1, 100)), rel=0.5)
    assert row["tokens"] == sum(len(m.sequences[0].ids_T) for m in recorded(1, 1, 100))
