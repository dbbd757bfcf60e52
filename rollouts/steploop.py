"""The thread that owns an engine: requests in by a queue, futures out to any event loop.

Refuses to know policies or transports. Invariant: nothing but this thread touches the engine, and
every future handed out is settled: by an answer, by an error, or by `EngineLost` when the thread
dies or makes no progress for `deadline` seconds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.sampler import EngineLost

if TYPE_CHECKING:
    from vllm import LLMEngine, RequestOutput, SamplingParams, TokensPrompt
    from vllm.lora.request import LoRARequest


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as the engine takes it, and the policy that will answer it."""

    prompt: TokensPrompt
    params: SamplingParams
    lora: LoRARequest | None
    policy: PolicyRef


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered, and which policy it was."""

    output: RequestOutput
    policy: PolicyRef


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the engine started; take differences for a period. Seconds are wall clock.

    busy_seconds: spent inside engine steps. empty_seconds: without any request. prompt_tokens
    counts cached ones too.
    """

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    sampled_tokens: int = 0
    steps: int = 0
    busy_seconds: float = 0.0
    empty_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def prefix_hit_share(self) -> float:
        """Share of prompt tokens that the prefix cache already had."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def idle_share(self) -> float:
        """Share of wall clock without an engine step."""
        return 1.0 - self.busy_seconds / self.seconds if self.seconds else 0.0

    @property
    def empty_share(self) -> float:
        """Share of wall clock without a request: there was nothing to step, however fast."""
        return self.empty_seconds / self.seconds if self.seconds else 0.0

    def since(self, earlier: EngineStats) -> EngineStats:
        """The counters of the period after `earlier`."""
        pairs = zip(astuple(self), astuple(earlier), strict=True)
        return EngineStats(*(now - before for now, before in pairs))

    def __add__(self, other: EngineStats) -> EngineStats:
        """The counters of two engines together; seconds become engine-seconds."""
        return EngineStats(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def to_metrics(self) -> dict[str, float]:
        """The shares by which an engine's use is judged."""
        return {
            "engine/idle": self.idle_share,
            "engine/empty": self.empty_share,
            "engine/prefix_hits": self.prefix_hit_share,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    prepare: Callable[[], Prepared]
    future: Future[Answer]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Requests between which no step may lie."""

    asks: tuple[_Ask, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    work: Callable[[LLMEngine], Any]
    future: Future[Any]
    drain: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    future: Future[Answer]
    policy: PolicyRef


class StepLoop:
    """Steps one engine for as long as there is work.

    Jobs start in the order they come. A call with `drain` waits until no request runs, and holds
    back what was submitted after it.
    """

    def __init__(self, build: Callable[[], LLMEngine], deadline: float) -> None:
        self._build, self._deadline = build, deadline
        self._inbox: SimpleQueue[_Batch | _Call | str | None] = SimpleQueue()
        self._waiting: deque[_Ask | _Call] = deque()
        self._running: dict[str, _Running] = {}
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._lost: str | None = None
        self._stopping = threading.Event()
        self._began = self._progress = time.monotonic()
        self._stats = EngineStats()
        self._empty_since: float | None = None
        self._issued = 0
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="engine-watchdog", daemon=True)

    def start(self) -> None:
        """Build the engine on its thread; returns when it is ready, raises what that raised."""
        self._thread.start()
        self._ready.result()
        self._watchdog.start()

    def submit(self, prepares: Sequence[Callable[[], Prepared]]) -> list[Future[Answer]]:
        """Sample; each `prepare` runs on the engine's thread when its request is admitted.

        No step lies between the requests. Cancelling a future aborts its request.
        """
        asks = tuple(_Ask(prepare, Future()) for prepare in prepares)
        self._send(_Batch(asks), *(ask.future for ask in asks))
        return [ask.future for ask in asks]

    def call(self, work: Callable[[LLMEngine], Any], drain: bool = False) -> Future[Any]:
        """Run `work` on the engine's thread between two steps."""
        future: Future[Any] = Future()
        self._send(_Call(work, future, drain), future)
        return future

    def ask_now(self, engine: LLMEngine, prepared: Prepared) -> RequestOutput:
        """Answer one request before anything else is admitted; only inside a `call`'s work."""
        future: Future[Answer] = Future()
        self._add(engine, prepared, future)
        while not future.done():
            self._step(engine)
        return future.result().output

    @property
    def lost(self) -> str | None:
        """Why the engine is lost, or None."""
        return self._lost

    def stats(self) -> EngineStats:
        """Counters so far."""
        with self._lock:
            now, stats, since = time.monotonic(), self._stats, self._empty_since
        empty = stats.empty_seconds + (0.0 if since is None else now - since)
        return replace(stats, empty_seconds=empty, seconds=now - self._began)

    def stop(self, patience: float = 10.0) -> None:
        """End the thread after the step that it is in; unfinished requests are lost."""
        self._stopping.set()
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(patience)
        self._lose("the engine was stopped")

    # Any thread

    def _send(self, job: _Batch | _Call, *futures: Future[Any]) -> None:
        with self._lock:
            if self._lost is not None:
                raise EngineLost(self._lost)
            if self._idle:
                self._progress = time.monotonic()
            self._open.update(futures)
        for future in futures:
            future.add_done_callback(self._open.discard)
        self._inbox.put(job)

    def _lose(self, why: str) -> None:
        with self._lock:
            self._lost = self._lost or why
            left = list(self._open)
        for future in left:
            _fail(future, EngineLost(self._lost))

    @property
    def _idle(self) -> bool:
        """Whether nothing is left to do: a cancelled request is, until the engine has let it go."""
        return not (self._open or self._running or self._waiting) and self._inbox.empty()

    def _watch(self) -> None:
        while not self._stopping.wait(min(1.0, self._deadline / 4)):
            stuck = time.monotonic() - self._progress
            if not self._idle and stuck > self._deadline:
                self._lose(
                    f"the engine made no progress for {stuck:.0f} s (rollout.deadline="
                    f"{self._deadline:g}); {len(self._open)} requests wait for it"
                )
                return

    # The engine's thread

    def _run(self) -> None:
        try:
            engine = self._build()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._began = self._empty_since = time.monotonic()
        self._ready.set_result(None)
        try:
            while not self._stopping.is_set() and self._lost is None:
                self._receive(engine, block=not self._running and not self._waiting)
                self._admit(engine)
                if self._running:
                    self._step(engine)
        except EngineLost as error:
            self._lose(str(error))
        finally:
            engine.engine_core.shutdown()

    def _receive(self, engine: LLMEngine, block: bool) -> None:
        while block or not self._inbox.empty():
            job = self._inbox.get()
            block = False
            if isinstance(job, _Batch):
                self._waiting.extend(job.asks)
            elif isinstance(job, _Call):
                self._waiting.append(job)
            elif job is not None and self._running.pop(job, None):
                engine.abort_request([job])
                self._note_empty()

    def _admit(self, engine: LLMEngine) -> None:
        while self._waiting:
            job = self._waiting[0]
            if isinstance(job, _Call) and job.drain and self._running:
                return
            self._waiting.popleft()
            if job.future.cancelled():
                continue
            try:
                if isinstance(job, _Call):
                    _settle(job.future, job.work(engine))
                else:
                    self._add(engine, job.prepare(), job.future)
            except EngineLost:
                raise
            except Exception as error:  # belongs to whoever asked; the engine goes on
                _fail(job.future, error)
            self._progress = time.monotonic()

    def _add(self, engine: LLMEngine, prepared: Prepared, future: Future[Answer]) -> None:
        self._issued += 1
        name = str(self._issued)
        engine.add_request(name, prepared.prompt, prepared.params, lora_request=prepared.lora)
        self._running[name] = _Running(future, prepared.policy)
        self._note_empty()
        future.add_done_callback(lambda done: self._inbox.put(name) if done.cancelled() else None)

    def _step(self, engine: LLMEngine) -> None:
        began = time.monotonic()
        try:
            outputs: list[Any] = engine.step()
        except Exception as error:
            raise EngineLost(f"the engine died: {type(error).__name__}: {error}") from error
        now = self._progress = time.monotonic()
        past, prompts = self._stats, [output.prompt_token_ids or () for output in outputs]
        self._stats = EngineStats(
            past.requests + len(outputs),
            past.prompt_tokens + sum(map(len, prompts)),
            past.cached_tokens + sum(output.num_cached_tokens or 0 for output in outputs),
            past.sampled_tokens + sum(len(output.outputs[0].token_ids) for output in outputs),
            past.steps + 1,
            past.busy_seconds + now - began,
            past.empty_seconds,
        )
        for output in outputs:
            running = self._running.pop(output.request_id)
            _settle(running.future, Answer(output, running.policy))
        self._note_empty()

    def _note_empty(self) -> None:
        """Open or close the span without a request."""
        since, now = self._empty_since, time.monotonic()
        if bool(self._running) == (since is None):
            return
        with self._lock:
            self._empty_since = None if self._running else now
            if since is not None:
                spent = self._stats.empty_seconds + now - since
                self._stats = replace(self._stats, empty_seconds=spent)


def _settle(future: Future[Any], result: object) -> None:
    with suppress(InvalidStateError):  # cancelled meanwhile
        future.set_result(result)


def _fail(future: Future[Any], error: Exception) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)
