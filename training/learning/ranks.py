"""Several processes that share every update: who computes what, and how the parts come together.

All ranks hold the same policy and see the same groups. Each takes its share of the micro-batches;
gradients are summed before the one optimiser step that all of them take. Owns the sharing out and
the collectives. Invariants: every rank asks for the same collectives in the same order; after an
update all ranks hold the same factors. With one rank nothing is communicated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed as dist
from torch import nn

from tooldojo.training.learning.batch import Batch

T = TypeVar("T")
BACKEND = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
WAIT = timedelta(minutes=10)  # for the slowest rank's share of an update


@dataclass(frozen=True, slots=True)
class Share:
    """A micro-batch to compute. index: within the step. counts: whether it enters the update;
    otherwise it is computed only because other ranks, whose base is sharded with ours, have one
    more."""

    index: int
    batch: Batch
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of a learner. in_step: every rank must compute equally many
    micro-batches, since each forward pass is a collective."""

    index: int = 0
    count: int = 1
    in_step: bool = False

    def tokens(self, total: int, most: int) -> int:
        """Tokens per micro-batch, at most `most`, so that every rank gets one."""
        return min(most, -(-total // self.count))

    def shares(self, batches: Sequence[Batch]) -> Iterator[Share]:
        """This rank's part of a step: the large ones first, dealt out in turn."""
        order = sorted(range(len(batches)), key=lambda i: (-batches[i].layout.tokens, i))
        for start in range(0, len(order), self.count):
            hand = order[start : start + self.count]
            if self.index < len(hand):
                # back and forth, so that nobody always gets the larger one
                place = self.index if start // self.count % 2 == 0 else len(hand) - 1 - self.index
                yield Share(hand[place], batches[hand[place]])
            elif self.in_step:
                yield Share(hand[0], batches[hand[0]], counts=False)

    def joined(self, parts: Mapping[int, T], count: int) -> list[T]:
        """All ranks' parts in order of their index."""
        found: dict[int, T] = dict(parts)
        if self.count > 1:
            lists: list[Any] = [None] * self.count
            dist.all_gather_object(lists, found)
            found = {index: part for one in lists for index, part in one.items()}
        return [found[index] for index in range(count)]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all ranks, in one message; one that a rank lacks counts as 0."""
        if self.count == 1:
            return
        held = list(parameters)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in held]
        flat = nn.utils.parameters_to_vector(grads)
        dist.all_reduce(flat)
        nn.utils.vector_to_parameters(flat, grads)
        for parameter, grad in zip(held, grads, strict=True):
            parameter.grad = grad


def join_ranks(index: int, count: int, address: str, device: str, in_step: bool) -> Ranks:
    """Meet the other ranks at `address` (`tcp://host:port`, where rank 0 listens)."""
    dist.init_process_group(
        BACKEND[device], init_method=address, rank=index, world_size=count, timeout=WAIT
    )
    return Ranks(index, count, in_step)


def leave_ranks() -> None:
    """Close this process's connections; a rank that waits for it fails at once."""
    if dist.is_initialized():
        dist.destroy_process_group()


def shard_base(network: nn.Module, factors: Iterable[nn.Parameter], device: str) -> None:
    """Spread the frozen weights of the decoder layers over the ranks (FSDP2); each is whole only
    while its layer computes. Factors, embeddings and output matrix stay whole on every rank.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (dist.get_world_size(),))
    own = set(factors)
    for layer in network.get_decoder().layers:  # type: ignore[operator, union-attr]
        fully_shard(layer, mesh=mesh, ignored_params=own)
    network.to(device)
