"""What the learner hands to the engines: `PolicyUpdate`, with the probe that proves its
delivery.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from tooldojo.rollouts.records import PolicyRef


class DeliveryError(RuntimeError):
    """An engine does not hold the policy that the learner published; the run must stop."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A fixed token sequence and the learner's logprobs of ids[1:] under this version and the one
    before (fp32).

    before is None for the first version a learner publishes.
    """

    ids: tuple[int, ...]
    now: tuple[float, ...]
    before: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class PolicyUpdate:
    """One version of the policy, in both transports' forms.

    adapter: safetensors bytes of the PEFT state dict; adapter_config: PEFT's adapter_config.json
    text. merged: safetensors bytes of the adapted modules' merged weights under their Hugging Face
    names, or None when the adapter transport is in use. merged_digest: digest of those tensors.
    """

    ref: PolicyRef
    adapter: bytes
    adapter_config: str
    merged: bytes | None
    merged_digest: str | None
    probe: Probe


def tensors_digest(tensors: dict[str, np.ndarray]) -> str:
    """16 hex digits over names, shapes, dtypes and bytes, independent of order. bfloat16 comes
    viewed as uint16.
    """
    hasher = hashlib.blake2b(digest_size=8)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        hasher.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        hasher.update(array.tobytes())
    return hasher.hexdigest()
