"""DPO, KTO and the reward model: losses on sampled tokens, exact resumes, adapters that load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn.functional import logsigmoid

from tooldojo.configs.schema import PolicySection, PreferenceSection
from tooldojo.rollouts.records import Group
from tooldojo.training.card import Conventions, PolicyError
from tooldojo.training.policy import Policy, load_policy
from tooldojo.training.stages.demonstrations import TokenRow
from tooldojo.training.stages.preference_stage import response_logps, train_dpo, train_kto
from tooldojo.training.stages.preference_trainers import (
    judged_columns,
    make_dpo,
    make_kto,
    pair_columns,
)
from tooldojo.training.stages.preferences import Judged, JudgedData, Pair, PairData
from tooldojo.training.stages.reward_model import (
    RewardModel,
    load_reward_model,
    new_reward_model,
    with_learned_reward,
)
from tooldojo.training.stages.reward_stage import accuracy, train_reward
from tooldojo.training.stages.trl_stage import trainer_arguments

SECTION = PreferenceSection(
    epochs=3, batch_size=4, learning_rate=1e-2, eval_every=2, autocast="off"
)
CONVENTIONS = Conventions("template", ("system",), "hermes", (1,))
GOOD, BAD = 50, 60  # a response is good when it says GOOD


def response(prompt: list[int], word: int, rng: np.random.Generator) -> TokenRow:
    """Sampled, observed, sampled: ten tokens behind a prompt."""
    row = TokenRow([], [])
    row.extend(prompt, learn=False)
    row.extend([word, word, word], learn=True)
    row.extend(rng.integers(3, 40, 4).tolist(), learn=False)
    row.extend([*rng.integers(3, 40, 2).tolist(), 1], learn=True)
    return row


def pairs(count: int, seed: int = 0) -> list[Pair]:
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(3, 40, int(rng.integers(6, 12))).tolist() for _ in range(count)]
    return [
        Pair(f"task-{i}", response(prompt, GOOD, rng), response(prompt, BAD, rng))
        for i, prompt in enumerate(prompts)
    ]


def judged(made: list[Pair]) -> tuple[Judged, ...]:
    both = [(Judged(p.key, p.chosen, True), Judged(p.key, p.rejected, False)) for p in made]
    return tuple(each for two in both for each in two)


def data() -> PairData:
    return PairData(tuple(pairs(12)), tuple(pairs(6, seed=1)))


def arguments(directory: Path) -> dict[str, Any]:
    return trainer_arguments(SECTION, directory, 2, "cpu", 0)


def test_the_dpo_loss_is_the_papers_over_sampled_tokens_alone(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    policy, made = make_policy(), pairs(4)
    dataset = Dataset.from_dict(pair_columns(made))
    trainer = make_dpo(policy, dataset, dataset, arguments(tmp_path), beta=0.3)
    chosen, rejected = [p.chosen for p in made], [p.rejected for p in made]
    reference = [response_logps(policy, rows, 4) for rows in (chosen, rejected)]
    move(policy)
    moved = [response_logps(policy, rows, 4) for rows in (chosen, rejected)]
    ratios = torch.tensor(moved) - torch.tensor(reference)
    expected = -logsigmoid(0.3 * (ratios[0] - ratios[1])).mean()
    batch = trainer.data_collator(list(trainer.train_dataset))  # type: ignore[arg-type]
    loss = trainer.compute_loss(policy.model, batch).detach()
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)
    assert abs(float(loss) - np.log(2)) > 1e-3
    spoken = [[TokenRow(r.input_ids, r.input_ids) for r in rows] for rows in (chosen, rejected)]
    whole = torch.tensor([response_logps(policy, rows, 4) for rows in spoken])
    assert (whole - torch.tensor(moved)).abs().min() > 1  # what prompts and observations would add


def move(policy: Policy) -> None:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for linear in policy.linears:
            linear.b.add_(0.2 * torch.randn(linear.b.shape, generator=generator))


def test_dpo_and_kto_learn_what_is_preferred(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    found = data()
    figures = train_dpo(make_policy(), found, SECTION, tmp_path / "dpo", 0)
    assert figures["steps"] == 9 and figures["train_pairs"] == 12
    right = figures["held_out_accuracy"]
    assert isinstance(right, dict) and (right["successes"], right["trials"]) == (6, 6)
    singles = JudgedData(judged(pairs(12)), judged(pairs(6, seed=1)))
    figures = train_kto(make_policy(), singles, found, SECTION, tmp_path / "kto", 0)
    right = figures["held_out_accuracy"]
    assert isinstance(right, dict) and right["successes"] == 6
    assert (figures["train_good"], figures["train_bad"]) == (12, 12)


def test_ktos_mismatched_pairs_keep_their_prompts(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    made = judged(pairs(2))
    dataset = Dataset.from_dict(judged_columns(made))
    trainer = make_kto(make_policy(), dataset, dataset, arguments(tmp_path), beta=0.1)
    examples = [dict(each) for each in trainer.train_dataset]  # type: ignore[union-attr]
    batch = trainer.data_collator(examples)
    own, mixed = batch["input_ids"], batch["KL_input_ids"]
    for place, each in enumerate(made):
        prompt = len(each.row.input_ids) - 10
        other = made[place - 1].row.input_ids[-10:]
        assert mixed[place, :prompt].tolist() == own[place, :prompt].tolist()
        assert mixed[place, prompt : prompt + 10].tolist() == other
        assert int(batch["KL_completion_mask"][place].sum()) == 6
    assert set(examples[0]) >= {"ref_logps", "ref_KL_logps"}


def interrupt_at(step: int) -> Callable[[int, int, dict[str, float]], None]:
    def progress(now: int, steps: int, figures: dict[str, float]) -> None:
        if now >= step:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_dpo_ends_bit_for_bit_like_an_undisturbed_one(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    found, straight = data(), make_policy()
    whole = train_dpo(straight, found, SECTION, tmp_path / "a", 3)
    with pytest.raises(KeyboardInterrupt):
        train_dpo(make_policy(), found, SECTION, tmp_path / "b", 3, interrupt_at(5))
    (tmp_path / "b").rename(tmp_path / "moved")
    again = make_policy()
    resumed = train_dpo(again, found, SECTION, tmp_path / "moved", 3)
    a, b = straight.adapter_tensors(), again.adapter_tensors()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert resumed == whole


def test_the_adapter_of_dpo_loads_as_a_policy(
    make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    policy = make_policy()
    train_dpo(policy, data(), SECTION, tmp_path / "dpo", 0)
    policy.save_adapter(tmp_path / "adapter")
    section = PolicySection(model=str(tmp_path / "adapter"))
    again = load_policy(section, CONVENTIONS)
    assert again.adapter_digest() == policy.adapter_digest()
    assert list(policy.model.peft_config) == ["default"]


@pytest.fixture
def reward_model(model_folders: Callable[[str], Path]) -> Callable[..., RewardModel]:
    def make(start: Path | None = None) -> RewardModel:
        section = PolicySection(model=str(model_folders("qwen3")), lora_rank=4, lora_alpha=8)
        return new_reward_model(section, CONVENTIONS, start, seed=1)

    return make


def test_a_reward_model_learns_saves_and_scores_alike_in_any_batch(
    reward_model: Callable[..., RewardModel], tmp_path: Path
) -> None:
    model, found = reward_model(), data()
    figures = train_reward(model, found, SECTION, tmp_path / "run", 0)
    right = figures["held_out_accuracy"]
    assert isinstance(right, dict) and right["successes"] == 6
    shorter = figures["shorter_is_better"]
    assert isinstance(shorter, dict) and shorter["successes"] == 0  # all of one length
    model.save(tmp_path / "adapter")
    again = load_reward_model(tmp_path / "adapter", CONVENTIONS)
    rows = [p.chosen for p in found.held_out]
    assert again.score_rows(rows, size=6) == pytest.approx(model.score_rows(rows, size=1), abs=1e-4)
    assert accuracy(again, found.held_out, 2)["held_out_accuracy"] == right


def test_roles_are_not_mixed_up(
    reward_model: Callable[..., RewardModel], make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    reward_model().save(tmp_path / "reward")
    make_policy().save_adapter(tmp_path / "policy")
    assert json.loads((tmp_path / "reward" / "tooldojo.json").read_text())["role"] == "reward"
    with pytest.raises(PolicyError, match="is a reward model, and a policy is wanted"):
        load_policy(PolicySection(model=str(tmp_path / "reward")), CONVENTIONS)
    with pytest.raises(PolicyError, match="is a policy model, and a reward is wanted"):
        load_reward_model(tmp_path / "policy")


def test_a_reward_model_starts_from_the_policys_adapter(
    reward_model: Callable[..., RewardModel], make_policy: Callable[..., Policy], tmp_path: Path
) -> None:
    policy = make_policy()
    policy.save_adapter(tmp_path / "policy")
    model = reward_model(tmp_path / "policy")
    own, theirs = policy.adapter_tensors(), dict(model.model.named_parameters())
    for name, tensor in own.items():
        found = theirs[name.replace(".weight", ".default.weight")]
        assert torch.equal(found.detach(), tensor), name


def test_learned_rewards_stand_beside_the_own_ones(
    reward_model: Callable[..., RewardModel], make_groups: Callable[..., list[Group]]
) -> None:
    model, groups = reward_model(), make_groups(count=2, size=3)
    changed = with_learned_reward(groups, model, weight=0.25)
    for before, after in zip(groups, changed, strict=True):
        scores = model.score(before.trajectories)
        for old, new, score in zip(before.trajectories, after.trajectories, scores, strict=True):
            assert new.score == old.score and score is not None
            assert old.reward is not None and new.reward is not None
            expected = 0.25 * score + 0.75 * old.reward.total
            assert new.reward.total == pytest.approx(expected, abs=1e-4)
            for name, part in old.reward.parts.items():
                assert new.reward.parts[name] == 0.75 * part
            assert new.reward.parts["learned"] == pytest.approx(0.25 * score, abs=1e-4)
            *early, last = (0.75 * turn for turn in old.reward.turns)
            assert new.reward.turns == pytest.approx((*early, last + 0.25 * score), abs=1e-4)
