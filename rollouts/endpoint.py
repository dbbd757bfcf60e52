"""`Endpoint`: an OpenAI-compatible server as its client sees it.

Owns requests, retries, pacing and what they cost; refuses to read meaning into an answer (see
`rollouts.endpoint_sampler`). Invariant: a failure that another request might not meet is
`EngineLost`, one that every request would meet is `EndpointError`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tooldojo.configs.schema import EndpointSection
from tooldojo.rollouts.sampler import ContextFull, EngineLost
from tooldojo.verifiers.records import Json

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

Message = dict[str, Json]
PREFIX = "openai:"
_TOO_LONG = re.compile(r"context.length|maximum context|too many tokens", re.IGNORECASE)


class EndpointError(RuntimeError):
    """An endpoint cannot be used as asked; one line says why and what to do."""


def endpoint_keys(policy: str) -> tuple[str, ...]:
    """The recipe keys that `openai:MODEL@URL` stands for.

    Raises:
        EndpointError: for any other form.
    """
    model, at, url = policy.removeprefix(PREFIX).rpartition("@")
    if not (policy.startswith(PREFIX) and at and model and re.match(r"https?://\S", url)):
        raise EndpointError(
            f"the policy {policy!r} is not of the form openai:MODEL@URL; "
            "say openai:qwen@http://localhost:8000/v1"
        )
    return ('rollout.engine="openai"', f'endpoint.model="{model}"', f'endpoint.url="{url}"')


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked so far: answered requests, tokens in the endpoint's own count, US dollars."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class RawCall:
    """A call as the endpoint parsed it; `arguments` is meant to be a JSON object, but is text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. cut: a limit on tokens ended it."""

    thought: str
    message: str
    calls: tuple[RawCall, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """What belongs to one event loop: connections, and whose request is the next to start."""

    client: AsyncOpenAI
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Endpoint:
    """A client that may be used from any event loop, one at a time. `usage` grows with answers."""

    def __init__(self, section: EndpointSection) -> None:
        """Nothing is sent yet; see `check`.

        Raises:
            EndpointError: where the address, the model or the package `openai` is missing.
        """
        for key in ("url", "model"):
            if not getattr(section, key):
                raise EndpointError(
                    f'rollout.engine = "openai" needs endpoint.{key}; '
                    "set it, or say --policy openai:MODEL@URL"
                )
        if importlib.util.find_spec("openai") is None:
            raise EndpointError("an endpoint needs the package openai; install tooldojo[endpoint]")
        if section.budget and not (section.input_price or section.output_price):
            raise EndpointError(
                f"endpoint.budget={section.budget:g} means nothing without prices; set "
                "endpoint.input_price and endpoint.output_price"
            )
        self.section, self.usage = section, Usage()
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._free = 0.0  # when the next request may start, of time.monotonic

    @property
    def name(self) -> str:
        """Model and address."""
        return f"{self.section.model}@{self.section.url}"

    def at_once(self, wanted: int) -> int:
        """How many of `wanted` requests may be open: as many as start within half of `patience`."""
        per_minute = self.section.requests_per_minute
        most = int(per_minute * self.section.patience / 120)
        return min(wanted, max(1, most)) if per_minute else wanted

    async def check(self) -> None:
        """Find out whether anything answers there.

        Raises:
            EndpointError: when nothing does, or it does not take the key.
        """
        import openai

        try:
            async with self._new(retries=0) as client:
                await client.models.list()
        except (openai.APIConnectionError, openai.AuthenticationError) as error:
            raise EndpointError(
                f"{self.section.url} cannot be used: {_told(error)}; check endpoint.url, "
                f"the server, and the key in {self.section.key_variable}"
            ) from error
        except openai.APIStatusError:
            pass  # not every server lists its models

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Json]] = (),
        *,
        temperature: float,
        seed: int,
    ) -> Completion:
        """One answer to a conversation; tools are OpenAI-style schemas.

        Raises:
            ContextFull: when the conversation is too long for the endpoint.
            EngineLost: after the last retry.
            EndpointError: where no retry helps, and once the budget is spent.
        """
        import openai

        section = self.section
        if section.budget and self.usage.cost >= section.budget:
            raise EndpointError(
                f"endpoint.budget={section.budget:g} is spent: {self.usage.cost:.4g} dollars for "
                f"{self.usage.requests} answers; raise it to go on"
            )
        body: dict[str, Any] = {"temperature": temperature, "seed": seed % 2**31}
        body = {key: value for key, value in body.items() if key not in section.leave_out}
        if tools:
            body["tools"] = list(tools)
        line = await self._line()
        await self._paced(line.turn)
        try:
            answer: ChatCompletion = await line.client.chat.completions.create(
                model=section.model,
                messages=messages,  # type: ignore[arg-type]
                max_completion_tokens=section.max_turn_tokens,
                **body,
            )
        except openai.BadRequestError as error:
            if error.code == "context_length_exceeded" or _TOO_LONG.search(error.message):
                raise ContextFull(_told(error)) from error
            raise EndpointError(f"{self.name} refuses the request: {_told(error)}") from error
        except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as e:
            raise EngineLost(f"{self.name} gave no answer: {_told(e)}") from e
        except openai.APIStatusError as error:
            raise EndpointError(f"{self.name} refuses the request: {_told(error)}") from error
        self._count(answer)
        return _completion(answer)

    def judge(
        self, system: str = "", temperature: float = 0.0, seed: int = 0
    ) -> Callable[[str], Awaitable[str]]:
        """From a prompt to the answer's text; raises what `complete` raises."""
        head: list[Message] = [{"role": "system", "content": system}] if system else []

        async def ask(prompt: str) -> str:
            user: Message = {"role": "user", "content": prompt}
            answer = await self.complete([*head, user], temperature=temperature, seed=seed)
            return answer.message

        return ask

    async def _line(self) -> _Line:
        """That of the running loop, for connections cannot be carried to another one; those of
        loops that have ended are dropped.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            ended = [self._lines.pop(each) for each in list(self._lines) if each.is_closed()]
            self._lines[loop] = _Line(self._new(self.section.retries))
            for line in ended:
                with suppress(RuntimeError):  # its connections cannot say goodbye without a loop
                    await line.client.close()
        return self._lines[loop]

    def _new(self, retries: int) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            base_url=self.section.url,
            api_key=os.environ.get(self.section.key_variable) or "none",
            timeout=self.section.timeout,
            max_retries=retries,
        )

    async def _paced(self, turn: asyncio.Lock) -> None:
        """Wait in line; who is cancelled there leaves the place to the next."""
        if self.section.requests_per_minute:
            async with turn:
                await asyncio.sleep(self._free - time.monotonic())
                self._free = time.monotonic() + 60 / self.section.requests_per_minute

    def _count(self, answer: ChatCompletion) -> None:
        read = answer.usage.prompt_tokens if answer.usage else 0
        written = answer.usage.completion_tokens if answer.usage else 0
        cost = read * self.section.input_price + written * self.section.output_price
        self.usage += Usage(1, read, written, cost / 1e6)


def _completion(answer: ChatCompletion) -> Completion:
    choice = answer.choices[0]
    said = choice.message
    extra = said.model_extra or {}
    thought = extra.get("reasoning_content") or extra.get("reasoning") or ""
    calls = tuple(
        RawCall(call.function.name, call.function.arguments)
        for call in said.tool_calls or ()
        if call.type == "function"
    )
    message = said.content or said.refusal or ""
    return Completion(str(thought), message, calls, choice.finish_reason == "length")


def _told(error: Exception) -> str:
    """What an error says, with what it hides behind "Connection error."."""
    text = " ".join(str(error).split())
    return f"{text} ({error.__cause__})" if error.__cause__ else text
