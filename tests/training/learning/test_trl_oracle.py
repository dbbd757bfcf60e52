"""TRL as the oracle: its own loss code on the same fixed batch gives our loss and our adapter
gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import Parameter
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.training.learning.advantages import ADVANTAGES
from tooldojo.training.learning.batch import Column, Member
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.update_metrics import TokenRecord

LENGTH = 37  # the constant that Dr. GRPO divides by


SAMPLER = {"proximal": "sampler"}
CASES = {
    "grpo": ({"method": "grpo"}, {"loss_type": "grpo"}),
    "dr_grpo": ({"method": "dr_grpo", "constant_length": LENGTH}, {"loss_type": "dr_grpo"}),
    "dapo": ({}, {"loss_type": "dapo"}),
    "bnpo": ({}, {"loss_type": "bnpo"}),
    "grpo, kl": ({"method": "grpo", "kl_coef": 0.2}, {"loss_type": "grpo", "beta": 0.2}),
    "dapo, kl": ({"kl_coef": 0.2}, {"loss_type": "dapo", "beta": 0.2}),
    "gspo": (
        {"method": "gspo", "clip_low": 0.05, "clip_high": 0.1, **SAMPLER},
        {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    ),
    "luspo": (
        {"method": "luspo", "clip_low": 0.05, "clip_high": 0.1, **SAMPLER},
        {"loss_type": "luspo", "importance_sampling_level": "sequence"},
    ),
    "cispo": (  # TRL's upper bound is the ratio itself
        {"method": "cispo", "clip_high": 0.3},
        {"loss_type": "cispo", "epsilon_high": 1.3},
    ),
    "sapo": ({"method": "sapo"}, {"loss_type": "sapo"}),
    "vespo": ({"method": "vespo", **SAMPLER}, {"loss_type": "vespo"}),
    "delta": ({"dual_clip": 1.4}, {"loss_type": "dapo", "delta": 1.4}),
    "entropy": ({"entropy_coef": 0.1}, {"loss_type": "dapo", "entropy_coef": 0.1}),
}
CUT_PER_TOKEN = ("grpo", "dr_grpo", "dapo", "bnpo")  # where TRL's figures are per token like ours


def trainer(learner: Learner, folder: Path, **keys: object) -> GRPOTrainer:
    config = GRPOConfig(
        **{
            "output_dir": str(folder),
            "use_cpu": True,
            "bf16": False,
            "epsilon": learner.objective.clip_low,
            "epsilon_high": learner.objective.clip_high,
            "max_completion_length": LENGTH,
            "per_device_train_batch_size": 4,
            "num_generations": 4,
            "gradient_checkpointing": False,
            "report_to": [],
            **keys,
        }
    )
    return GRPOTrainer(
        model=learner.policy.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["t3"] * 4}),
        processing_class=learner.policy.tokenizer,
    )


def inputs_for_trl(members: list[Member]) -> dict[str, Tensor]:
    """Prompts padded on the left, completions on the right, observations masked by `tool_mask`."""
    rows = [member.sequences[0] for member in members]
    left, right = max(r.shared for r in rows), max(len(r.ids_T) - r.shared for r in rows)
    blank = {
        "prompt_ids": torch.zeros(len(rows), left, dtype=torch.long),
        "prompt_mask": torch.zeros(len(rows), left, dtype=torch.long),
        "completion_ids": torch.zeros(len(rows), right, dtype=torch.long),
        "completion_mask": torch.zeros(len(rows), right, dtype=torch.long),
        "tool_mask": torch.zeros(len(rows), right, dtype=torch.long),
        "old_per_token_logps": torch.zeros(len(rows), right),
        "ref_per_token_logps": torch.zeros(len(rows), right),
        "sampling": torch.zeros(len(rows), right),
    }
    for i, row in enumerate(rows):
        ids, at = torch.from_numpy(row.ids_T), torch.from_numpy(row.targets_N) - row.shared
        blank["prompt_ids"][i, left - row.shared :] = ids[: row.shared]
        blank["prompt_mask"][i, left - row.shared :] = 1
        blank["completion_ids"][i, : len(ids) - row.shared] = ids[row.shared :]
        blank["completion_mask"][i, : len(ids) - row.shared] = 1
        blank["tool_mask"][i, at] = 1
        known = members[i].columns
        old, reference = known.get(Column.PROXIMAL, row.old_N), known.get(Column.REFERENCE, 0 * at)
        blank["old_per_token_logps"][i, at] = torch.as_tensor(old)
        blank["ref_per_token_logps"][i, at] = torch.as_tensor(reference, dtype=torch.float32)
        blank["sampling"][i, at] = torch.from_numpy(row.old_N)
    tokens = torch.tensor(float(sum(member.length for member in members)))
    advantages = torch.tensor([member.advantage for member in members], dtype=torch.float32)
    return blank | {"advantages": advantages, "num_items_in_batch": tokens}


def gradients(parameters: dict[str, Parameter]) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}


def compare(
    learner: Learner, members: list[Member], oracle: GRPOTrainer, inputs: dict[str, Tensor]
) -> list[TokenRecord]:
    """Our loss and gradients must be those of TRL's `_compute_loss`; returns our records."""
    parameters = learner.policy.parameters()
    for parameter in parameters.values():
        parameter.grad = None
    records = learner.gradients(members).records
    mine = gradients(parameters)
    for parameter in parameters.values():
        parameter.grad = None
    loss = oracle._compute_loss(learner.policy.model, inputs)
    loss.backward()
    assert sum(float(record.loss) for record in records) == pytest.approx(
        float(loss.detach()), rel=1e-5, abs=1e-6
    )
    for name, theirs in gradients(parameters).items():
        assert float((mine[name] - theirs).norm() / theirs.norm()) < 1e-5, name
    return records


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients(
    case: str,
    make_learner: Callable[..., Learner],
    make_groups: Callable[..., list[Group]],
    tmp_path: Path,
) -> None:
    ours, theirs = CASES[case]
    learner = make_learner(tokens_per_microbatch=100, **ours)
    for linear in learner.policy.linears:
        linear.b.data.mul_(1.5)  # away from the reference
    members = learner.members(make_groups())
    oracle = trainer(learner, tmp_path, **theirs)
    records = compare(learner, members, oracle, inputs_for_trl(members))
    entropy = torch.cat([record.entropy_N for record in records]).mean()
    assert float(entropy) == pytest.approx(oracle._metrics["eval"]["entropy"][0], rel=1e-5)
    if case in CUT_PER_TOKEN:
        clipped = torch.cat([record.clipped_N for record in records]).float().mean()
        share = oracle._metrics["eval"]["clip_ratio/region_mean"][0]
        assert float(clipped) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("kind", ["token_truncate", "sequence_truncate"])
