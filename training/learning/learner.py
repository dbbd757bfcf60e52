"""The learner: groups in, one policy update out.

Owns the optimiser, the learning-rate schedule, the critic where there is one, and the probes of
published versions. Refuses models whose packed forward pass differs from their ordinary one.
Invariants: what a whole batch decides (advantages, values, proximal and reference logprobs) is
known before its first optimiser step; denominators come from the whole optimiser step, so
micro-batches change nothing but memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tooldojo.configs.schema import LearnerSection, ObjectiveSection
from tooldojo.rollouts.records import Group, PolicyRef
from tooldojo.rollouts.updates import PolicyUpdate, Probe, tensors_digest
from tooldojo.training.learning.advantages import GROUP_RELATIVE, with_advantages
from tooldojo.training.learning.batch import (
    Batch,
    Column,
    Member,
    filled,
    members_of,
    microbatches,
    minibatches,
    packed_tokens,
    trainable,
)
from tooldojo.training.learning.critic import Critic, CriticRecord, value_loss
from tooldojo.training.learning.lora import effective_weights, prefers_merged
from tooldojo.training.learning.moments import LearnerState, load_moments, moments
from tooldojo.training.learning.noise import GradientNoise, middle, noise_between
from tooldojo.training.learning.objectives import Tokens, policy_loss, token_weights
from tooldojo.training.learning.packed_attention import packed_states
from tooldojo.training.learning.ranks import Ranks
from tooldojo.training.learning.scoring import TokenScores, score_tokens
from tooldojo.training.learning.self_check import (
    packed_logprobs,
    plain_logprobs,
    require_same,
    whole_sequence,
)
from tooldojo.training.learning.update_metrics import (
    StepRecord,
    TokenRecord,
    token_record,
    update_metrics,
)
from tooldojo.training.policy import Policy, as_numpy
from tooldojo.training.precision import autocasts
from tooldojo.training.runs.runtime import tune_process

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StepGradients:
    """What there is to say of the gradients of one optimiser step. records: of its micro-batches;
    their losses sum to the step's. noise: None where one group makes the whole step."""

    records: list[TokenRecord]
    noise: GradientNoise | None


