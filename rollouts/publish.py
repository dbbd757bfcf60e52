"""Delivery of a policy into a running engine, by either transport, and the proof that it arrived.

*Merged*: the merged weights of the adapted modules replace the engine's in memory; one version per
engine. *Adapter*: each version is a new file under a new name; several versions play at once.
Invariant: after `Prover.prove` the engine holds exactly the version that the learner published, or
`DeliveryError` has stopped the run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.updates import DeliveryError, PolicyUpdate, Probe, tensors_digest

if TYPE_CHECKING:
    import torch
    from vllm import LLMEngine
    from vllm.lora.request import LoRARequest

BASE = PolicyRef("base", 0, "base")
_HOMES = "tooldojo-adapters-"  # directory names: prefix, process id, random suffix
_FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class Transport(StrEnum):
    """How a policy reaches an engine."""

    MERGED = "merged"
    ADAPTER = "adapter"


@dataclass(frozen=True, slots=True)
class Route:
    """How a request reaches a policy: the adapter to name, the prefix cache's salt."""

    policy: PolicyRef
    lora: LoRARequest | None
    salt: str | None


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """Proof that an engine holds a policy.

    digest: of the tensors that the worker loaded. error: mean absolute difference between the
    engine's and the learner's logprobs on the probe; stale: the same against the version before, or
    None. decisive: whether the two versions differ by more than the engine's precision, so that the
    probe tells them apart. seconds: the swap; proof_seconds: the probe.
    """

    engine: str
    policy: PolicyRef
    transport: Transport
    digest: str
    error: float
    stale: float | None
    decisive: bool
    seconds: float
    proof_seconds: float


class Delivery(Protocol):
    """One transport on one engine; used on the engine's thread only."""

    transport: Transport

    def route(self, policy: PolicyRef) -> Route:
        """How to ask for a policy; refuses one that the engine does not hold."""
        ...

    def deliver(self, engine: LLMEngine, update: PolicyUpdate) -> str:
        """Put the update into an engine without running requests.

        Returns the digest of the tensors that were loaded.
        """
        ...

    def close(self) -> None:
        """Remove what lies on disk."""
        ...


class MergedDelivery:
    """Merged weights by `reload_weights`: 30 ms for a small model, no cost per sampled token."""

    transport = Transport.MERGED

    def __init__(self) -> None:
        self.current = BASE

    def route(self, policy: PolicyRef) -> Route:
        """The engine's only version; the salt keeps its prefix cache apart from other versions'.

        An older version than the engine's is a trajectory that began before the last swap: its next
        turns are sampled, and labelled, with what the engine holds now.

        Raises:
            DeliveryError: for anything else that the engine does not hold.
        """
        held = self.current
        lags = policy.version < held.version
        if not lags and (policy.version, policy.digest) != (held.version, held.digest):
            raise DeliveryError(_not_held(policy, [held]))
        return Route(held if lags else policy, None, f"{held.name}@{held.version}:{held.digest}")

    def deliver(self, engine: LLMEngine, update: PolicyUpdate) -> str:
        """Swap the weights and empty the prefix cache."""
        from safetensors.torch import load

        if update.merged is None:
            raise DeliveryError(
                f"{_name(update.ref)} carries no merged weights, but this engine takes nothing "
                "else; build updates for transport 'merged' or set rollout.transport='adapter'"
            )
        tensors = load(update.merged)
        _check_fused(tensors)
        loaded: dict[str, torch.Tensor] = {}
        kwargs = {"weights_iterator": _witnessed(tensors, loaded), "is_checkpoint_format": True}
        engine.collective_rpc("reload_weights", kwargs=kwargs)
        if not engine.reset_prefix_cache():
            raise DeliveryError(
                f"the prefix cache still holds {_name(self.current)} after the swap to "
                f"{_name(update.ref)}: requests were running, which is a bug in the step loop"
            )
        self.current = update.ref
        return digest_of(loaded)

    def close(self) -> None:
        """Nothing lies on disk."""