def test_correction_of_a_mismatch(
    kind: str,
    make_learner: Callable[..., Learner],
    make_groups: Callable[..., list[Group]],
    tmp_path: Path,
) -> None:
    """Decoupled: the ratio is against proximal logprobs, the weight against the sampler's."""
    learner = make_learner(proximal="learner", correction=kind, correction_max=1.3)
    rng = np.random.default_rng(4)
    members = [
        m.having(Column.PROXIMAL, m.old_N + 0.2 * rng.standard_normal(m.length))
        for m in learner.members(make_groups())
    ]
    oracle, inputs = trainer(learner, tmp_path, loss_type="dapo"), inputs_for_trl(members)
    oracle.use_vllm = oracle.vllm_importance_sampling_correction = True
    difference = (inputs["old_per_token_logps"] - inputs["sampling"]) * inputs["tool_mask"]
    if kind == "sequence_truncate":
        difference = difference.sum(-1, keepdim=True)
    inputs["importance_sampling_ratio"] = difference.exp().clamp(max=1.3)
    compare(learner, members, oracle, inputs)


def test_rloo(
    make_learner: Callable[..., Learner],
    make_groups: Callable[..., list[Group]],
    make_trajectory: Callable[..., Trajectory],
    tmp_path: Path,
) -> None:
    """TRL's RLOOTrainer has one sampled span per trajectory and clips its whole probability."""
    learner, (group, *_) = make_learner(method="rloo", **SAMPLER), make_groups(1)
    rng, prompt = np.random.default_rng(2), range(10, 20)
    trajectories = [
        make_trajectory(prompt, [(3 + member, True)], float(rng.random()), member, rng)
        for member in range(4)
    ]
    members = learner.members([replace(group, trajectories=tuple(trajectories))])
    config = RLOOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        epsilon=0.2,
        per_device_train_batch_size=4,
        num_generations=4,
        gradient_checkpointing=False,
        report_to=[],
    )
    oracle = RLOOTrainer(
        model=learner.policy.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["t3"] * 4}),
        processing_class=learner.policy.tokenizer,
    )
    inputs = inputs_for_trl(members)
    inputs["old_logps"] = inputs["old_per_token_logps"].sum(1)
    compare(learner, members, oracle, inputs)  # type: ignore[arg-type]


def test_advantages(make_groups: Callable[..., list[Group]]) -> None:
    """TRL's formula, with its epsilon: (R - mean) / (std + 1e-4)."""
    rewards = torch.tensor(make_groups(1)[0].rewards)
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert torch.allclose(ADVANTAGES["grpo"](rewards, torch.arange(4)), expected)
