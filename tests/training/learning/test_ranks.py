"""Several ranks update as one does, and a rank that fails is named."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import ray
import torch

from tooldojo.configs.loading import RecipeError, load_recipe
from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.rollouts.records import Group
from tooldojo.training.learning.batch import members_of, microbatches, packed_tokens
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.ranks import Ranks
from tooldojo.training.learning.team import Follower, LearnerLost, TeamLearner
from tooldojo.training.policy import Policy

PROBE = tuple(range(3, 27))
PPO = {"advantage": "gae", "credit": "turn"}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        address="local",
        num_cpus=1,
        object_store_memory=2**27,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture
def open_team(make_policy: Callable[..., Policy]) -> Iterator[Callable[..., TeamLearner]]:
    opened: list[TeamLearner] = []

    def make(policy: Policy | None = None, **keys: object) -> TeamLearner:
        policy = policy or make_policy()
        learner = LearnerSection.model_validate(
            {"autocast": "off", "threads": 1, "warmup_steps": 0, "ranks": 2}
            | {k: v for k, v in keys.items() if k in LearnerSection.model_fields}
        )
        objective = ObjectiveSection.model_validate(
            {k: v for k, v in keys.items() if k in ObjectiveSection.model_fields}
        )
        section = PolicySection(model=policy.card.base, lora_rank=4, lora_alpha=8)
        team = TeamLearner.open(policy, section, learner, objective, PROBE, 1.0)
        opened.append(team)
        return team

    yield make
    for team in opened:
        team.close()


def moved(learner: Learner, groups: Sequence[Group], updates: int = 2) -> dict[str, torch.Tensor]:
    before = {n: p.detach().clone() for n, p in learner.policy.parameters().items()}
    for _ in range(updates):
        learner.update(groups)
    return {n: p.detach() - before[n] for n, p in learner.policy.parameters().items()}


def norm_of(tensors: dict[str, torch.Tensor]) -> float:
    return float(torch.cat([t.flatten() for t in tensors.values()]).norm())


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"method": "grpo", "kl_coef": 0.05, "minibatches": 2, "proximal": "learner"},
        PPO,
        {"shard_base": True},
        {"shard_base": True, "tokens_per_microbatch": 40},
    ],
    ids=["one batch", "minibatches and reference", "critic", "sharded", "sharded, uneven"],
)
def test_two_ranks_update_as_one(
    make_learner: Callable[..., Learner],
    open_team: Callable[..., TeamLearner],
    make_groups: Callable[..., list[Group]],
    keys: dict[str, object],
) -> None:
    groups = make_groups(count=3)
    alone = make_learner(**{k: v for k, v in keys.items() if k != "shard_base"})
    team = open_team(**keys)
    first, second = alone.update(groups), team.update(groups)
    assert second.keys() == first.keys()
    for name in ("loss", "grad_norm", "entropy", "clip_fraction"):
        if name in first:
            assert second[name] == pytest.approx(first[name], rel=1e-5, abs=1e-6), name
    one, two = moved(alone, groups), moved(team, groups)
    differ = {name: one[name] - two[name] for name in one}
    assert norm_of(one) > 0
    assert norm_of(differ) / norm_of(one) < 1e-3  # Adam divides by small numbers


@pytest.mark.parametrize(("count", "ranks"), [(1, 2), (3, 2), (5, 3), (4, 4)])
def test_every_batch_has_one_rank(
    make_groups: Callable[..., list[Group]], count: int, ranks: int
) -> None:
    members = members_of(make_groups(count=count))
    tokens = Ranks(0, ranks).tokens(packed_tokens(members), 10**6)
    batches = list(microbatches(members, torch.ones(len(members)), tokens))
    assert len(batches) >= ranks
    dealt = [list(Ranks(i, ranks, in_step=True).shares(batches)) for i in range(ranks)]
    assert len({len(hand) for hand in dealt}) == 1  # collectives stay in step
    counted = sorted(share.index for hand in dealt for share in hand if share.counts)
    assert counted == list(range(len(batches)))


def test_a_resumed_team_goes_on_as_one_learner_does(
    make_learner: Callable[..., Learner],
    open_team: Callable[..., TeamLearner],
    make_groups: Callable[..., list[Group]],
) -> None:
    groups = make_groups(count=3)
    team, alone = open_team(), make_learner()
    team.update(groups)
    alone.load_state_dict(team.state_dict())
    expected, found = alone.update(groups), team.update(groups)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5, abs=1e-7)
    team.load_state_dict(alone.state_dict())
    assert team.update(groups)["loss"] == pytest.approx(alone.update(groups)["loss"], rel=1e-5)


def test_a_killed_rank_is_named(
    open_team: Callable[..., TeamLearner], make_groups: Callable[..., list[Group]]
) -> None:
    team = open_team()
    (pid,) = ray.get([team.followers[0].__ray_call__.remote(lambda self: os.getpid())])
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(LearnerLost, match=r"^learner rank 1 failed: .*resume from the last"):
        team.update(make_groups())


def test_a_rank_without_the_same_base_is_named(
    open_team: Callable[..., TeamLearner], make_policy: Callable[..., Policy]
) -> None:
    policy = make_policy()
    policy.card = replace(policy.card, base_digest="another")
    with pytest.raises(LearnerLost, match=r"^learner rank 1 failed: .*other weights"):
        open_team(policy)


def test_a_rank_that_holds_something_else_is_noticed(
    open_team: Callable[..., TeamLearner], make_groups: Callable[..., list[Group]]
) -> None:
    team = open_team()

    def nudge(follower: Follower) -> None:
        for parameter in follower.learner.policy.parameters().values():
            parameter.data += 0.1

    ray.get(team.followers[0].__ray_call__.remote(nudge))
    with pytest.raises(LearnerLost, match=r"^learner rank 1 holds other factors than rank 0"):
        team.update(make_groups())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["learner.shard_base=true"], r"learner.shard_base needs learner.ranks of 2 or more"),
        (
            ["learner.shard_base=true", "learner.ranks=2", "rollout.transport=merged"],
            r"needs rollout.transport = adapter, not merged",
        ),
        (["rollout.eta=2"], r"rollout.eta = 2 .* set objective.proximal=learner"),
    ],
)
def test_keys_that_do_not_go_together(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(None, overrides)