class Learner:
    """Updates a policy's adapter by policy gradients. `step` counts optimiser steps."""

    def __init__(
        self,
        policy: Policy,
        learner: LearnerSection,
        objective: ObjectiveSection,
        probe_ids: Sequence[int],
        temperature: float = 1.0,
        ranks: Ranks | None = None,
    ) -> None:
        """probe_ids: the fixed sequence by which versions are told apart. temperature: the
        sampler's. ranks: this process among those that share the updates; alone by default.

        Raises:
            ValueError: when the model cannot be trained in packed rows.
        """
        self.policy = policy
        self.section = learner
        self.mixed = autocasts(learner.autocast, policy.device.type)
        self.objective = objective
        self.probe_ids = tuple(probe_ids)
        self.temperature = temperature
        self.step = 0
        self._probes: dict[int, tuple[float, ...]] = {}
        self.ranks = ranks or Ranks()
        self.merged = prefers_merged(policy.linears) and not self.ranks.in_step
        policy.model.eval()  # no dropout: the sampler has none
        self._parameters = policy.parameters()
        self.reference = {n: p.detach().clone() for n, p in self._parameters.items()}
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=learner.learning_rate, weight_decay=learner.weight_decay
        )
        by_critic = objective.advantage == "gae"
        self.critic = Critic(policy, learner.critic_learning_rate) if by_critic else None
        tune_process(learner.threads)
        self._check_packing()

    def update(self, groups: Sequence[Group]) -> dict[str, float]:
        """`minibatches` optimiser steps on a batch of groups; returns metrics (see
        `update_metrics`).

        Raises:
            ValueError: when no trajectory trains. FloatingPointError: when a gradient is not
            finite.
        """
        started = time.perf_counter()
        members = self.members(groups)
        steps = []
        for part in minibatches(len(groups), self.section.minibatches):
            here = [member for member in members if member.group in part]
            if any(member.length for member in here):
                steps.append(self._optimise(here))
        if not steps:
            raise ValueError("no trajectory of this batch trains: all failed or sampled nothing")
        return update_metrics(groups, steps, time.perf_counter() - started)

    def close(self) -> None:
        """Nothing to close here; see `TeamLearner`."""

    def teaching(self, groups: Sequence[Group]) -> tuple[Group, ...]:
        """The groups that this objective can learn from: equal rewards teach nothing relative to
        the group, but do to a critic or the whole batch."""
        relative = self.objective.advantage in GROUP_RELATIVE
        masked = self.objective.mask_truncated
        return tuple(
            group
            for group in groups
            if any(not (masked and each.ending.truncated) for each in trainable(group))
            and not (relative and group.dead)
        )

    def members(self, groups: Sequence[Group]) -> list[Member]:
        """The trajectories that train, with every column that the objective asks for."""
        return with_advantages(self._foreseen(members_of(groups)), self.objective)

    def gradients(self, members: Sequence[Member]) -> StepGradients:
        """The gradients of one optimiser step, of all ranks, into the factors' `.grad`."""
        start = middle(members)
        halves = [[m for m in members if start is None or m.group < start]]
        if start is not None:
            halves.append([m for m in members if m.group >= start])
        weight_B, records, parts, done = self._weight(members), [], [], 0
        for half in halves:
            here_B = weight_B[done : done + len(half)]
            done += len(half)
            self._optimiser.zero_grad()
            records += self._half_gradients(self._cut(half, here_B))
            held = self._parameters.values()
            parts.append([torch.zeros_like(p) if p.grad is None else p.grad for p in held])
        if start is None:
            return StepGradients(records, None)
        first, second = parts
        for parameter, one, two in zip(self._parameters.values(), first, second, strict=True):
            parameter.grad = one + two
        counts = [len({m.group for m in half if m.length}) for half in halves]
        return StepGradients(records, noise_between(first, second, (counts[0], counts[1])))

    def _half_gradients(self, batches: Sequence[Batch]) -> list[TokenRecord]:
        def work(batch: Batch) -> tuple[Tensor, TokenRecord]:
            scores = self._score(batch, self.temperature)
            loss = policy_loss(self._tokens(batch, scores), self.objective)
            return loss.total, token_record(batch, scores, loss)

        with self._weights() as hand_over:
            records = self._backward(batches, work)
            hand_over()
        self.ranks.sum_gradients(self._parameters.values())
        return self.ranks.joined(records, len(batches))

    def _backward(
        self, batches: Sequence[Batch], work: Callable[[Batch], tuple[Tensor, T]]
    ) -> dict[int, T]:
        """Differentiate the loss of each micro-batch that this rank has; what `work` says beside
        it, by index."""
        said = {}
        for share in self.ranks.shares(batches):
            loss, words = work(share.batch)
            (loss if share.counts else 0.0 * loss).backward()
            if share.counts:
                said[share.index] = words
        return said

    def _weight(self, members: Sequence[Member]) -> Tensor:
        """What each trajectory's tokens are multiplied with, [B], from the whole step."""
        lengths_B = torch.tensor([m.length for m in members], device=self.policy.device)
        return token_weights(lengths_B, self.objective)

    def _cut(self, members: Sequence[Member], weight_B: Tensor) -> list[Batch]:
        tokens = self.ranks.tokens(packed_tokens(members), self.section.tokens_per_microbatch)
        return list(microbatches(members, weight_B, tokens))

    def _batches(self, members: Sequence[Member]) -> list[Batch]:
        return self._cut(members, self._weight(members))

    @torch.no_grad()
    def _foreseen(self, members: list[Member]) -> list[Member]:
        """Columns that the policies and the critic give before the first optimiser step. One step
        alone starts at the proximal policy, so its own logprobs serve."""
        section = self.objective
        decoupled = section.proximal == "learner" and self.section.minibatches > 1
        if not (decoupled or section.kl_coef or self.critic):
            return members
        batches = self._batches(members)
        if decoupled:
            members = filled(members, batches, Column.PROXIMAL, self._logprobs(batches))
        if section.kl_coef:
            with self.policy.holding(self.reference):
                members = filled(members, batches, Column.REFERENCE, self._logprobs(batches))
        if (critic := self.critic) is not None:
            with critic.in_place(), self._weights():
                values = self._each(batches, lambda b: critic.values(self._states(b)))
            members = filled(members, batches, Column.VALUE, values)
        return members

    def _logprobs(self, batches: Sequence[Batch]) -> list[Tensor]:
        with self._weights():
            return self._each(batches, lambda b: self._score(b, self.temperature).logprob_N)

    def _each(self, batches: Sequence[Batch], work: Callable[[Batch], Tensor]) -> list[Tensor]:
        """`work` of every micro-batch, on the CPU, computed by the rank that has it."""
        done = {s.index: work(s.batch).cpu() for s in self.ranks.shares(batches)}
        return self.ranks.joined(done, len(batches))

    def _improve(self, critic: Critic, members: Sequence[Member]) -> CriticRecord:
        """One optimiser step of the critic on the members' returns."""
        asked = sum(int(np.isfinite(m.columns[Column.RETURN]).sum()) for m in members)

        def work(batch: Batch) -> tuple[Tensor, float]:
            return_N = batch.columns[Column.RETURN]
            here = torch.isfinite(return_N)
            value_N = critic.values(self._states(batch))[here]
            before_N, clip = batch.columns[Column.VALUE][here], self.objective.value_clip
            loss = value_loss(value_N, before_N, return_N[here], clip).sum() / asked
            return loss, float(loss.detach())

        batches = self._batches(members)
        with critic.in_place(), self._weights() as hand_over:
            losses = self._backward(batches, work)
            hand_over()
        self.ranks.sum_gradients(critic.parameters.values())
        total = sum(self.ranks.joined(losses, len(batches)))
        return critic.step(total, self.section.max_grad_norm)

    def _optimise(self, members: Sequence[Member]) -> StepRecord:
        warmup = self.section.warmup_steps
        rate = self.section.learning_rate * min(1.0, (self.step + 1) / warmup if warmup else 1.0)
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = rate
        gradients = self.gradients(members)
        records = gradients.records
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self.section.max_grad_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(
                f"the gradient at optimiser step {self.step} is not finite; nothing was updated"
            )
        critic = None if self.critic is None else self._improve(self.critic, members)
        self._optimiser.step()
        self.step += 1
        return StepRecord(
            members=tuple(members),
            batches=tuple(records),
            loss=float(sum(record.loss for record in records)),
            policy_loss=float(sum(record.policy_loss for record in records)),
            kl_loss=float(sum(record.kl_loss for record in records)) * self.objective.kl_coef,
            critic=critic,
            grad_norm=float(norm),
            noise=gradients.noise,
            learning_rate=rate,
        )

    def _weights(self) -> AbstractContextManager[Callable[[], None]]:
        if not self.merged:
            return nullcontext(lambda: None)
        return effective_weights(self.policy.linears, self.policy.network)

    def _states(self, batch: Batch, exact: bool = False) -> Tensor:
        """Final hidden states before each target, [N, hidden]. exact: without autocast."""
        mixed = self.mixed and not exact
        with torch.autocast(batch.ids_T.device.type, torch.bfloat16, enabled=mixed):
            states_TH = packed_states(
                self.policy.network, batch.ids_T, batch.positions_T, batch.layout
            )
        return states_TH[batch.at_N]

    def _score(self, batch: Batch, temperature: float, exact: bool = False) -> TokenScores:
        mixed = self.mixed and not exact
        return score_tokens(
            self._states(batch, exact),
            self.policy.head_VH,
            batch.target_N,
            temperature,
            compute=torch.bfloat16 if mixed else None,
            through_entropy=self.objective.entropy_coef > 0,
        )

    def _tokens(self, batch: Batch, scores: TokenScores) -> Tokens:
        old_N = batch.old_N
        if self.objective.proximal == "learner":
            old_N = batch.columns.get(Column.PROXIMAL, scores.logprob_N.detach())
        in_loss = self.objective.kl != "reward"
        return Tokens(
            logprob_N=scores.logprob_N,
            old_N=old_N,
            advantage_N=batch.columns[Column.ADVANTAGE],
            trajectory_N=batch.trajectory_N,
            weight_N=batch.weight_N,
            sampler_N=batch.old_N,
            entropy_N=scores.entropy_N,
            reference_N=batch.columns.get(Column.REFERENCE) if in_loss else None,
        )

    @torch.no_grad()
    def logprobs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Logprobs of ids[1:] of each sequence under the current policy: float32, temperature 1, no
        autocast."""
        found = []
        with self._weights():
            for ids in sequences:
                batch = whole_sequence(ids, self.policy.device)
                found.append(self._score(batch, 1.0, exact=True).logprob_N.cpu().numpy())
        return found

    def export(
        self, version: int, merged: torch.dtype | None = None, name: str = "policy"
    ) -> PolicyUpdate:
        """The current policy as version `version`, with the probe that proves its delivery.

        merged: the engine's dtype for the merged transport; None for the adapter transport.
        """
        now = tuple(self.logprobs([self.probe_ids])[0].tolist())
        older = [v for v in self._probes if v < version]
        before = self._probes[max(older)] if older else None
        self._probes = {v: self._probes[v] for v in sorted(older)[-1:]} | {version: now}
        tensors = None if merged is None else self.policy.merged_tensors(merged)
        return PolicyUpdate(
            ref=PolicyRef(name, version, self.policy.adapter_digest()),
            adapter=self.policy.adapter_bytes(),
            adapter_config=self.policy.adapter_config(),
            merged=None if tensors is None else save(tensors),
            merged_digest=None if tensors is None else tensors_digest(as_numpy(tensors)),
            probe=Probe(self.probe_ids, now, before),
        )

    def state_dict(self) -> LearnerState:
        """A copy of everything that the next update depends on."""
        tensors = {f"adapter/{n}": t for n, t in self.policy.adapter_tensors().items()}
        tensors |= {f"reference/{n}": t.cpu().clone() for n, t in self.reference.items()}
        tensors |= moments("optimiser", self._parameters, self._optimiser)
        if self.critic is not None:
            tensors |= self.critic.state_dict()
        tensors["rng"] = torch.get_rng_state()
        return LearnerState(tensors, self.step, dict(self._probes))

    def load_state_dict(self, state: LearnerState) -> None:
        """Go on from a `state_dict`; the policy must be of the same shape."""
        tensors, device = state.tensors, self.policy.device
        self.policy.load_adapter_tensors(
            {n.removeprefix("adapter/"): t for n, t in tensors.items() if n.startswith("adapter/")}
        )
        # Copies, not views of the file: kernels may choose their way by how memory is aligned.
        self.reference = {
            n: tensors[f"reference/{n}"].to(device, copy=True) for n in self._parameters
        }
        load_moments("optimiser", self._parameters, self._optimiser, tensors)
        if self.critic is not None:
            self.critic.load_state_dict(tensors)
        torch.set_rng_state(tensors["rng"])
        self.step = state.step
        self._probes = dict(state.probes)

    @torch.no_grad()
    def _check_packing(self) -> None:
        """The packed pass (prompt shared by two members) must say what the model's ordinary pass
        says."""
        if len(self.probe_ids) < 4:
            raise ValueError(f"the probe needs at least 4 token ids, got {len(self.probe_ids)}")
        ids_T = torch.tensor(self.probe_ids, device=self.policy.device)
        plain_N = plain_logprobs(self.policy, ids_T)
        with self._weights():
            packed_N, dtype = packed_logprobs(self.policy, ids_T)
        require_same(plain_N, packed_N, dtype, type(self.policy.network).__name__)
