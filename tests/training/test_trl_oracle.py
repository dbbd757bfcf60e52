"""TRL as the oracle: its own loss code on the same fixed batch gives our loss and our adapter
gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import Parameter
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from tooldojo.rollouts.records import Group
from tooldojo.training.advantages import ADVANTAGES
from tooldojo.training.batch import Member
from tooldojo.training.learner import Learner

LENGTH = 37  # the constant that Dr. GRPO divides by


def trainer(learner: Learner, loss_type: str, beta: float, folder: Path) -> GRPOTrainer:
    config = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        loss_type=loss_type,
        beta=beta,
        epsilon=learner.objective.clip_low,
        epsilon_high=learner.objective.clip_high,
        max_completion_length=LENGTH,
        per_device_train_batch_size=4,
        num_generations=4,
        gradient_checkpointing=False,
        report_to=[],
    )
    return GRPOTrainer(
        model=learner.policy.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=config,
        train_dataset=Dataset.from_dict({"prompt": ["t3"] * 4}),
        processing_class=learner.policy.tokenizer,
    )


def inputs_for_trl(members: list[Member], reference: dict[int, Tensor]) -> dict[str, Tensor]:
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
    }
    for i, row in enumerate(rows):
        ids, at = torch.from_numpy(row.ids_T), torch.from_numpy(row.targets_N) - row.shared
        blank["prompt_ids"][i, left - row.shared :] = ids[: row.shared]
        blank["prompt_mask"][i, left - row.shared :] = 1
        blank["completion_ids"][i, : len(ids) - row.shared] = ids[row.shared :]
        blank["completion_mask"][i, : len(ids) - row.shared] = 1
        blank["tool_mask"][i, at] = 1
        blank["old_per_token_logps"][i, at] = torch.from_numpy(row.old_N)
        blank["ref_per_token_logps"][i, at] = reference[i]
    tokens = torch.tensor(float(sum(member.length for member in members)))
    advantages = torch.tensor([member.advantage for member in members], dtype=torch.float32)
    return blank | {"advantages": advantages, "num_items_in_batch": tokens}


def gradients(parameters: dict[str, Parameter]) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}


def reference_logprobs(learner: Learner, members: list[Member]) -> dict[int, Tensor]:
    found = {}
    with learner.policy.holding(learner.reference):
        for i, member in enumerate(members):
            row = member.sequences[0]
            scores = torch.from_numpy(learner.logprobs([row.ids_T.tolist()])[0])
            found[i] = scores[row.targets_N - 1]
    return found


@pytest.mark.parametrize(
    ("loss_type", "aggregation"),
    [
        ("grpo", "sequence_mean"),
        ("dr_grpo", "constant"),
        ("dapo", "token_mean"),
        ("bnpo", "token_mean"),
    ],
)
@pytest.mark.parametrize("beta", [0.0, 0.2])
def test_loss_and_gradients(
    loss_type: str,
    aggregation: str,
    beta: float,
    make_learner: Callable[..., Learner],
    make_groups: Callable[..., list[Group]],
    tmp_path: Path,
) -> None:
    advantage = "dr_grpo" if loss_type == "dr_grpo" else "grpo"
    learner = make_learner(
        advantage=advantage,
        aggregation=aggregation,
        kl_coef=beta,
        constant_length=LENGTH,
        tokens_per_microbatch=100,
    )
    for linear in learner.policy.linears:
        linear.b.data.mul_(1.5)  # away from the reference
    members = learner.members(make_groups())
    parameters = learner.policy.parameters()
    losses, records = learner.gradients(members)
    mine = gradients(parameters)
    inputs = inputs_for_trl(members, reference_logprobs(learner, members))
    for parameter in parameters.values():
        parameter.grad = None
    oracle = trainer(learner, loss_type, beta, tmp_path)
    loss = oracle._compute_loss(learner.policy.model, inputs)
    loss.backward()
    assert sum(float(part.total.detach()) for part in losses) == pytest.approx(
        float(loss.detach()), rel=1e-5, abs=1e-6
    )
    for name, theirs in gradients(parameters).items():
        assert float((mine[name] - theirs).norm() / theirs.norm()) < 1e-5, name
    clipped = torch.cat([record.clipped_N for record in records]).float().mean()
    share = oracle._metrics["eval"]["clip_ratio/region_mean"][0]
    assert float(clipped) == pytest.approx(share, abs=1e-6)
    entropy = torch.cat([record.entropy_N for record in records]).mean()
    assert float(entropy) == pytest.approx(oracle._metrics["eval"]["entropy"][0], rel=1e-5)


def test_advantages(make_groups: Callable[..., list[Group]]) -> None:
    """TRL's formula, with its epsilon: (R - mean) / (std + 1e-4)."""
    rewards = torch.tensor(make_groups(1)[0].rewards)
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert torch.allclose(ADVANTAGES["grpo"](rewards, torch.arange(4)), expected)
