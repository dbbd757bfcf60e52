"""From groups of trajectories to packed rows: `Member`, `Batch`, and how a step is cut into
micro-batches.

Invariants: exactly the sampled tokens of trajectories that train are targets; a group's prompt
stands once per row; there is no padding. Weights are fixed on the whole optimiser step before it is
cut. Shapes: _T tokens of a row, _N trainable tokens, _B trajectories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tooldojo.rollouts.records import Group, Segment, SpanKind, Trajectory
from tooldojo.training.learning.packed_attention import Block, Layout
from tooldojo.verifiers.records import Reward


class Column(StrEnum):
    """What may be known about each trainable token before the gradient is taken, float32.

    PROXIMAL and REFERENCE: logprobs under the policy before the update, and under the one that
    training started from. VALUE: the critic's before the update. RETURN: what the critic should
    have said, NaN where it is not asked.
    """

    ADVANTAGE = "advantage"
    PROXIMAL = "proximal"
    REFERENCE = "reference"
    VALUE = "value"
    RETURN = "return"


@dataclass(frozen=True, slots=True, eq=False)
class PackedSequence:
    """One segment as the learner sees it, cut after its last target.

    ids_T: int64. targets_N: indices of sampled tokens in ids_T. old_N: their logprobs. turn_N:
    their assistant turn, counted over the trajectory. call_N: whether they are part of a tool call.
    shared: how many leading ids the group has in common (0 where the segment shares nothing).
    """

    ids_T: np.ndarray
    targets_N: np.ndarray
    old_N: np.ndarray
    turn_N: np.ndarray
    call_N: np.ndarray
    shared: int

    @property
    def inputs(self) -> int:
        """Tokens to compute beyond the shared ones (the last target is never an input)."""
        return len(self.ids_T) - 1 - self.shared


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One trajectory that trains; it counts once wherever means are taken, however many sequences
    it has.

    states: the hash before each turn; equal ones mean equal calls and results so far. columns:
    values of its trainable tokens, in order, [N] each.
    """

    group: int
    sequences: tuple[PackedSequence, ...]
    reward: Reward
    truncated: bool = False
    states: tuple[str, ...] = ()
    columns: Mapping[Column, np.ndarray] = field(default_factory=dict)

    @property
    def old_N(self) -> np.ndarray:
        """The sampler's logprobs."""
        return _joined([s.old_N for s in self.sequences], np.float32)

    @property
    def turn_N(self) -> np.ndarray:
        """Assistant turns."""
        return _joined([s.turn_N for s in self.sequences], np.int64)

    @property
    def call_N(self) -> np.ndarray:
        """Whether tokens are part of a tool call."""
        return _joined([s.call_N for s in self.sequences], np.bool_)

    def having(self, column: Column, value_N: np.ndarray) -> Member:
        """The same with a column set."""
        return replace(self, columns={**self.columns, column: value_N.astype(np.float32)})

    @property
    def advantage(self) -> float:
        """Mean over the trainable tokens."""
        value_N = self.columns[Column.ADVANTAGE]
        return float(value_N.mean()) if len(value_N) else 0.0

    @property
    def length(self) -> int:
        """Trainable tokens."""
        return sum(len(sequence.targets_N) for sequence in self.sequences)

    @property
    def inputs(self) -> int:
        """Tokens to compute besides the group's prompt."""
        return sum(sequence.inputs for sequence in self.sequences)

    @property
    def prompt(self) -> int:
        """Length of the group's prompt, to be computed once."""
        return max((sequence.shared for sequence in self.sequences), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One packed row.

    ids_T, positions_T: int64; positions restart after the shared prompt for each sequence.
    sequence_T: index of the sequence, -1 on shared prompts. at_N: where in the row a target is
    predicted (the token before it). target_N: the sampled ids. old_N: the sampler's logprobs.
    trajectory_N: index within the optimiser step; place_N: of the token within its trajectory.
    weight_N: what a token's term is multiplied with before summing. columns: [N] each, those that
    all members have.
    """

    ids_T: Tensor
    positions_T: Tensor
    sequence_T: Tensor
    layout: Layout
    at_N: Tensor
    target_N: Tensor
    old_N: Tensor
    trajectory_N: Tensor
    place_N: Tensor
    weight_N: Tensor
    columns: Mapping[Column, Tensor]


def trainable(group: Group) -> tuple[Trajectory, ...]:
    """The members that enter loss and statistics: those whose ending trains and that have a
    reward."""
    return tuple(t for t in group.trajectories if t.ending.trains and t.reward is not None)


def members_of(groups: Iterable[Group]) -> list[Member]:
    """The trajectories of `groups` that train, group by group; they have no columns yet."""
    members = []
    for index, group in enumerate(groups):
        kept = trainable(group)
        for each in kept:
            assert each.reward is not None
            sequences = _sequences(each, kept[0])
            members.append(
                Member(index, sequences, each.reward, each.ending.truncated, each.hashes)
            )
    return members


def filled(
    members: Sequence[Member], batches: Iterable[Batch], column: Column, values: Iterable[Tensor]
) -> list[Member]:
    """The members with a column whose values were computed batch by batch, [N] each."""
    found = [np.zeros(member.length, np.float32) for member in members]
    for batch, value_N in zip(batches, values, strict=True):
        trajectory_N, place_N = batch.trajectory_N.cpu().numpy(), batch.place_N.cpu().numpy()
        value = value_N.detach().float().cpu().numpy()
        for trajectory in np.unique(trajectory_N):
            here = trajectory_N == trajectory
            found[trajectory][place_N[here]] = value[here]
    return [m.having(column, value_N) for m, value_N in zip(members, found, strict=True)]


def _sequences(trajectory: Trajectory, first: Trajectory) -> tuple[PackedSequence, ...]:
    """All segments with targets. A segment shares the group's prompt when it starts with the same
    ids."""
    prompt = first.segments[0].ids_T[: first.prompt_tokens]
    found = []
    for segment in trajectory.segments:
        shared = len(prompt) if np.array_equal(segment.ids_T[: len(prompt)], prompt) else 0
        if segment.sampled_T.any():
            found.append(_sequence(segment, shared, trajectory))
    return tuple(found)


def _sequence(segment: Segment, shared: int, trajectory: Trajectory) -> PackedSequence:
    targets_N = np.flatnonzero(segment.sampled_T)
    old_N = segment.logprobs_T[targets_N].astype(np.float32)
    where = f"task {trajectory.task_id}, member {trajectory.member}"
    if targets_N[0] < max(shared, 1):
        raise ValueError(
            f"{where}: token {targets_N[0]} is sampled but within the prompt of {shared} tokens"
        )
    if not np.isfinite(old_N).all():
        raise ValueError(
            f"{where}: a sampled token has no finite logprob, so it cannot train; the engine "
            f"{trajectory.engine.engine!r} ({trajectory.engine.kind}) reported none. What an "
            "endpoint played is for evaluation only"
        )
    ids_T = segment.ids_T[: targets_N[-1] + 1].astype(np.int64)
    turn_N = np.zeros(len(targets_N), np.int64)
    for turn in segment.turns:
        turn_N[(targets_N >= turn.start) & (targets_N < turn.end)] = turn.index
    call_N = segment.kinds_T[targets_N] == SpanKind.CALL
    return PackedSequence(ids_T, targets_N, old_N, turn_N, call_N, shared)


def minibatches(groups: int, count: int) -> list[range]:
    """Indices of groups in order, cut into at most `count` parts of nearly equal size."""
    bounds = [round(i * groups / count) for i in range(count + 1)]
    return [range(a, b) for a, b in pairwise(bounds) if a < b]


def microbatches(members: Sequence[Member], weight_B: Tensor, tokens: int) -> Iterator[Batch]:
    """Cut a step into rows of about `tokens` tokens: whole groups, or parts of a group that is
    larger than that.

    weight_B: per trajectory, fixed on all of `members`. A trajectory is never cut.
    """
    for part in _cut(members, tokens):
        yield pack([members[i] for i in part], part, weight_B)


def packed_tokens(members: Sequence[Member]) -> int:
    """Tokens to compute for all of `members`, each group's prompt once."""
    prompts: dict[int, int] = {}
    for member in members:
        prompts[member.group] = max(prompts.get(member.group, 0), member.prompt)
    return sum(prompts.values()) + sum(member.inputs for member in members)


def _cut(members: Sequence[Member], tokens: int) -> Iterator[list[int]]:
    groups: dict[int, list[int]] = {}
    for i, member in enumerate(members):
        if member.sequences:
            groups.setdefault(member.group, []).append(i)
    row: list[int] = []
    used = 0
    for indices in groups.values():
        prompt = max(members[i].prompt for i in indices)
        whole = prompt + sum(members[i].inputs for i in indices)
        if row and used + whole > tokens:
            yield row
            row, used = [], 0
        used += prompt
        for i in indices:
            if row and used + members[i].inputs > tokens:
                yield row
                row, used = [], prompt
            row.append(i)
            used += members[i].inputs
    if row:
        yield row


def pack(members: Sequence[Member], trajectories: Sequence[int], weight_B: Tensor) -> Batch:
    """One row of whole trajectories. trajectories: their indices within the step, which `weight_B`
    is about."""
    row = _Row()
    for group in dict.fromkeys(member.group for member in members):
        here = [(m, t) for m, t in zip(members, trajectories, strict=True) if m.group == group]
        parts = [part for m, t in here for part in _parts(m, t)]
        sharing = [part for part in parts if part.sequence.shared]
        for block in [sharing, *([part] for part in parts if not part.sequence.shared)]:
            if block:
                row.add(block)
    return row.batch(weight_B)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One sequence of a trajectory; its tokens are [start, start + n) of the trajectory's."""

    sequence: PackedSequence
    member: Member
    trajectory: int
    start: int


def _parts(member: Member, trajectory: int) -> Iterator[_Part]:
    start = 0
    for sequence in member.sequences:
        yield _Part(sequence, member, trajectory, start)
        start += len(sequence.targets_N)


def _joined(parts: Sequence[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.zeros(0, dtype)


class _Row:
    """A row under construction; lists of arrays, joined once."""

    def __init__(self) -> None:
        self.ids: list[np.ndarray] = []
        self.positions: list[np.ndarray] = []
        self.sequence: list[np.ndarray] = []
        self.at: list[np.ndarray] = []
        self.target: list[np.ndarray] = []
        self.old: list[np.ndarray] = []
        self.trajectory: list[np.ndarray] = []
        self.place: list[np.ndarray] = []
        self.columns: dict[Column, list[np.ndarray]] = {}
        self.blocks: list[Block] = []
        self.used = 0
        self.sequences = 0

    def add(self, block: list[_Part]) -> None:
        """Sequences with the same shared tokens."""
        shared = block[0].sequence.shared
        prompt_at = self.used
        self._tokens(block[0].sequence.ids_T[:shared], 0, -1)
        for part in block:
            sequence, start = part.sequence, self.used
            before = sequence.targets_N - 1
            self.at.append(before + np.where(before < shared, prompt_at, start - shared))
            self._tokens(sequence.ids_T[shared:-1], shared, self.sequences)
            self.target.append(sequence.ids_T[sequence.targets_N])
            self.old.append(sequence.old_N)
            count = len(sequence.targets_N)
            self.trajectory.append(np.full(count, part.trajectory, dtype=np.int64))
            self.place.append(np.arange(part.start, part.start + count, dtype=np.int64))
            for column, value_N in part.member.columns.items():
                own = value_N[part.start : part.start + count]
                self.columns.setdefault(column, []).append(own)
            self.sequences += 1
        self.blocks.append(Block(shared, tuple(part.sequence.inputs for part in block)))

    def _tokens(self, ids: np.ndarray, position: int, sequence: int) -> None:
        self.ids.append(ids)
        self.positions.append(np.arange(position, position + len(ids), dtype=np.int64))
        self.sequence.append(np.full(len(ids), sequence, dtype=np.int64))
        self.used += len(ids)

    def batch(self, weight_B: Tensor) -> Batch:
        """The finished row, on the weights' device."""

        def joined(parts: list[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.concatenate(parts)).to(weight_B.device)

        trajectory_N = joined(self.trajectory)
        return Batch(
            ids_T=joined(self.ids),
            positions_T=joined(self.positions),
            sequence_T=joined(self.sequence),
            layout=Layout(tuple(self.blocks)),
            at_N=joined(self.at),
            target_N=joined(self.target),
            old_N=joined(self.old),
            trajectory_N=trajectory_N,
            place_N=joined(self.place),
            weight_N=weight_B[trajectory_N],
            columns={column: joined(parts) for column, parts in self.columns.items()},
        )
