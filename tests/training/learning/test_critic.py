"""The critic: its loss in closed form, its gradients, its checkpoint, and that it foresees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.training.learning.batch import Column
from tooldojo.training.learning.critic import explained_variance, value_loss
from tooldojo.training.learning.learner import Learner
from tooldojo.training.runs.checkpoint import Checkpoint, latest, save_checkpoint

MakeLearner = Callable[..., Learner]
MakeGroups = Callable[..., list[Group]]


@pytest.mark.parametrize(
    ("value", "loss", "slope"),
    [
        (0.1, 0.405, -0.9),  # near the old value: (1 - 0.1)^2 / 2
        (0.5, 0.32, 0.0),  # further than the clip towards the return: as if at 0.2
        (-0.5, 1.125, -1.5),  # away from the return: the larger of the two
        (2.0, 0.5, 1.0),
    ],
)
def test_value_loss(value: float, loss: float, slope: float) -> None:
    """Old value 0, return 1, clip 0.2."""
    given = torch.tensor([value], requires_grad=True)
    found = value_loss(given, torch.zeros(1), torch.ones(1), 0.2)
    assert found.item() == pytest.approx(loss)
    assert torch.autograd.grad(found.sum(), given)[0].item() == pytest.approx(slope)


def test_explained_variance() -> None:
    returns = np.array([0.0, 1.0, 2.0])
    assert explained_variance(returns + 5, returns) == 1.0
    assert explained_variance(np.zeros(3), returns) == 0.0
    assert explained_variance(-returns, returns) == -3.0
    assert np.isnan(explained_variance(returns, np.ones(3)))


def critic_gradients(learner: Learner, groups: list[Group]) -> dict[str, torch.Tensor]:
    """Of one optimiser step, caught before the optimiser."""
    critic = learner.critic
    assert critic is not None
    caught: dict[str, torch.Tensor] = {}
    hook = critic.optimiser.register_step_pre_hook(
        lambda *_: caught.update(
            {n: p.grad.clone() for n, p in critic.parameters.items() if p.grad is not None}
        )
    )
    learner.update(groups)
    hook.remove()
    return caught


def head_away_from_zero(learner: Learner) -> None:
    assert learner.critic is not None
    generator = torch.Generator().manual_seed(0)
    head = learner.critic.parameters["head"]
    head.data.copy_(0.05 * torch.randn(head.shape, generator=generator))


@pytest.mark.parametrize("method", ["ppo", "turn_ppo"])
def test_gradients_do_not_depend_on_microbatches_or_merging(
    method: str, make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    found = []
    for tokens, merged in ((10**6, True), (110, True), (10**6, False)):
        learner = make_learner(method=method, tokens_per_microbatch=tokens, max_grad_norm=1e9)
        learner.merged = merged
        head_away_from_zero(learner)
        found.append(critic_gradients(learner, make_groups()))
    assert len(found[0]) == 2 * 14 + 2
    for other in found[1:]:
        for name, gradient in found[0].items():
            assert float((other[name] - gradient).norm() / gradient.norm()) < 1e-5, name


def test_values_are_those_of_the_critic_s_own_factors(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    """PEFT's ordinary forward pass with the critic's factors, at the state before each token."""
    learner, groups = make_learner(method="ppo"), make_groups(1)
    head_away_from_zero(learner)
    critic, policy = learner.critic, learner.policy
    assert critic is not None
    for factor in critic.parameters.values():
        factor.data.mul_(1.3)
    before = policy.adapter_digest()
    members = learner.members(groups)
    assert policy.adapter_digest() == before
    sequence = members[2].sequences[0]
    with critic.in_place(), torch.no_grad():
        ids = torch.from_numpy(sequence.ids_T)[None]
        states = policy.network.get_decoder()(ids).last_hidden_state[0]
        expected = states @ critic.parameters["head"] + critic.parameters["bias"]
    values = members[2].columns[Column.VALUE]
    assert values == pytest.approx(expected[sequence.targets_N - 1].numpy(), abs=1e-5)


def test_the_critic_learns_to_foresee(make_learner: MakeLearner, make_groups: MakeGroups) -> None:
    learner = make_learner(method="ppo", critic_learning_rate=1e-2, gae_lambda=1.0, value_clip=10.0)
    groups = make_groups()
    figures = [learner.update(groups) for _ in range(12)]
    assert figures[0]["value_mean"] == 0 and figures[0]["explained_variance"] == pytest.approx(0)
    assert figures[-1]["explained_variance"] > 0.8
    assert figures[-1]["value_loss"] < 0.2 * figures[0]["value_loss"]


def test_a_resumed_critic_goes_on_bit_by_bit(
    make_learner: MakeLearner, make_groups: MakeGroups, tmp_path: Path
) -> None:
    first, groups = make_learner(method="ppo"), make_groups()
    first.update(groups)
    state = Checkpoint(1, first.state_dict(), {}, PolicyRef("policy", 1, "digest"))
    save_checkpoint(tmp_path, state, keep=1)
    second, read = make_learner(method="ppo"), latest(tmp_path)
    assert read is not None
    second.load_state_dict(read.learner)
    mine, theirs = first.update(groups), second.update(groups)
    timing = {"seconds", "tokens_per_second"}
    assert {n: v for n, v in mine.items() if n not in timing} == {
        n: v for n, v in theirs.items() if n not in timing
    }
    one, other = first.state_dict().tensors, second.state_dict().tensors
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
