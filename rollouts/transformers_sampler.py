"""`TransformersSampler`: any causal model of `transformers` as a sampler, where vLLM is missing.

Owns batching of concurrent requests and a small decoding loop with a key-value cache. Refuses
admission to a running batch: what arrives meanwhile waits for the next one. Invariant: a request's
tokens depend on its ids, seed and temperature, not on what it was batched with (up to the
arithmetic's rounding, about 1e-6 in fp32).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.rollouts.sampler import Sampled, SampleRequest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

T = TypeVar("T")
_numbers = itertools.count()


@dataclass(slots=True)
class _Row:
    """One request while it decodes; seconds since its first token."""

    request: SampleRequest
    generator: torch.Generator
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether it stopped or is full."""
        sampling = self.request.sampling
        return self.ids[-1] in sampling.stop_ids or len(self.ids) >= sampling.max_tokens


class TransformersSampler:
    """Collects concurrent requests for `wait` seconds and decodes them together.

    policy: what the model's weights are; answers carry it, or the request's where it is None. Set
    it when the weights change, and change them in `between_batches` alone.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        chat: Chat,
        policy: PolicyRef | None = None,
        max_batch: int = 64,
        wait: float = 0.003,
    ) -> None:
        self.model, self.chat, self.policy = model, chat, policy
        self.max_batch, self.wait = max_batch, wait
        name = f"transformers-{os.getpid()}-{next(_numbers)}"
        self.engine = EngineId(name, "transformers", os.getpid(), platform.node())
        self._waiting: list[tuple[SampleRequest, asyncio.Future[Sampled]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, name)

    async def sample(self, request: SampleRequest) -> Sampled:
        """Sample one turn; it may wait for a running batch first."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sampled] = loop.create_future()
        self._waiting.append((request, answer))
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(self.wait)
            batch, self._waiting = (
                self._waiting[: self.max_batch],
                self._waiting[self.max_batch :],
            )
            batch = [(request, answer) for request, answer in batch if not answer.done()]
            if not batch:
                continue
            requests = [request for request, _ in batch]
            try:
                sampled = await loop.run_in_executor(self._thread, self.decode, requests)
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), each in zip(batch, sampled, strict=True):
                if not answer.done():
                    answer.set_result(each)

    def between_batches(self, work: Callable[[], T]) -> T:
        """The result of `work` on the thread that decodes; waits for the batch under way."""
        return self._thread.submit(work).result()

    def decode(self, requests: Sequence[SampleRequest]) -> list[Sampled]:
        """Decode requests together, in their order; blocks until the longest has ended."""
        import torch

        rows = [
            _Row(request, torch.Generator().manual_seed(request.seed % 2**63))
            for request in requests
        ]
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                prefill = self._decode(rows)
        finally:
            self.model.train(was_training)
        return [
            Sampled(
                tuple(row.ids),
                tuple(row.logprobs),
                "stop" if row.ids[-1] in row.request.sampling.stop_ids else "length",
                self.policy or row.request.policy,
                prefill,
                row.seconds,
            )
            for row in rows
        ]

    def _decode(self, rows: Sequence[_Row]) -> float:
        """Fill the rows; returns the seconds until the first token. Ended rows leave the batch."""
        import torch
        from transformers import DynamicCache

        began = time.perf_counter()
        device = self.model.device
        ids_BT, mask_BT = (part.to(device) for part in _left_padded(rows, self._pad))
        places_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        prefill: float | None = None
        alive = list(rows)
        while True:
            out = self.model(
                input_ids=ids_BT,
                attention_mask=mask_BT,
                position_ids=places_BT,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            ids_B = _pick(out.logits[:, -1], alive)
            seconds = time.perf_counter() - began
            prefill = seconds if prefill is None else prefill
            for row in alive:
                row.seconds = seconds - prefill
            keep = [i for i, row in enumerate(alive) if not row.ended]
            if not keep:
                return prefill
            if len(keep) < len(alive):
                index = torch.tensor(keep, device=device)
                cache.batch_select_indices(index)
                ids_B, mask_BT = ids_B[index], mask_BT[index]
                alive = [alive[i] for i in keep]
            mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(alive), 1)], dim=1)
            ids_BT, places_BT = ids_B[:, None], mask_BT.sum(1, keepdim=True) - 1

    @property
    def _pad(self) -> int:
        pad = self.chat.tokenizer.pad_token_id
        return pad if isinstance(pad, int) else self.chat.stop_ids[0]


def _left_padded(rows: Sequence[_Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [B, T] and int64."""
    import torch

    width = max(len(row.request.ids) for row in rows)
    lengths = [len(row.request.ids) for row in rows]
    ids = [[pad] * (width - len(row.request.ids)) + list(row.request.ids) for row in rows]
    mask = [[0] * (width - size) + [1] * size for size in lengths]
    return torch.tensor(ids), torch.tensor(mask)


def _pick(logits_BV: torch.Tensor, rows: Sequence[_Row]) -> torch.Tensor:
    """Draw one token per row: its cumulative distribution inverted at the row's own uniform draw.

    The logprob is that of the sampling distribution softmax(logits / temperature); at temperature 0
    the token is the most likely one, and its logprob is taken at temperature 1.
    """
    import torch

    device = logits_BV.device
    wanted = [row.request.sampling.temperature for row in rows]
    greedy_B = torch.tensor([t == 0 for t in wanted], device=device)
    scale_B = torch.tensor([t or 1.0 for t in wanted], device=device, dtype=torch.float64)
    draws = [torch.rand((), generator=row.generator, dtype=torch.float64) for row in rows]
    logps_BV = torch.log_softmax(logits_BV.double() / scale_B[:, None], dim=-1)
    sums_BV = logps_BV.exp().cumsum(-1)
    aims_B = torch.stack(draws).to(device) * sums_BV[:, -1]
    drawn_B = torch.searchsorted(sums_BV, aims_B[:, None], right=True)[:, 0]
    drawn_B = drawn_B.clamp(max=logits_BV.shape[1] - 1)
    ids_B = torch.where(greedy_B, logps_BV.argmax(-1), drawn_B)
    logps_B = logps_BV.gather(1, ids_B[:, None])[:, 0]
    for row, token, logp in zip(rows, ids_B.tolist(), logps_B.tolist(), strict=True):
        row.ids.append(token)
        row.logprobs.append(logp)
    return ids_B
