"""A learner on several processes: `TeamLearner` in the driver, and a `Follower`, a Ray actor, for
each further rank.

Owns opening, updating and closing them together. Refuses to go on when ranks differ after an
update. Invariant: what leaves the team (exports, checkpoints) is rank 0's, and equal on all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tooldojo.configs.schema import LearnerSection, ObjectiveSection, PolicySection
from tooldojo.rollouts.cluster import on_cluster
from tooldojo.rollouts.records import Group
from tooldojo.training.card import Conventions
from tooldojo.training.learning.learner import Learner
from tooldojo.training.learning.moments import LearnerState
from tooldojo.training.learning.ranks import join_ranks, leave_ranks, shard_base
from tooldojo.training.policy import Policy, load_policy

_LAST_WORDS = 10.0  # seconds that a rank gets to say why it failed
_LEFT = ("gloo", "NCCL", "onnection closed", "onnection reset")  # only that another rank is gone


class LearnerLost(RuntimeError):
    """A rank of the learner failed or disagrees; the step was not finished."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a rank needs to become part of a team."""

    policy: PolicySection
    conventions: Conventions
    learner: LearnerSection
    objective: ObjectiveSection
    probe_ids: tuple[int, ...]
    temperature: float
    address: str
    device: str
    base_digest: str
    scales: tuple[float, ...]


class Follower:
    """One further rank. An error closes its connections, so that nobody waits for it."""

    def __init__(self, index: int, orders: Orders) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        home = first_home(orders.learner) or orders.device
        policy = load_policy(orders.policy, orders.conventions, device=home)
        if policy.card.base_digest != orders.base_digest:
            raise LearnerLost(
                f"it found other weights for {orders.policy.model!r} than rank 0; give all nodes "
                "the same files"
            )
        if tuple(linear.scale for linear in policy.linears) != orders.scales:
            raise LearnerLost(
                "learner.ranks above 1 takes plain LoRA on all linear layers, and the adapter is "
                "another; set learner.ranks=1"
            )
        self._index, self._policy, self._orders = index, policy, orders

    def join(self) -> None:
        """Meet the other ranks."""
        self.learner: Learner = _joined(Learner, self._index, self._policy, self._orders)

    def update(self, groups: Sequence[Group]) -> str:
        """Take part in an update; returns the digest of what came out."""
        try:
            self.learner.update(groups)
        except BaseException:
            leave_ranks()
            raise
        return self.learner.policy.adapter_digest()

    def load(self, state: LearnerState) -> None:
        """See `Learner.load_state_dict`."""
        self.learner.load_state_dict(state)

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> None:
        """Take part in a forward pass through a base that is sharded."""
        try:
            self.learner.logprobs(sequences)
        except BaseException:
            leave_ranks()
            raise


