"""The learner's arithmetic: packing, sharing a prompt and micro-batches change nothing; masked
tokens do not count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from tooldojo.configs.schema import LearnerSection, ObjectiveSection
from tooldojo.rollouts.endings import ENDINGS
from tooldojo.rollouts.records import Group, Segment, Trajectory
from tooldojo.training.learning.batch import Column, Member, members_of
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.objectives import Tokens, policy_loss, token_weights
from tooldojo.training.policy import Policy
from tooldojo.verifiers.records import Reward, StopReason

ARCHITECTURES = ("qwen3", "qwen2", "llama")
AGGREGATIONS = ("token_mean", "sequence_mean", "constant")
MakeLearner = Callable[..., Learner]
MakeGroups = Callable[..., list[Group]]
Gradients = dict[str, torch.Tensor]


def measured(learner: Learner, groups: Sequence[Group]) -> tuple[float, Gradients]:
    """Loss and adapter gradients of one optimiser step, without taking it."""
    return of_members(learner, learner.members(groups))


def of_members(learner: Learner, members: Sequence[Member]) -> tuple[float, Gradients]:
    parameters = learner.policy.parameters()
    for parameter in parameters.values():
        parameter.grad = None
    total = sum(float(record.loss) for record in learner.gradients(members).records)
    return total, {n: p.grad.clone() for n, p in parameters.items() if p.grad is not None}


def padded(learner: Learner, groups: Sequence[Group]) -> tuple[float, Gradients]:
    """The same step by PEFT's and transformers' ordinary forward pass on right-padded rows, one per
    sequence."""
    policy, members = learner.policy, learner.members(groups)
    sequences = [s for m in members for s in m.sequences]
    ids = torch.zeros(len(sequences), max(len(s.ids_T) for s in sequences), dtype=torch.long)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence.ids_T)] = torch.from_numpy(sequence.ids_T)
    lengths = torch.tensor([len(s.ids_T) for s in sequences])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    logits = policy.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    logp = logits.log_softmax(-1)
    at = [(i, s.targets_N - 1) for i, s in enumerate(sequences)]
    chosen = torch.cat([logp[i, n].gather(1, ids[i, n + 1, None])[:, 0] for i, n in at])
    entropy = torch.cat([-(logp[i, n].exp() * logp[i, n]).sum(-1) for i, n in at])
    for parameter in policy.parameters().values():
        parameter.grad = None
    loss = policy_loss(tokens_of(members, chosen, entropy, learner.objective), learner.objective)
    loss.total.backward()
    return float(loss.total.detach()), {
        n: p.grad.clone() for n, p in policy.parameters().items() if p.grad is not None
    }


def tokens_of(
    members: Sequence[Member],
    chosen: torch.Tensor,
    entropy: torch.Tensor,
    objective: ObjectiveSection,
) -> Tokens:
    lengths = torch.tensor([m.length for m in members])
    trajectory = torch.repeat_interleave(torch.arange(len(members)), lengths)

    def joined(column: Column) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([m.columns[column] for m in members]))

    sampler = torch.from_numpy(np.concatenate([m.old_N for m in members]))
    return Tokens(
        chosen,
        chosen.detach() if objective.proximal == "learner" else sampler,
        joined(Column.ADVANTAGE),
        trajectory,
        token_weights(lengths, objective)[trajectory],
        sampler,
        entropy,
        joined(Column.REFERENCE) if objective.kl_coef and objective.kl != "reward" else None,
    )


def furthest(a: Gradients, b: Gradients) -> float:
    """Largest norm-relative difference."""
    assert a.keys() == b.keys()
    return max(float((a[n] - b[n]).norm() / b[n].norm()) for n in b)


METHODS: dict[str, dict[str, object]] = {
    "gspo": {"method": "gspo", "clip_low": 0.05, "clip_high": 0.1, "proximal": "sampler"},
    "cispo": {"method": "cispo"},
    "vespo": {"method": "vespo"},
    "rloo": {"method": "rloo", "proximal": "sampler"},
    "reinforce_pp": {"method": "reinforce_pp", "kl": "reward", "kl_coef": 0.1},
    "w_reinforce": {"method": "w_reinforce"},
    "turn_grpo": {"method": "turn_grpo", "discount": 0.9},
    "gigpo": {"method": "gigpo"},
    "toolpo": {"method": "toolpo"},
    "ppo": {"method": "ppo"},
    "turn_ppo": {"method": "turn_ppo", "entropy_coef": 0.01},
    "decoupled": {"proximal": "learner", "correction": "sequence_mask", "kl_coef": 0.1, "kl": "k2"},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_the_same_however_it_is_computed(
    method: str,
    make_learner: MakeLearner,
    make_groups: MakeGroups,
    make_trajectory: Callable[..., Trajectory],
) -> None:
    """Packed equals padded, micro-batches and failed trajectories change nothing, and what stands
    at masked tokens is not looked at, bit by bit."""
    learner, groups = make_learner(**METHODS[method]), make_groups()
    for linear in learner.policy.linears:
        linear.b.data.mul_(1.5)  # away from the reference
    loss, gradients = measured(learner, groups)
    other_loss, other = padded(learner, groups)
    assert loss == pytest.approx(other_loss, rel=1e-5, abs=1e-6)
    assert furthest(gradients, other) < 1e-5
    other_loss, other = measured(learner, [scribbled(group) for group in groups])
    assert loss == other_loss
    assert all(torch.equal(gradients[n], other[n]) for n in gradients)
    first, rng = groups[0].trajectories[0], np.random.default_rng(9)
    prompt = first.segments[0].ids_T[: first.prompt_tokens]
    failed = make_trajectory(prompt, [(9, True)], 1.0, 4, rng, stop=StopReason.ENGINE_LOST)
    more = replace(groups[0], trajectories=(*groups[0].trajectories, failed))
    other_loss, other = measured(learner, [more, *groups[1:]])
    assert loss == pytest.approx(other_loss, rel=1e-6, abs=1e-7)
    assert furthest(other, gradients) < 1e-6
    learner.section = learner.section.model_copy(update={"tokens_per_microbatch": 110})
    other_loss, other = measured(learner, [unshared(group) for group in groups])
    assert loss == pytest.approx(other_loss, rel=1e-5, abs=1e-6)
    assert furthest(other, gradients) < 1e-5


def test_proximal_logprobs_are_those_before_the_first_step(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    """The second minibatch's ratio is against the policy before the update, not before its own
    step; the correction says what the sampler had."""
    learner = make_learner(
        proximal="learner", correction="token_truncate", minibatches=2, learning_rate=1e-2
    )
    groups = make_groups(4)
    before = learner.members(groups)
    metrics = learner.update(groups)
    assert metrics["ratio_max"] > 1.01 > metrics["ratio_p01"]
    own = np.concatenate([m.columns[Column.PROXIMAL] - m.old_N for m in before])
    expected = np.minimum(np.exp(own), 2.0).mean()
    assert metrics["correction_mean"] == pytest.approx(float(expected), rel=1e-4)
    assert metrics["correction_bounded"] == pytest.approx(float((np.exp(own) > 2).mean()), abs=1e-6)


def unshared(group: Group) -> Group:
    """The same group as if its members had nothing in common."""
    return replace(
        group, trajectories=tuple(replace(t, prompt_tokens=0) for t in group.trajectories)
    )


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("merged", [True, False])
def test_packed_equals_padded(
    kind: str, merged: bool, make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    learner = make_learner(kind)
    assert learner.merged
    learner.merged = merged
    groups = make_groups()
    loss, gradients = measured(learner, groups)
    expected_loss, expected = padded(learner, groups)
    assert len(gradients) == 2 * len(learner.policy.linears) == 28
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-6)
    assert furthest(gradients, expected) < 1e-5


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shared_prompt_equals_unshared(
    kind: str, make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    learner, groups = make_learner(kind), make_groups()
    loss, gradients = measured(learner, groups)
    other_loss, other = measured(learner, [unshared(group) for group in groups])
    assert loss == pytest.approx(other_loss, rel=1e-5, abs=1e-6)
    assert furthest(gradients, other) < 1e-5


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("kl_coef", [0.0, 0.1])
def test_microbatches_change_nothing(
    aggregation: str, kl_coef: float, make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    groups, found = make_groups(), []
    for tokens in (10**6, 110, 1):  # all at once, about a group, a member at a time
        learner = make_learner(
            tokens_per_microbatch=tokens, aggregation=aggregation, kl_coef=kl_coef
        )
        for linear in learner.policy.linears:
            linear.b.data.mul_(1.5)  # away from the reference
        found.append(measured(learner, groups))
    for loss, gradients in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5, abs=1e-6)
        assert furthest(gradients, found[0][1]) < 1e-5


@pytest.mark.parametrize("kept", [0, 1 << 24], ids=["computed again", "kept"])
def test_long_attention_in_slabs(
    kept: int, make_learner: MakeLearner, make_groups: MakeGroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, groups = make_learner(), make_groups()
    _, whole = measured(learner, groups)
    monkeypatch.setattr("tooldojo.training.learning.packed_attention.CPU_SLAB", 400)
    monkeypatch.setattr("tooldojo.training.learning.packed_attention.KEPT", kept)
    _, slabs = measured(learner, groups)
    assert furthest(slabs, whole) < 1e-5


def test_on_policy_gradient_is_minus_advantage_times_score(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    """Where the old logprobs are the learner's own, ratios are 1, nothing is clipped and the loss
    is -sum w A."""
    learner = make_learner()
    groups = [on_policy(learner, group) for group in make_groups()]
    metrics = learner.update(groups)
    assert metrics["clip_fraction"] == 0
    assert metrics["mismatch_max"] < 1e-4
    assert metrics["ratio_p01"] == pytest.approx(1, abs=1e-4)
    members = learner.members(groups)
    expected = -sum(m.advantage * m.length for m in members) / sum(m.length for m in members)
    assert metrics["loss"] == pytest.approx(expected, abs=1e-5)


def on_policy(learner: Learner, group: Group) -> Group:
    trajectories = []
    for trajectory in group.trajectories:
        (segment,) = trajectory.segments
        own = np.concatenate([[np.nan], learner.logprobs([segment.ids_T.tolist()])[0]])
        old = np.where(segment.sampled_T, own, np.nan).astype(np.float32)
        trajectories.append(replace(trajectory, segments=(replace(segment, logprobs_T=old),)))
    return replace(group, trajectories=tuple(trajectories))


def test_masked_tokens_do_not_count(make_learner: MakeLearner, make_groups: MakeGroups) -> None:
    """The label (id after the last target), and the old logprob, of tokens that nobody sampled:
    bit-identical."""
    learner, groups = make_learner(), make_groups()
    loss, gradients = measured(learner, groups)
    other_loss, other = measured(learner, [scribbled(group) for group in groups])
    assert loss == other_loss
    assert all(torch.equal(gradients[n], other[n]) for n in gradients)


def scribbled(group: Group) -> Group:
    """Old logprobs of unsampled tokens changed, and ids of those that stand behind the last sampled
    one."""

    def change(segment: Segment) -> Segment:
        ids, old = segment.ids_T.copy(), segment.logprobs_T.copy()
        old[~segment.sampled_T] = -123.0
        ids[np.flatnonzero(segment.sampled_T)[-1] + 1 :] = 5
        return replace(segment, ids_T=ids, logprobs_T=old)

    changed = [replace(t, segments=tuple(map(change, t.segments))) for t in group.trajectories]
    return replace(group, trajectories=tuple(changed))


def test_what_is_masked_is_chosen_by_versions_alone(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    """Token by token: the labels of a packed row are the sampled ids in order, whatever stands
    between them."""
    groups = make_groups()
    members = members_of(groups)
    sampled = [t.segments[0].ids_T[t.segments[0].sampled_T] for g in groups for t in g.trajectories]
    labels = [m.sequences[0].ids_T[m.sequences[0].targets_N] for m in members]
    assert all(np.array_equal(a, b) for a, b in zip(sampled, labels, strict=True))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("advantage", ["grpo", "dr_grpo", "rloo"])
def test_failed_trajectories_change_nothing(
    aggregation: str,
    advantage: str,
    make_learner: MakeLearner,
    make_groups: MakeGroups,
    make_trajectory: Callable[..., Trajectory],
) -> None:
    learner = make_learner(aggregation=aggregation, advantage=advantage)
    groups, rng = make_groups(), np.random.default_rng(9)
    loss, gradients = measured(learner, groups)
    prompt = groups[0].trajectories[0].segments[0].ids_T[: groups[0].trajectories[0].prompt_tokens]
    failed = make_trajectory(prompt, [(9, True)], 1.0, 4, rng, stop=StopReason.ENGINE_LOST)
    crashed = replace(
        make_trajectory(prompt, [(9, True)], 1.0, 5, rng, stop=StopReason.ENV_CRASH), segments=()
    )
    more = replace(groups[0], trajectories=(crashed, *groups[0].trajectories, failed))
    other_loss, other = measured(learner, [more, *groups[1:]])
    assert loss == pytest.approx(other_loss, rel=1e-6)
    assert furthest(other, gradients) < 1e-6
    trained = sum(len(group.trajectories) for group in groups)
    assert learner.update([more, *groups[1:]])["trajectories"] == trained


def test_truncated_trajectories_train(
    make_learner: MakeLearner, make_trajectory: Callable[..., Trajectory], make_groups: MakeGroups
) -> None:
    group = make_groups(1)[0]
    prompt = group.trajectories[0].segments[0].ids_T[: group.trajectories[0].prompt_tokens]
    late = make_trajectory(
        prompt, [(9, True)], 0.0, 4, np.random.default_rng(1), stop=StopReason.MAX_TURNS
    )
    members = members_of([replace(group, trajectories=(*group.trajectories, late))])
    assert len(members) == 5
    assert members[-1].length == 9


def test_a_trajectory_of_several_segments_counts_once(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    """Cutting one trajectory into two segments keeps baselines and weights; both carry the same
    advantage."""
    learner, groups = make_learner(aggregation="sequence_mean"), make_groups()
    first, *others = groups[0].trajectories
    second = others[0].segments[0]
    cut = [replace(first, segments=(first.segments[0], second)), *others]
    folded = [replace(groups[0], trajectories=tuple(cut)), *groups[1:]]
    plain, members = (learner.members(g) for g in (groups, folded))
    assert [m.advantage for m in members] == pytest.approx([m.advantage for m in plain])
    assert len(members[0].sequences) == 2
    assert members[0].length == plain[0].length + others[0].sampled_tokens
    loss, gradients = measured(learner, folded)
    other_loss, other = measured(learner, [unshared(group) for group in folded])
    assert loss == pytest.approx(other_loss, rel=1e-5, abs=1e-6)
    assert furthest(gradients, other) < 1e-5


def test_a_segment_with_another_prompt_stands_alone(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    groups = make_groups(2)
    foreign = groups[1].trajectories[0].segments[0]
    first, *others = groups[0].trajectories
    mixed = replace(
        groups[0], trajectories=(replace(first, segments=(*first.segments, foreign)), *others)
    )
    members = members_of([mixed])
    assert [s.shared for s in members[0].sequences] == [first.prompt_tokens, 0]
    loss, gradients = measured(make_learner(), [mixed])
    other_loss, other = padded(make_learner(), [mixed])
    assert loss == pytest.approx(other_loss, rel=1e-5, abs=1e-6)
    assert furthest(gradients, other) < 1e-5


def test_a_sampled_token_without_a_logprob_is_a_bug(make_groups: MakeGroups) -> None:
    group = make_groups(1)[0]
    group.trajectories[2].segments[0].logprobs_T[:] = np.nan
    with pytest.raises(ValueError, match="member 2: a sampled token has no finite logprob"):
        members_of([group])


def test_a_batch_without_any_verdict_is_refused(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    dead = [replace(g, trajectories=()) for g in make_groups()]
    with pytest.raises(ValueError, match="no trajectory of this batch trains"):
        make_learner().update(dead)


def test_equal_rewards_teach_some_objectives(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    live, dead, failed = make_groups(3)
    equal = Reward(0.5, (), {})
    dead = replace(dead, trajectories=tuple(replace(t, reward=equal) for t in dead.trajectories))
    failed = replace(failed, trajectories=())
    groups = [live, dead, failed]
    assert make_learner().teaching(groups) == (live,)
    assert make_learner(method="reinforce_pp").teaching(groups) == (live, dead)
    late = replace(live.trajectories[0], ending=ENDINGS[StopReason.MAX_TURNS])
    cut = replace(dead, trajectories=(late, late))
    assert make_learner(method="psr").teaching([cut]) == (cut,)
    assert make_learner(method="psr", mask_truncated=True).teaching([cut]) == ()


def test_minibatches_are_optimiser_steps_with_a_warm_up(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    learner = make_learner(minibatches=2, warmup_steps=4, learning_rate=1e-3)
    rates = [learner.update(make_groups(4))["learning_rate"] for _ in range(3)]
    assert learner.step == 6
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3])


def test_figures_of_an_update(make_learner: MakeLearner, make_groups: MakeGroups) -> None:
    groups = make_groups()
    metrics = make_learner(kl_coef=0.1).update(groups)
    trajectories = [t for group in groups for t in group.trajectories]
    sampled = sum(t.sampled_tokens for t in trajectories)
    members = members_of(groups)
    shared = sum(group.trajectories[0].prompt_tokens for group in groups)
    assert metrics["trajectories"] == len(trajectories) == 12
    assert metrics["trainable_tokens"] == sampled
    assert metrics["packed_tokens"] == shared + sum(member.inputs for member in members)
    assert metrics["kl"] == pytest.approx(0, abs=1e-6)  # the first update starts at the reference
    assert metrics["ratio_p01"] < metrics["ratio_p50"] < metrics["ratio_p99"]
    assert metrics["ratio_p99"] <= metrics["ratio_max"]
    assert 0 < metrics["entropy"] < np.log(97)


def test_a_gradient_that_is_not_finite_updates_nothing(
    make_learner: MakeLearner, make_groups: MakeGroups
) -> None:
    learner = make_learner()
    before = learner.policy.adapter_digest()
    learner.policy.linears[0].base.get_parameter("weight").data[0, 0] = float("inf")
    with pytest.raises(FloatingPointError, match="optimiser step 0"):
        learner.update(make_groups())
    assert learner.policy.adapter_digest() == before
    assert learner.step == 0


def test_models_that_packing_would_change_are_refused(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy("llama")
    head = policy.network.get_submodule("lm_head")
    head.register_forward_hook(lambda module, args, out: 5 * torch.tanh(out / 5))
    with pytest.raises(ValueError, match="LlamaForCausalLM cannot be trained in packed rows"):
        Learner(policy, LearnerSection(threads=1), ObjectiveSection(), range(3, 27))
