"""A start near recall: the first two layers begin as a rough induction circuit.

Owns: the initial values that let copying appear within seconds of training instead of many minutes.
Refuses: anything beyond a start; every value is trained afterwards like the others.
Idea: layer 0 writes down the identities of the one and two tokens before; layer 1 looks for
places whose predecessors
are the current token and its predecessor, and copies what stands there ("induction heads", Olsson
et al. 2022;
mimetic initialisation, Trockman & Kolter 2023). Positions are told apart by the fast rotary
pairs, contents are
compared on the slow ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tooldojo.training.base.model import Layer, Network

FAST_PAIRS = 3
SLOW_FROM = 0.4  # share of the rotary pairs that are too fast to compare contents far apart
GAIN_BACK = 0.13
GAIN_COPY = 0.9


@torch.no_grad()
def start_near_recall(network: Network) -> None:
    """Set embeddings and the first two layers; needs heads == kv_heads, heads even, heads *
    head_dim == hidden.
    """
    shape = network.shape
    network.embed[:, 0] = 0.3
    for layer in network.blocks:
        layer.down.mul_(0.3)
        layer.out.mul_(0.3)
    half = shape.hidden // 2
    read = nn.init.orthogonal_(torch.empty(half, shape.hidden))
    read[:, 0] = 0.0
    write = nn.init.orthogonal_(torch.empty(shape.hidden, shape.hidden))
    back = [write[:, :half], write[:, half:]]
    _look_back(network.blocks[0], read, back, shape.rope_theta)
    _find_and_copy(network.blocks[1], read, back)


def _look_back(layer: Layer, read_PD: Tensor, back_DP: list[Tensor], theta: float) -> None:
    """Half of the heads attend one token back, half two (constant query, key rotated by the
    distance).
    """
    s, pairs = layer.shape, layer.shape.head_dim // 2
    q, k, v = layer.qkv.view(3, s.heads, s.head_dim, s.hidden)
    q.mul_(0.1)
    k.mul_(0.1)
    step = theta ** (-torch.arange(FAST_PAIRS) / pairs)
    per = s.heads // 2
    for head in range(s.heads):
        angle = step * (1 + head // per)
        q[head, :FAST_PAIRS, 0] += 4.0
        k[head, :FAST_PAIRS, 0] += 4.0 * angle.cos()
        k[head, pairs : pairs + FAST_PAIRS, 0] += 4.0 * angle.sin()
    layer.norm_q.fill_(2.5)
    layer.norm_k.fill_(2.5)
    v.copy_(read_PD.repeat(2, 1).view_as(v))
    layer.out.copy_(GAIN_BACK * torch.cat(back_DP, 1))


def _find_and_copy(layer: Layer, read_PD: Tensor, back_DP: list[Tensor]) -> None:
    """Queries hold the current token and the one before, keys the one and the two before; values
    are copied.
    """
    s, pairs = layer.shape, layer.shape.head_dim // 2
    q, k, v = layer.qkv.view(3, s.heads, s.head_dim, s.hidden)
    q.mul_(0.1)
    k.mul_(0.1)
    first = int(pairs * SLOW_FROM)
    slow = torch.tensor([*range(first, pairs), *range(pairs + first, 2 * pairs)])
    near, far = slow[::2], slow[1::2]
    for head in range(s.heads):
        for rows, asked, held in (
            (near, read_PD, back_DP[0].t()),
            (far, back_DP[0].t(), back_DP[1].t()),
        ):
            mix = nn.init.orthogonal_(torch.empty(len(rows), len(asked)))
            q[head, rows] += mix @ asked
            k[head, rows] += mix @ held
    layer.norm_q.fill_(2.0)
    layer.norm_k.fill_(2.0)
    flat = nn.init.orthogonal_(torch.empty(s.heads * s.head_dim, s.hidden))
    v.copy_(flat.view_as(v))
    layer.out.copy_(GAIN_COPY * flat.t())
