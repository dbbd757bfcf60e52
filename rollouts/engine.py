"""A vLLM engine in this process behind the sampler interface: `EngineSpec`, `VllmSampler`.

Owns the engine's settings and the translation between our records and vLLM's. Refuses text: token
ids go in, token ids and the logprobs of the distribution that they were drawn from come out.
Invariant: an answer is labelled with the policy that the engine really held when it sampled.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tooldojo.configs.schema import RolloutSection
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.publish import (
    AdapterDelivery,
    Delivery,
    DeliveryReceipt,
    MergedDelivery,
    Prover,
    Transport,
)
from tooldojo.rollouts.records import EngineId, PolicyRef
from tooldojo.rollouts.sampler import Sampled, SampleRequest
from tooldojo.rollouts.steploop import Answer, EngineStats, Prepared, StepLoop
from tooldojo.rollouts.updates import PolicyUpdate, Probe

if TYPE_CHECKING:
    from vllm import EngineArgs, LLMEngine

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM has kernels for
_PREFILL = 4096  # tokens a step may prefill; bounds how long a step can take
REPRODUCIBLE = {  # read by MKL and OpenMP when they first compute
    "MKL_CBWR": "AUTO",  # one code path and one order of summation for a shape
    "MKL_DYNAMIC": "FALSE",  # as many threads as asked for, whatever the load
    "OMP_DYNAMIC": "FALSE",
}


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Everything that decides how an engine behaves.

    model: a directory or Hugging Face id. max_context: tokens of a whole sequence. max_inflight:
    sequences that run at once. max_loras: adapter versions that can play at once. deadline: seconds
    without any progress after which the engine counts as lost. deterministic: the same batches in
    the same order give the same bits.
    """

    model: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    kv_cache_gib: float = 1.0
    max_context: int = 1024
    max_inflight: int = 128
    enforce_eager: bool = True
    transport: Transport = Transport.MERGED
    lora_rank: int = 32
    max_loras: int = 2
    tensor_parallel: int = 1
    seed: int = 0
    deadline: float = 120.0
    prefix_caching: bool = True
    deterministic: bool = False

    def environment(self) -> dict[str, str]:
        """See `environment`."""
        return environment(self)

    def open(self, chat: Chat) -> VllmSampler:
        """The engine in this process; it takes token ids and needs no chat."""
        return VllmSampler(self)


def choose_transport(section: RolloutSection) -> Transport:
    """The recipe's transport; where it names none, adapter on GPUs and merged on CPUs.

    On a CPU the adapter costs a factor of 2 to 6 per sampled token.
    """
    if section.transport in tuple(Transport):
        return Transport(section.transport)
    return Transport.ADAPTER if section.gpus_per_worker else Transport.MERGED


def engine_spec(
    section: RolloutSection,
    model: str | Path,
    transport: Transport,
    lora_rank: int,
    prefix_caching: bool,
    deterministic: bool = False,
) -> EngineSpec:
    """What a recipe says about the engine. Greedy or not is up to the requests."""
    return EngineSpec(
        model=str(model),
        dtype=section.engine_dtype,
        kv_cache_gib=section.kv_cache_gib,
        max_context=section.max_context,
        max_inflight=section.max_inflight,
        enforce_eager=section.enforce_eager,
        transport=transport,
        lora_rank=lora_rank,
        max_loras=section.eta + 2,
        tensor_parallel=section.tensor_parallel,
        deadline=section.deadline,
        prefix_caching=prefix_caching and not deterministic,
        deterministic=deterministic,
    )


def environment(spec: EngineSpec) -> dict[str, str]:
    """What an engine's process needs in its environment before torch and vLLM are imported."""
    needed = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives and dies with this process
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_WAIT_POLICY": "passive",  # spinning threads cost a factor of 2 to 10 on busy cores
        "TOKENIZERS_PARALLELISM": "false",
    }
    if spec.deterministic:
        needed |= REPRODUCIBLE
    if spec.enforce_eager:
        needed["TORCHDYNAMO_DISABLE"] = "1"  # else vLLM's sampler compiles a helper for seconds
    return needed