class TeamLearner(Learner):
    """Rank 0, in the driver's process; used like a `Learner` that is alone. Close it."""

    @classmethod
    def open(
        cls,
        policy: Policy,
        section: PolicySection,
        learner: LearnerSection,
        objective: ObjectiveSection,
        probe_ids: Sequence[int],
        temperature: float,
    ) -> TeamLearner:
        """Start the other ranks and meet them; `policy` lies where `first_home` says.

        Raises:
            LearnerLost: when a rank does not come up.
        """
        import ray

        orders = _orders(policy, section, learner, objective, probe_ids, temperature)
        _require_gpus(orders)
        actor: Any = ray.remote(Follower)
        place = {
            "num_cpus": 1 if on_cluster() else 0,
            "num_gpus": 1 if orders.device == "cuda" else 0,
            "scheduling_strategy": "SPREAD",
        }
        followers = [actor.options(**place).remote(i, orders) for i in range(1, learner.ranks)]
        waiting = [follower.__ray_ready__.remote() for follower in followers]
        try:
            ray.get(waiting)
            waiting = [follower.join.remote() for follower in followers]
            team = _joined(cls, 0, policy, orders)
            team.followers = followers
            team.load_state_dict(team.state_dict())
        except Exception as error:
            leave_ranks()
            why = _why(waiting, error)
            for follower in followers:
                ray.kill(follower)
            raise why from error
        return team

    followers: list[Any]

    def update(self, groups: Sequence[Group]) -> dict[str, float]:
        """See `Learner.update`.

        Raises:
            LearnerLost: when a rank fails, or ends with other factors than this one.
        """
        import ray
        from ray.exceptions import RayError

        given = ray.put(tuple(groups))
        waiting = [follower.update.remote(given) for follower in self.followers]
        try:
            figures = super().update(groups)
            digests = ray.get(waiting)
        except (RuntimeError, RayError) as error:
            leave_ranks()
            raise _why(waiting, error) from error
        own = self.policy.adapter_digest()
        odd = [i for i, digest in enumerate(digests, start=1) if digest != own]
        if odd:
            raise LearnerLost(
                f"learner rank {odd[0]} holds other factors than rank 0 after step {self.step}; "
                "nothing was published: resume from the last checkpoint"
            )
        return figures

    def logprobs(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """See `Learner.logprobs`; with a sharded base all ranks take part."""
        if self.ranks.in_step:
            for follower in self.followers:
                follower.logprobs.remote(sequences)
        return super().logprobs(sequences)

    def load_state_dict(self, state: LearnerState) -> None:
        """See `Learner.load_state_dict`; every rank goes on from the same."""
        import ray

        super().load_state_dict(state)
        ray.get([follower.load.remote(state) for follower in self.followers])

    def close(self) -> None:
        """Leave the other ranks and end their processes."""
        import ray

        leave_ranks()
        for follower in self.followers:
            ray.kill(follower)
        self.followers = []


def first_home(learner: LearnerSection) -> str | None:
    """Where the base model is loaded: a base that is to be sharded need not fit the device."""
    return "cpu" if learner.shard_base else None


def _orders(
    policy: Policy,
    section: PolicySection,
    learner: LearnerSection,
    objective: ObjectiveSection,
    probe_ids: Sequence[int],
    temperature: float,
) -> Orders:
    import ray

    adapter = policy.model.peft_config["default"].to_dict()
    shape = {
        "model": policy.card.base,
        "lora_rank": adapter["r"],
        "lora_alpha": adapter["lora_alpha"],
    }
    return Orders(
        section.model_copy(update=shape),
        policy.card.conventions,
        learner.model_copy(update={"threads": learner.threads or _threads(learner.ranks)}),
        objective,
        tuple(probe_ids),
        temperature,
        f"tcp://{ray.util.get_node_ip_address()}:{_free_port()}",
        "cuda" if torch.cuda.is_available() else "cpu",
        policy.card.base_digest,
        tuple(linear.scale for linear in policy.linears),
    )


def _require_gpus(orders: Orders) -> None:
    import ray

    others, free = orders.learner.ranks - 1, ray.available_resources().get("GPU", 0.0)
    if orders.device == "cuda" and free < others:
        raise LearnerLost(
            f"learner.ranks={orders.learner.ranks} needs {others} GPUs beside the driver's and the "
            f"engines', Ray has {free:g} free; lower learner.ranks"
        )


def _joined(kind: type, index: int, policy: Policy, orders: Orders) -> Any:
    """A learner on `policy` as rank `index`; returns when all ranks have met."""
    learner = orders.learner
    ranks = join_ranks(index, learner.ranks, orders.address, orders.device, learner.shard_base)
    try:
        if learner.shard_base:
            shard_base(policy.network, policy.parameters().values(), orders.device)
        return kind(policy, learner, orders.objective, orders.probe_ids, orders.temperature, ranks)
    except BaseException:
        leave_ranks()
        raise


def _why(waiting: Sequence[Any], error: Exception) -> LearnerLost:
    """What a failed collective comes from: the rank that says more than that another one left."""
    import ray
    from ray.exceptions import RayError

    reasons = {} if isinstance(error, RayError) else {0: _last_line(error)}
    ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=_LAST_WORDS)
    for index, each in enumerate(waiting, start=1):
        if each not in ready:
            continue
        try:
            ray.get(each)
        except Exception as own:
            reasons[index] = _last_line(own)
    telling = {i: r for i, r in reasons.items() if not any(word in r for word in _LEFT)}
    index, reason = next(iter((telling or reasons or {0: _last_line(error)}).items()))
    return LearnerLost(
        f"learner rank {index} failed: {reason}; the step was not finished: resume from the last "
        "checkpoint"
    )


def _last_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[-1]


def _threads(ranks: int) -> int:
    """Cores for each rank when all share this machine; 0 stands for all."""
    return 0 if on_cluster() else max(1, len(os.sched_getaffinity(0)) // ranks)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]
