"""Whether a model's packed forward pass says what its ordinary one says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tooldojo.training.learning.batch import Batch
from tooldojo.training.learning.packed_attention import Block, Layout, packed_states
from tooldojo.training.learning.scoring import score_tokens
from tooldojo.training.policy import Policy

LARGEST_DIFFERENCE = {torch.float32: 1e-2, torch.bfloat16: 0.3}  # of a logprob, in nats


@torch.no_grad()
def plain_logprobs(policy: Policy, ids_T: Tensor) -> Tensor:
    """Logprobs of ids_T[1:] by the model's own forward pass, [T - 1]."""
    logits_TV = policy.network(ids_T[None]).logits[0, :-1].float()
    return logits_TV.log_softmax(-1).gather(1, ids_T[1:, None])[:, 0]


@torch.no_grad()
def packed_logprobs(policy: Policy, ids_T: Tensor) -> tuple[Tensor, torch.dtype]:
    """The same in a packed row whose first half is a prompt that two members share; read from the
    second member. And the precision of the states."""
    half = len(ids_T) // 2
    tail = len(ids_T) - 1 - half
    twice = torch.cat([ids_T[:-1], ids_T[half:-1]])
    places = torch.arange(len(twice), device=ids_T.device)
    positions = torch.where(places < half + tail, places, places - tail)
    layout = Layout((Block(half, (tail, tail)),))
    states = packed_states(policy.network, twice, positions, layout)
    second = torch.cat([states[:half], states[half + tail :]])
    return score_tokens(second, policy.head_VH, ids_T[1:]).logprob_N, states.dtype


def require_same(plain_N: Tensor, packed_N: Tensor, dtype: torch.dtype, model: str) -> None:
    """
    Raises:
        ValueError: when the two differ by more than rounding.
    """
    worst = float((packed_N - plain_N).abs().max())
    if not worst <= LARGEST_DIFFERENCE[dtype]:
        raise ValueError(
            f"{model} cannot be trained in packed rows: logprobs differ by {worst:.3g} nats"
        )


def whole_sequence(ids: Sequence[int], device: torch.device) -> Batch:
    """One sequence as a batch in which every id but the first is a target."""
    row = torch.tensor(ids, device=device)
    count = len(ids) - 1
    places = torch.arange(count, device=device)
    nothing = torch.zeros(count, device=device)
    return Batch(
        ids_T=row[:-1],
        positions_T=places,
        sequence_T=nothing.long(),
        layout=Layout((Block(0, (count,)),)),
        at_N=places,
        target_N=row[1:],
        old_N=nothing,
        trajectory_N=nothing.long(),
        place_N=places,
        weight_N=nothing,
        columns={},
    )
