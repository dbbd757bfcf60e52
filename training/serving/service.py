"""`PolicyService`: requests in, replies out, on our own sampler, chat and call format.

Owns the limits and what is recorded; refuses what the adapter was not trained for. Knows nothing of
HTTP (see `training.serving.app`). Invariant: a client that sends replies back as they were gets the
tokens that our own player would have got.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tooldojo.configs.schema import Recipe
from tooldojo.envs.seeding import derive_seed
from tooldojo.envs.task import Split, Task
from tooldojo.rollouts.chat import Chat, Message, TemplateError
from tooldojo.rollouts.dialogues import Dialogues, Prompt, Reply
from tooldojo.rollouts.records import PolicyRef
from tooldojo.rollouts.sampler import EngineLost, Sampled, Sampler, SampleRequest, SamplingSpec
from tooldojo.training.card import AdapterCard, system_prompt_hash
from tooldojo.training.players import OpenSampler
from tooldojo.training.serving.wire import (
    ChatRequest,
    RequestError,
    as_sent_back,
    reply_message,
)
from tooldojo.verifiers.records import Goal, Json

_NO_TASK = Task("", "", {}, Goal(), (), 1, Split.TEST)  # engines do not look at it


@dataclass(frozen=True, slots=True)
class Served:
    """What is served. system_prompts: hashes of those that the adapter knows, or None where any
    will do. seed: of requests that bring none.
    """

    name: str
    policy: PolicyRef
    max_context: int
    seed: int
    system_prompts: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """An answer before it goes onto the wire."""

    name: str
    created: int
    message: Message
    finish: str  # stop, length or tool_calls
    prompt_tokens: int
    tokens: int


class PolicyService:
    """Answers requests. record: a directory for everything that is asked and answered, or None."""

    def __init__(
        self, sampler: Sampler, chat: Chat, served: Served, record: Path | None = None
    ) -> None:
        self.sampler, self.chat, self.served = sampler, chat, served
        self._dialogues, self._numbers = Dialogues(chat), itertools.count()
        self._record: Path | None = None
        if record is not None:
            record.mkdir(parents=True, exist_ok=True)
            self._record = (
                record / f"dialogues-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
            )

    async def answer(self, request: ChatRequest) -> ChatReply:
        """The policy's next turn in a conversation.

        Raises:
            RequestError: for a request that cannot be answered, or when the engine is lost.
        """
        messages, tools = request.dialogue(), request.tools or []
        self._check(request, messages)
        try:
            prompt = self._dialogues.prompt(messages, tools)
        except TemplateError as error:
            raise RequestError(400, "invalid_request", str(error)) from None
        name = f"chatcmpl-{uuid.uuid4().hex[:16]}"
        ask = self._request(name, request, prompt)
        try:
            sampled = await self.sampler.sample(ask)
        except EngineLost as error:
            raise RequestError(503, "engine_lost", f"the engine is lost: {error}") from error
        parsed, cut = self.chat.parse(sampled.ids), sampled.finish == "length"
        message = reply_message(name, parsed, cut)
        ids, malformed = (*prompt.ids, *sampled.ids), parsed.malformed is not None
        reply = Reply(name, ids, malformed, parsed.spoken)
        self._dialogues.remember(messages, tools, as_sent_back(message), reply)
        finish = "length" if cut else "tool_calls" if "tool_calls" in message else "stop"
        self._keep(name, request, prompt, ask, sampled, message)
        sizes = len(prompt.ids), len(sampled.ids)
        return ChatReply(name, int(time.time()), message, finish, *sizes)

    def _check(self, request: ChatRequest, messages: Sequence[Message]) -> None:
        served = self.served
        if request.model != served.name:
            line = f"the model {request.model!r} does not exist; this is {served.name!r}"
            raise RequestError(404, "model_not_found", line)
        system = str(messages[0]["content"]) if messages[0]["role"] == "system" else ""
        known = served.system_prompts
        if known is not None and system_prompt_hash(system) not in known:
            raise RequestError(
                400,
                "unknown_system_prompt",
                "the adapter was not trained with this system prompt; send a world's own, or start "
                "the server with --any-system-prompt",
            )

    def _request(self, name: str, request: ChatRequest, prompt: Prompt) -> SampleRequest:
        served = self.served
        room = served.max_context - len(prompt.ids)
        if room < 1:
            raise RequestError(
                400,
                "context_length_exceeded",
                f"the conversation has {len(prompt.ids)} tokens, which leaves no room in a context "
                f"length of {served.max_context}",
            )
        seed = derive_seed(served.seed, "serve", next(self._numbers))
        temperature = 1.0 if request.temperature is None else request.temperature
        limit = min(room, request.limit or room)
        return SampleRequest(
            key=name,
            ids=prompt.ids,
            sampling=SamplingSpec(temperature, limit, self.chat.stop_ids),
            seed=seed if request.seed is None else request.seed,
            policy=served.policy,
            task=_NO_TASK,
            turn=0,
            results=(),
        )

    def _keep(
        self,
        name: str,
        request: ChatRequest,
        prompt: Prompt,
        ask: SampleRequest,
        sampled: Sampled,
        message: Message,
    ) -> None:
        """One line of JSON per reply; `continues` names the reply that its ids go on from."""
        if self._record is None:
            return
        line: dict[str, Json] = {
            "id": name,
            "continues": prompt.continues,
            "time": time.time(),
            "policy": asdict(sampled.policy),
            "messages": request.dialogue(),  # type: ignore[dict-item]
            "tools": request.tools or [],
            "reply": message,
            "prompt_ids": list(prompt.ids),
            "ids": list(sampled.ids),
            "logprobs": list(sampled.logprobs),
            "finish": sampled.finish,
            "temperature": ask.sampling.temperature,
            "seed": ask.seed,
        }
        with self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def open_service(
    recipe: Recipe, opened: OpenSampler, name: str, record: Path | None, any_system_prompt: bool
) -> PolicyService:
    """The service of an open sampler: with an adapter, only for the system prompts on its card."""
    known = None
    if opened.adapter is not None and not any_system_prompt:
        known = frozenset(AdapterCard.read(opened.adapter).conventions.system_prompts)
    served = Served(name, opened.policy, recipe.rollout.max_context, recipe.run.seed, known)
    return PolicyService(opened.sampler, opened.chat, served, record)
