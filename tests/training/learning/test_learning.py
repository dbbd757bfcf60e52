"""Does it learn? A bandit: continuations that start in the right half of the vocabulary are
rewarded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tooldojo.rollouts.records import Group, Trajectory
from tooldojo.training.learning.learner import Learner
from tooldojo.verifiers.records import Reward

GOOD = 40  # ids below are rewarded
PROMPT = [5, 9, 12, 7]


@torch.no_grad()
def distribution(learner: Learner) -> np.ndarray:
    logits = learner.policy.model(input_ids=torch.tensor([PROMPT])).logits[0, -1]
    return logits.double().softmax(-1).numpy()


METHODS = (
    *("gspo", "cispo", "sapo", "vespo", "rloo", "reinforce_pp", "w_reinforce"),
    *("turn_grpo", "toolpo", "ppo", "turn_ppo"),
)


@pytest.mark.parametrize(
    "keys",
    [
        *(
            {"advantage": a, "autocast": c}
            for a in ("grpo", "dr_grpo")
            for c in ("off", "bfloat16")
        ),
        *({"method": method} for method in METHODS),
    ],
    ids=lambda keys: " ".join(keys.values()),
)
def test_the_rewarded_choice_becomes_likely(
    keys: dict[str, str],
    make_learner: Callable[..., Learner],
    make_groups: Callable[..., list[Group]],
    make_trajectory: Callable[..., Trajectory],
) -> None:
    learner = make_learner(learning_rate=1e-2, **keys)
    rng, task = np.random.default_rng(0), make_groups(1)[0].task
    p = distribution(learner)
    start = p[:GOOD].sum()
    assert start < 0.5
    for _ in range(20):
        members = []
        for member, choice in enumerate(rng.choice(len(p), size=16, p=p)):
            shape = make_trajectory(PROMPT, [(1, True)], 0.0, member, rng)
            ids, old = shape.segments[0].ids_T.copy(), shape.segments[0].logprobs_T.copy()
            ids[-1], old[-1] = choice, np.log(p[choice])
            value = float(choice < GOOD)
            reward = Reward(value, (value,), {"success": value})
            segment = replace(shape.segments[0], ids_T=ids, logprobs_T=old)
            members.append(replace(shape, segments=(segment,), reward=reward))
        learner.update([Group(0, task, tuple(members))])
        p = distribution(learner)
    assert p[:GOOD].sum() > 0.85