class VllmSampler:
    """An in-process `LLMEngine`, stepped by its own thread; one at a time in a process.

    vLLM has no `AsyncLLM` without a second process; on GPUs one behind this interface would let
    scheduling and detokenising overlap with the device.
    """

    def __init__(self, spec: EngineSpec) -> None:
        """Start the engine, which takes 5 to 30 s; `environment` tells what to set before."""
        for key, value in environment(spec).items():
            os.environ.setdefault(key, value)
        name = f"vllm-{uuid.uuid4().hex[:8]}"
        self.spec = spec
        self.engine = EngineId(name, "vllm", os.getpid(), platform.node())
        self.delivery: Delivery = (
            MergedDelivery()
            if spec.transport is Transport.MERGED
            else AdapterDelivery(keep=spec.max_loras)
        )
        self._prover = Prover(name, spec.dtype)
        self.loop = StepLoop(lambda: _build(spec), spec.deadline)
        self.loop.start()

    async def sample(self, request: SampleRequest) -> Sampled:
        """Sample one turn. A cancelled caller aborts the request.

        Raises:
            EngineLost: when the engine died or hangs.
            ValueError: for a request that it cannot take.
        """
        return await self.submit([request])[0]

    def submit(self, requests: Sequence[SampleRequest]) -> list[asyncio.Future[Sampled]]:
        """Several turns at once: the engine takes all of them, in this order, before its next step.

        Raises:
            EngineLost: when the engine died or hangs.
        """
        asked = self.loop.submit([partial(self._prepare, request) for request in requests])
        return [asyncio.ensure_future(_answered(each)) for each in asked]

    async def publish(self, update: PolicyUpdate) -> DeliveryReceipt:
        """Deliver a policy and prove it.

        Merged weights wait for the turns that are being sampled now, so that a turn has one
        version. Adapters arrive without a pause, except on CPUs: there the proof needs the engine
        for itself, because prompt logprobs beside other requests kill it when LoRA is enabled.

        Raises:
            DeliveryError: when the engine does not hold the policy; it must not be used any more.
        """
        import torch

        pause = self.spec.transport is Transport.MERGED or not torch.cuda.is_available()
        work = self.loop.call(lambda engine: self._publish(engine, update), drain=pause)
        return await asyncio.wrap_future(work)

    async def logprobs(self, policy: PolicyRef, ids: tuple[int, ...]) -> tuple[float, ...]:
        """The engine's logprobs (temperature 1) of ids[1:], computed without the prefix cache."""
        probe = Probe(ids, (), None)
        work = self.loop.call(lambda engine: self._answer(engine, policy, probe), drain=True)
        return await asyncio.wrap_future(work)

    def stats(self) -> EngineStats:
        """Counters since the start."""
        return self.loop.stats()

    @property
    def lost(self) -> str | None:
        """Why the engine is lost, or None."""
        return self.loop.lost

    def close(self) -> None:
        """Stop the engine; requests that still run are lost."""
        self.loop.stop()
        self.delivery.close()

    # On the engine's thread

    def _prepare(self, request: SampleRequest) -> Prepared:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        room = self.spec.max_context - len(request.ids)
        if room < 1:
            raise ValueError(
                f"{request.key} has {len(request.ids)} tokens, which leaves no room to sample in "
                f"a context of {self.spec.max_context}; end the trajectory or raise max_context"
            )
        sampling = request.sampling
        params = SamplingParams(
            temperature=sampling.temperature,
            max_tokens=min(sampling.max_tokens, room),
            seed=request.seed,
            stop_token_ids=list(sampling.stop_ids),
            ignore_eos=True,  # only the request's own stop ids end a turn
            logprobs=0,  # the sampled token's only
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
        )
        return self._routed(request.policy, request.ids, params)

    def _routed(self, policy: PolicyRef, ids: Any, params: Any) -> Prepared:
        from vllm import TokensPrompt

        route = self.delivery.route(policy)
        prompt = TokensPrompt(prompt_token_ids=list(ids))
        if route.salt is not None:
            prompt["cache_salt"] = route.salt
        return Prepared(prompt, params, route.lora, route.policy)

    def _publish(self, engine: LLMEngine, update: PolicyUpdate) -> DeliveryReceipt:
        def answer(policy: PolicyRef, probe: Probe) -> tuple[float, ...]:
            return self._answer(engine, policy, probe)

        self._prover.look(update.probe, answer)
        began = time.perf_counter()
        digest = self.delivery.deliver(engine, update)
        swapped = time.perf_counter()
        transport = self.delivery.transport
        error, stale, decisive = self._prover.prove(update, transport, digest, answer)
        return DeliveryReceipt(
            self.engine.engine,
            update.ref,
            transport,
            digest,
            error,
            stale,
            decisive,
            swapped - began,
            time.perf_counter() - swapped,
        )

    def _answer(self, engine: LLMEngine, policy: PolicyRef, probe: Probe) -> tuple[float, ...]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            prompt_logprobs=0,
            flat_logprobs=True,
            detokenize=False,
            skip_reading_prefix_cache=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = self.loop.ask_now(engine, self._routed(policy, probe.ids, params))
        found: Any = output.prompt_logprobs
        return tuple(found.logprobs)


