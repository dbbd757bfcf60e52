"""A start near recall: the first two layers begin as a rough induction circuit.

Owns: the initial values that let copying appear within seconds of training instead of many minutes.
Refuses: anything beyond a start; every value is trained afterwards like the others.
Idea: layer 0 attends to the token before and writes its identity; layer 1 looks for places whose token before is the
current token and copies what stands there ("induction heads", Olsson et al. 2022; mimetic initialisation, Trockman &
Kolter 2023). Positions are told apart by the fast rotary pairs, contents are compared on the slow ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tooldojo.training.base.model import Layer, Network

FAST_PAIRS = 3
SLOW_FROM = 0.4


@torch.no_grad()
def start_near_recall(network: Network) -> None:
    """Set embeddings and the first two layers; needs heads == kv_heads and heads * head_dim == hidden."""
    shape = network.shape
    network.embed[:, 0] = 0.3
    for layer in network.layers:
        layer.down.mul_(0.3)
        layer.out.mul_(0.3)
    shift = torch.nn.init.orthogonal_(torch.empty(shape.hidden, shape.hidden))
    _previous_token(network.layers[0], shift, shape.rope_theta)
    _same_token_before(network.layers[1], shift)


def _previous_token(layer: Layer, shift_DD: Tensor, theta: float) -> None:
    """All heads attend one token back (constant query and key, rotated by one step) and write `shift` of it."""
    s, half = layer.shape, layer.shape.head_dim // 2
    q, k, v = layer.qkv.view(3, s.heads, s.head_dim, s.hidden)
    q.mul_(0.1), k.mul_(0.1)
    step = theta ** (-torch.arange(FAST_PAIRS) / half)
    for head in range(s.heads):
        q[head, :FAST_PAIRS, 0] += 4.0
        k[head, :FAST_PAIRS, 0] += 4.0 * step.cos()
        k[head, half : half + FAST_PAIRS, 0] += 4.0 * step.sin()
    layer.norm_q.fill_(2.5), layer.norm_k.fill_(2.5)
    flat = v.reshape(-1, s.hidden)
    nn.init.orthogonal_(flat)
    v.copy_(flat.view_as(v))
    layer.out.copy_(GAIN_SHIFT * shift_DD @ flat.t())


GAIN_SHIFT = 0.06
GAIN_COPY = 0.5


def _same_token_before(layer: Layer, shift_DD: Tensor) -> None:
    """Queries read the current token, keys the shifted one, on slow rotary pairs; values are copied."""
    s, half = layer.shape, layer.shape.head_dim // 2
    q, k, v = layer.qkv.view(3, s.heads, s.head_dim, s.hidden)
    q.mul_(0.1), k.mul_(0.1)
    first = int(half * SLOW_FROM)
    slow = [*range(first, half), *range(half + first, 2 * half)]
    for head in range(s.heads):
        look = nn.init.orthogonal_(torch.empty(len(slow), s.hidden))
        look[:, 0] = 0.0
        q[head, slow] += look
        k[head, slow] += look @ shift_DD.t()
    layer.norm_q.fill_(2.0), layer.norm_k.fill_(2.0)
    flat = v.reshape(-1, s.hidden)
    nn.init.orthogonal_(flat)
    v.copy_(flat.view_as(v))
    layer.out.copy_(GAIN_COPY * flat.t())
