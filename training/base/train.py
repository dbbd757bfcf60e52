"""The training loop of the default policy: recall drill, short dialogues, full dialogues.

Owns: the plan (stages, learning rate), the loop, its checkpoint.
Refuses: loss on anything that the context does not determine.
Invariant: with a token budget, an interrupted and resumed run sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from tooldojo.training.base.corpus import Stage
from tooldojo.training.base.data import Batch, shards
from tooldojo.training.base.model import Network, Shape


@dataclass(frozen=True)
class Plan:
    """Budget and schedule; shares are of the total number of padded tokens."""

    tokens: int = 24_000_000
    drill_share: float = 0.14
    short_share: float = 0.22
    batch_tokens: int = 8192
    lr: float = 3e-3
    warmup_steps: int = 40
    decay_share: float = 0.4
    weight_decay: float = 0.02
    clip: float = 1.0
    seed: int = 0
    save_seconds: float = 120.0

    def stage(self, done: float) -> Stage | None:
        """The stage at the share `done` of the budget."""
        if done < self.drill_share:
            return None
        return Stage.SHORT if done < self.drill_share + self.short_share else Stage.FULL

    def rate(self, step: int, done: float) -> float:
        """Warm up, stay, then fall linearly to a fiftieth (WSD)."""
        left = min(1.0, (1.0 - done) / self.decay_share)
        return self.lr * min(1.0, (step + 1) / self.warmup_steps) * max(0.02, left)


@dataclass
class State:
    """Where the run stands; everything that a checkpoint needs besides tensors."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    stage: str = ""
    shard: int = 0
    batch: int = 0
    trace: list[dict[str, float | str]] = field(default_factory=list)


def keep_memory() -> None:
    """Tell glibc to keep freed blocks: page faults on fresh blocks cost about 10 % of a step."""
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    for option, value in ((m_mmap_max, 0), (m_trim_threshold, 2**31 - 1), (m_top_pad, 2**28)):
        libc.mallopt(option, value)


class Trainer:
    """Network, optimisers and state; `run` trains to the end of the plan."""

    def __init__(self, shape: Shape, plan: Plan, tokenizer: Tokenizer, out: Path) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.tokenizer, self.out = plan, tokenizer, out
        self.network = Network(shape)
        self.state = State()
        named = list(self.network.named_parameters())
        matrices = [p for n, p in named if p.ndim == 2 and n != "embed"]
        rest = [p for n, p in named if p.ndim != 2 or n == "embed"]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=plan.lr, momentum=0.95, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=plan.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
        ]

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def done(self) -> float:
        return self.state.tokens / self.plan.tokens

    def save(self) -> None:
        """Write the checkpoint and move it into place in one step."""
        partial = self.checkpoint.with_suffix(".partial")
        body = {
            "network": self.network.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "state": asdict(self.state),
        }
        torch.save(body, partial)
        os.replace(partial, self.checkpoint)

    def load(self) -> None:
        body = torch.load(self.checkpoint, weights_only=True)
        self.network.load_state_dict(body["network"])
        for optimizer, state in zip(self.optimizers, body["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.state = State(**body["state"])

    def step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One update; returns loss and share of tokens that are the argmax."""
        rate = self.plan.rate(self.state.step, self.done())
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        ids, where = torch.from_numpy(batch.ids_BT), torch.from_numpy(batch.where_N)
        logits = self.network(ids, where).float()
        target = ids.flatten()[where]
        loss = F.cross_entropy(logits, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach(), (logits.detach().argmax(-1) == target).float().mean()

    def run(self, report: Callable[[State, float, float], None]) -> None:
        """Train until the budget is spent; `report` gets state, loss and accuracy after every step."""
        state, plan = self.state, self.plan
        clock = saved = time.monotonic()
        while self.done() < 1.0:
            stage = plan.stage(self.done())
            name = stage.name if stage else "DRILL"
            if name != state.stage:
                state.stage, state.shard, state.batch = name, 0, 0
            source = shards(plan.seed, stage, state.shard, self.tokenizer, plan.batch_tokens)
            try:
                for batches in source:
                    for batch in batches[state.batch :]:
                        loss, hit = self.step(batch)
                        now = time.monotonic()
                        state.step, state.batch = state.step + 1, state.batch + 1
                        state.tokens += batch.ids_BT.size
                        state.seconds, clock = state.seconds + now - clock, now
                        report(state, float(loss), float(hit))
                        if now - saved > plan.save_seconds:
                            self.save()
                            saved = time.monotonic()
                        if self.done() >= 1.0 or plan.stage(self.done()) is not stage:
                            break
                    else:
                        state.shard, state.batch = state.shard + 1, 0
                        continue
                    break
            finally:
                source.close()  # type: ignore[attr-defined]
        self.save()