async def _answered(asked: Future[Answer]) -> Sampled:
    """The answer in our words; vLLM says "stop" for a stop id and "length" for a limit."""
    answer = await asyncio.wrap_future(asked)
    completion = answer.output.outputs[0]
    logprobs: Any = completion.logprobs
    times = answer.output.metrics
    prefill = decode = 0.0
    if times is not None:
        prefill = times.first_token_ts - times.scheduled_ts
        decode = times.last_token_ts - times.first_token_ts
    return Sampled(
        ids=tuple(completion.token_ids),
        logprobs=tuple(logprobs.logprobs),
        finish="stop" if completion.finish_reason == "stop" else "length",
        policy=answer.policy,
        prefill=prefill,
        decode=decode,
    )


def _build(spec: EngineSpec) -> LLMEngine:
    import torch
    from vllm import LLMEngine

    if torch.cpu._is_amx_tile_supported():
        # vLLM's bfloat16 kernels use AMX tiles without asking the kernel for them, and die (SIGILL)
        torch.cpu._init_amx()
    engine = LLMEngine.from_engine_args(_engine_args(spec))
    engine.logger_manager = None  # our own counters; vLLM's cost time in every step
    return engine


def _engine_args(spec: EngineSpec) -> EngineArgs:
    import torch
    from vllm import EngineArgs

    settings: dict[str, Any] = {}
    if not torch.cuda.is_available():
        # A seeded request whose prompt is prefilled in chunks crashes vLLM's CPU sampler.
        settings |= {"enable_chunked_prefill": False, "block_size": 32}
        settings |= {"kv_cache_memory_bytes": int(spec.kv_cache_gib * 2**30)}
    if spec.transport is Transport.ADAPTER:
        rank = next((each for each in _RANKS if each >= spec.lora_rank), _RANKS[-1])
        settings |= {"enable_lora": True, "max_lora_rank": rank}
        settings |= {"max_loras": spec.max_loras, "max_cpu_loras": spec.max_loras}
    return EngineArgs(
        model=spec.model,
        dtype=spec.dtype,
        max_model_len=spec.max_context,
        max_num_seqs=spec.max_inflight,
        max_num_batched_tokens=max(_PREFILL, spec.max_context),
        enforce_eager=spec.enforce_eager,
        tensor_parallel_size=spec.tensor_parallel,
        seed=spec.seed,
        enable_prefix_caching=spec.prefix_caching,
        logprobs_mode="processed_logprobs",  # those of the distribution that is sampled from
        generation_config="vllm",  # no sampling defaults or stop ids from the model's files
        skip_tokenizer_init=True,
        use_tqdm_on_load=False,
        disable_log_stats=False,  # the requests' timings come from there
        **settings,
    )
