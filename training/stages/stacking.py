"""Several adapters on one base model as one: the sum of their products, exactly.

W + sum_i s_i B_i A_i has the factors A = [A_1; A_2; ...] and B = [s_1 B_1, s_2 B_2, ...], so a
stack is an ordinary adapter of the ranks' sum and scale 1. Refuses adapters of other bases or
conventions. Invariant: nothing is approximated; order does not matter beyond rounding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tooldojo.rollouts.whole_files import DamagedFile, read_json
from tooldojo.training.card import AdapterCard, PolicyError
from tooldojo.training.policy import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from tooldojo.training.runs.atomic import atomic_directory

A, B = ".lora_A.weight", ".lora_B.weight"
SPECIAL = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern")  # more than alpha / rank


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An adapter directory, read. tensors under PEFT's names; scale: alpha / rank."""

    folder: Path
    card: AdapterCard
    config: dict
    tensors: dict[str, Tensor]
    scale: float


def stack_adapters(folders: Sequence[Path], out: Path) -> int:
    """Write the sum of adapters as one adapter directory; returns its rank.

    Raises:
        PolicyError: where the adapters are not plain LoRA of one base, role and set of conventions.
    """
    found = [_read(folder) for folder in folders]
    first = found[0]
    for other in found[1:]:
        conventions = replace(
            other.card.conventions, system_prompts=first.card.conventions.system_prompts
        )
        first.card.require(conventions, other.card.base_digest, first.folder, other.card.role)
        if other.tensors.keys() != first.tensors.keys():
            odd = min(other.tensors.keys() ^ first.tensors.keys())
            raise PolicyError(f"{other.folder} and {first.folder} adapt other layers, first {odd}")
    tensors = {name: _stacked(name, found) for name in first.tensors}
    rank = next(tensor.shape[0] for name, tensor in tensors.items() if name.endswith(A))
    with atomic_directory(out) as draft:
        save_file(tensors, draft / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        config = {**first.config, "r": rank, "lora_alpha": rank}
        (draft / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        _card(found).write(draft)
    return rank


def _read(folder: Path) -> Stored:
    card = AdapterCard.read(folder)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).exists():
            raise PolicyError(f"{folder} is no adapter directory: {name} is missing")
    try:
        tensors = load_file(folder / ADAPTER_WEIGHTS)
    except SafetensorError as error:
        raise DamagedFile(folder / ADAPTER_WEIGHTS, error) from None
    config = read_json(folder / ADAPTER_CONFIG)
    odd = next((name for name in tensors if not name.endswith((A, B))), None)
    odd = odd or next((name for name in SPECIAL if config.get(name)), None)
    if odd:
        raise PolicyError(f"{folder} is no plain LoRA adapter: it has {odd}")
    return Stored(folder, card, config, tensors, config["lora_alpha"] / config["r"])


def _stacked(name: str, found: Sequence[Stored]) -> Tensor:
    if name.endswith(A):
        return torch.cat([each.tensors[name].float() for each in found], 0)
    return torch.cat([each.scale * each.tensors[name].float() for each in found], 1)


def _card(found: Sequence[Stored]) -> AdapterCard:
    """The first card, with the system prompts of all."""
    card = found[0].card
    prompts = {prompt for each in found for prompt in each.card.conventions.system_prompts}
    conventions = replace(card.conventions, system_prompts=tuple(sorted(prompts)))
    return replace(card, conventions=conventions)