class AdapterDelivery:
    """LoRA adapters by `add_lora`, each version under a new name and path on this node.

    keep: how many versions stay loadable, so that trajectories under way can end on theirs.
    """

    transport = Transport.ADAPTER

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._home = _new_home()
        self._held: dict[PolicyRef, LoRARequest] = {}
        self._issued = 0

    def route(self, policy: PolicyRef) -> Route:
        """The adapter of a version.

        Raises:
            DeliveryError: for a version that was never delivered or is gone.
        """
        if policy.version == 0 and policy.digest == BASE.digest:
            return Route(policy, None, None)
        if policy not in self._held:
            raise DeliveryError(_not_held(policy, list(self._held)))
        return Route(policy, self._held[policy], None)

    def deliver(self, engine: LLMEngine, update: PolicyUpdate) -> str:
        """Write the adapter, load it, and read back what the engine was given."""
        from safetensors.torch import load_file
        from vllm.lora.request import LoRARequest

        self._issued += 1
        place = self._home / f"{self._issued:06d}-{update.ref.name}-v{update.ref.version}"
        place.mkdir()
        (place / "adapter_config.json").write_text(update.adapter_config)
        (place / "adapter_model.safetensors").write_bytes(update.adapter)
        request = LoRARequest(place.name, self._issued, str(place))
        if not engine.add_lora(request):
            raise DeliveryError(
                f"the engine refused adapter {place.name} of {_name(update.ref)} without a reason; "
                "see the worker's log"
            )
        again = self._held.pop(update.ref, None)
        self._held[update.ref] = request
        if again is not None:
            _remove(engine, again)
        for policy in list(self._held)[: -self._keep]:
            _remove(engine, self._held.pop(policy))
        return digest_of(load_file(Path(request.lora_path) / "adapter_model.safetensors"))

    def close(self) -> None:
        """Remove this engine's adapters from the node."""
        shutil.rmtree(self._home, ignore_errors=True)


class Prover:
    """Compares what an engine holds with what the learner published.

    dtype: the engine's. Two logprobs are the same below `tolerance`; versions whose logprobs on the
    probe differ by less than `resolution` cannot be told apart by it, and the digest alone counts.
    """

    def __init__(self, engine: str, dtype: str) -> None:
        self._engine = engine
        exact = dtype == "float32"
        self._tolerance = 2e-3 if exact else 1e-1
        self._resolution = 1e-5 if exact else 3e-2
        self._last: tuple[tuple[int, ...], str, np.ndarray] | None = None  # probe, digest, answer

    def look(self, probe: Probe, answer: Callable[[PolicyRef, Probe], tuple[float, ...]]) -> None:
        """Before a first delivery: note what the engine answers without any, so that a swap without
        effect shows.
        """
        if self._last is None:
            self._last = (probe.ids, BASE.digest, np.asarray(answer(BASE, probe)))

    def check_digest(self, update: PolicyUpdate, transport: Transport, digest: str) -> None:
        """Raise unless the loaded tensors are the published ones."""
        expected = update.ref.digest if transport is Transport.ADAPTER else update.merged_digest
        if digest != expected:
            raise DeliveryError(
                f"engine {self._engine} loaded tensors {digest} for {_name(update.ref)}, but the "
                f"learner published {expected}: a stale or foreign file; the run must not go on "
                "from here, resume it from its last checkpoint"
            )

    def prove(
        self,
        update: PolicyUpdate,
        transport: Transport,
        digest: str,
        answer: Callable[[PolicyRef, Probe], tuple[float, ...]],
    ) -> tuple[float, float | None, bool]:
        """(error, stale, decisive) as in `DeliveryReceipt`.

        answer: the engine's logprobs of a probe's ids[1:], computed afresh under a policy.

        Raises:
            DeliveryError: naming what was expected, what was found and what to do.
        """
        self.check_digest(update, transport, digest)
        found, now = np.asarray(answer(update.ref, update.probe)), np.asarray(update.probe.now)
        error, stale, decisive = _distance(found, now), None, False
        if update.probe.before is not None:
            before = np.asarray(update.probe.before)
            stale, gap = _distance(found, before), _distance(now, before)
            decisive = gap > self._resolution
            if (decisive and error >= stale) or (gap and self._unchanged(update, digest, found)):
                raise DeliveryError(
                    f"engine {self._engine} still plays the version before {_name(update.ref)}: "
                    f"its logprobs are {stale:.2g} from that one and {error:.2g} from the new one. "
                    "The publish was dropped; resume the run from its last checkpoint"
                )
        if not error <= self._tolerance:
            raise DeliveryError(
                f"engine {self._engine} computes other logprobs than the learner for "
                f"{_name(update.ref)}: mean difference {error:.2g}, allowed {self._tolerance:.2g}. "
                "Either the update did not arrive, or engine and learner run different models; "
                "compare the base model, dtype and LoRA target modules of both"
            )
        self._last = (update.probe.ids, digest, found)
        return error, stale, decisive

    def _unchanged(self, update: PolicyUpdate, digest: str, found: np.ndarray) -> bool:
        """Whether other tensors gave the very same answer: telling where precision is coarse."""
        if self._last is None:
            return False
        ids, last_digest, answer = self._last
        return ids == update.probe.ids and last_digest != digest and np.array_equal(found, answer)


