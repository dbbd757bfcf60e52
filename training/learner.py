"""The learner: groups in, one policy update out.

Owns the optimiser, the learning-rate schedule and the published versions' probes. Refuses models whose packed forward
pass differs from their ordinary one. Invariants: old logprobs are the sampler's; denominators come from the whole
optimiser step, so micro-batches change nothing but memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tooldojo.configs.schema import LearnerSection, ObjectiveSection
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.updates import PolicyUpdate, Probe, tensors_digest
from tooldojo.training.batch import Batch, Member, members_of, microbatches, trainable
from tooldojo.training.lora import effective_weights, prefers_merged
from tooldojo.training.objectives import ADVANTAGES, Loss, Tokens, policy_loss, token_weights
from tooldojo.training.packed_attention import Block, Layout, packed_states
from tooldojo.training.policy import Policy
from tooldojo.training.scoring import TokenScores, score_tokens


@dataclass(frozen=True, slots=True, eq=False)
class LearnerState:
    """Everything a learner needs to go on: tensors by name (`adapter/`, `reference/`, `optimiser/`, `rng`) and numbers.

    probe: logprobs of the last published version on the probe, or None before the first.
    """

    tensors: dict[str, Tensor]
    step: int
    probe: tuple[float, ...] | None


class Learner:
    """Updates a policy's adapter by policy gradients."""

    def __init__(
        self,
        policy: Policy,
        learner: LearnerSection,
        objective: ObjectiveSection,
        probe_ids: Sequence[int],
        temperature: float = 1.0,
    ) -> None:
        """probe_ids: the fixed sequence on which versions are told apart. temperature: the sampler's.

        Raises:
            ValueError: when the model cannot be trained in packed rows.
        """
        self.policy = policy
        self.section = learner
        self.objective = objective
        self.probe_ids = tuple(probe_ids)
        self.temperature = temperature
        self.step = 0
        self.published: tuple[float, ...] | None = None
        if learner.threads:
            torch.set_num_threads(learner.threads)
        self._merged = prefers_merged(policy.linears)
        self._optimiser = torch.optim.AdamW(
            policy.parameters().values(), lr=learner.learning_rate, weight_decay=learner.weight_decay
        )
        self._check_model()

    # --- update -----------------------------------------------------------------------------------------------------

    def update(self, groups: Sequence[Group]) -> dict[str, float]:
        """One or more optimiser steps on a batch of groups; returns metrics."""
        started = time.perf_counter()
        records = []
        for part in _parts(groups, self.section.minibatches):
            members = members_of(part, ADVANTAGES[self.objective.advantage])
            if any(member.length for member in members):
                records.append(self._optimise(members))
        if not records:
            raise ValueError("no trajectory of this batch trains: all failed or none sampled a token")
        return _metrics(groups, records, time.perf_counter() - started)
