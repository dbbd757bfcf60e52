"""The training loop of the default policy: recall drill, short dialogues, full dialogues.

Owns: the plan (stages, learning rate), the loop, its checkpoint.
Refuses: loss on anything that the context does not determine.
Invariant: with a token budget, an interrupted and resumed run sees the same batches as an
uninterrupted one.
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

from tooldojo.rollouts.interrupts import uninterrupted
from tooldojo.training.base.corpus import Stage
from tooldojo.training.base.data import Batch, shards
from tooldojo.training.base.model import Network, Shape
from tooldojo.training.base.start import start_near_recall
from tooldojo.training.precision import has_bfloat16


@dataclass(frozen=True)
class Plan:
    """Budget and schedule; shares are of the total number of padded tokens.

    Two cycles of the learning rate: what stands after the first is a whole model, and the second
    goes on from there.
    """

    tokens: int = 36_000_000
    minutes: float | None = None
    drill_share: float = 0.022
    short_share: float = 0.056
    first_cycle: float = 0.556
    batch_tokens: int = 6144
    lr: float = 1e-3
    embed_pace: float = 0.5
    warmup_steps: int = 40
    decay_shares: tuple[float, float] = (0.45, 1.0)  # of each cycle, at its end
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
        """In both cycles: warm up, stay, then fall linearly to a fiftieth (WSD)."""
        first, second = self.first_cycle, 1.0 - self.first_cycle
        if done < first:
            warm, left = (step + 1) / self.warmup_steps, (first - done) / first
            decay = self.decay_shares[0]
        else:
            warm, left = (done - first) / (0.02 * second), (1.0 - done) / second
            decay = self.decay_shares[1]
        return self.lr * min(1.0, warm) * max(0.02, min(1.0, left / decay))


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
        self.network = Network(shape, torch.bfloat16 if has_bfloat16("cpu") else torch.float32)
        self.state = State()
        start_near_recall(self.network)
        network = self.network
        vectors = [p for p in network.parameters() if p.ndim == 1]
        matrices = [p for layer in network.layers for p in layer.parameters() if p.ndim == 2]
        # rows of the embedding are seen rarely and Adam's steps do not shrink for it, so they go
        # slower
        groups = [
            {"params": matrices, "weight_decay": plan.weight_decay, "pace": 1.0},
            {"params": vectors, "weight_decay": 0.0, "pace": 1.0},
            {"params": [network.embed], "weight_decay": 0.0, "pace": plan.embed_pace},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98), fused=True)

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def done(self) -> float:
        """Share of the budget that is spent: of tokens, or of time if that runs out first."""
        spent = self.state.tokens / self.plan.tokens
        if self.plan.minutes is None:
            return spent
        return max(spent, self.state.seconds / (60 * self.plan.minutes))

    def save(self) -> None:
        """Write the checkpoint and move it into place in one step."""
        partial = self.checkpoint.with_suffix(".partial")
        body = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": asdict(self.state),
        }
        try:
            torch.save(body, partial)
            os.replace(partial, self.checkpoint)
        finally:  # gone after the rename; a full disk must not keep half a checkpoint
            partial.unlink(missing_ok=True)

    def load(self) -> None:
        body = torch.load(self.checkpoint, weights_only=True)
        self.network.load_state_dict(body["network"])
        self.optimizer.load_state_dict(body["optimizer"])
        self.state = State(**body["state"])

    def step(self, batch: Batch) -> float:
        """One update; returns the loss."""
        rate = self.plan.rate(self.state.step, self.done())
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["pace"]
        loss = self.network.loss(torch.from_numpy(batch.ids_BT), torch.from_numpy(batch.where_N))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def run(self, report: Callable[[State, float], None]) -> None:
        """Train until the budget is spent; `report` gets state and loss after every step.

        Ctrl-C comes between two steps, and what was done up to there is saved.
        """
        try:
            self._run(report)
        except KeyboardInterrupt:
            self.save()
            raise
        self.save()

    def _run(self, report: Callable[[State, float], None]) -> None:
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
                        with uninterrupted():
                            loss = self.step(batch)
                            now = time.monotonic()
                            state.step, state.batch = state.step + 1, state.batch + 1
                            state.tokens += batch.ids_BT.size
                            state.seconds, clock = state.seconds + now - clock, now
                        report(state, loss)
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