def digest_of(tensors: dict[str, torch.Tensor]) -> str:
    """`tensors_digest` of torch tensors; bfloat16 is viewed as uint16."""
    import torch

    def plain(tensor: torch.Tensor) -> np.ndarray:
        flat = tensor.detach().cpu().contiguous()
        return (flat.view(torch.uint16) if flat.dtype is torch.bfloat16 else flat).numpy()

    return tensors_digest({name: plain(tensor) for name, tensor in tensors.items()})


def _distance(left_T: np.ndarray, right_T: np.ndarray) -> float:
    if left_T.shape != right_T.shape:
        raise DeliveryError(f"a probe of {right_T.size} logprobs was answered by {left_T.size}")
    return float(np.abs(left_T - right_T).mean())


def _witnessed(
    tensors: dict[str, torch.Tensor], loaded: dict[str, torch.Tensor]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Hand the tensors out, remembering those that were really taken."""
    for name, tensor in tensors.items():
        loaded[name] = tensor
        yield name, tensor


def _check_fused(tensors: dict[str, torch.Tensor]) -> None:
    """vLLM fuses some modules; a reload of only some of the parts would leave the others empty."""
    modules = {name.rsplit(".", 2)[0]: set() for name in tensors}
    for name in tensors:
        parent, module, _ = name.rsplit(".", 2)
        modules[parent].add(module)
    for parent, found in modules.items():
        for parts in _FUSED:
            if found & set(parts) and not found >= set(parts):
                raise DeliveryError(
                    f"{parent} has merged weights for {sorted(found & set(parts))} only; the "
                    f"merged transport needs {', '.join(parts)} together: adapt all of them, or "
                    "set rollout.transport='adapter'"
                )


def _name(policy: PolicyRef) -> str:
    return f"{policy.name} v{policy.version} ({policy.digest})"


def _not_held(policy: PolicyRef, held: list[PolicyRef]) -> str:
    there = ", ".join(_name(each) for each in held) or "only the base model"
    return f"{_name(policy)} was asked for, but the engine holds {there}; publish it first"


def _remove(engine: LLMEngine, request: LoRARequest) -> None:
    engine.remove_lora(request.lora_int_id)
    shutil.rmtree(request.lora_path, ignore_errors=True)


def _new_home() -> Path:
    """A directory for this engine's adapters, in memory where the system has such a place.

    Directories of processes that are gone (killed before they could clean up) are removed.
    """
    memory = Path("/dev/shm")
    root = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for left in root.glob(f"{_HOMES}*"):
        owner = left.name.removeprefix(_HOMES).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_HOMES}{os.getpid()}-", dir=root))
