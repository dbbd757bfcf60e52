"""`EndpointSampler`: an OpenAI-compatible endpoint as a player of turns, for baselines.

Owns the way from a trajectory to the endpoint's messages and from its answer to tokens of our own
chat. Those tokens are a record: the endpoint sampled others, so no logprob is known and nothing
can train on them. Invariant: the world sees exactly the calls that the endpoint parsed, or the
error that the call format has for text that is none.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence

from tooldojo.envs.registry import world_class
from tooldojo.envs.task import Call, GoldTurn, Task
from tooldojo.rollouts.chat import Chat
from tooldojo.rollouts.endpoint import Completion, Endpoint, Message, RawCall
from tooldojo.rollouts.formats import CallFormat
from tooldojo.rollouts.records import EngineId
from tooldojo.rollouts.sampler import PastTurn, Sampled, SampleRequest
from tooldojo.verifiers.records import Json

NO_LIMIT = 2**20  # tokens of a turn or trajectory in our own count; the endpoint has its own limits
_HOLDER = "qz7xk"  # an argument that stands for text that is no JSON


class EndpointSampler:
    """Keeps nothing between turns: a request's history says what was said before."""

    def __init__(self, endpoint: Endpoint, chat: Chat) -> None:
        self.endpoint, self.chat = endpoint, chat
        self.engine = EngineId(endpoint.name, "openai", os.getpid(), platform.node())

    async def sample(self, request: SampleRequest) -> Sampled:
        """Ask for the next turn.

        Raises:
            EngineLost, ContextFull: see `Sampler`.
            EndpointError: where no retry helps.
        """
        began = time.perf_counter()
        world = world_class(request.task.env)
        completion = await self.endpoint.complete(
            conversation(request.task, request.history, self.chat.format),
            [spec.schema for spec in world.listed_tools()],
            temperature=request.sampling.temperature,
            seed=request.seed,
        )
        ids = self.chat.written_ids(turn_text(completion, self.chat.format))
        if completion.cut:
            ids = ids[:-1] or self.chat.written_ids(" ")[:-1]  # a turn has at least one token
        unknown = (float("nan"),) * len(ids)
        finish = "length" if completion.cut else "stop"
        seconds = time.perf_counter() - began
        return Sampled(tuple(ids), unknown, finish, request.policy, 0.0, seconds)


def conversation(task: Task, history: Sequence[PastTurn], form: CallFormat) -> list[Message]:
    """A trajectory so far as messages; a malformed turn's error comes from the user, since there is
    no call that it could answer. Thoughts are left out, except of such a turn.
    """
    system = world_class(task.env).system_prompt
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": task.prompt})
    for number, past in enumerate(history):
        parsed = form.parse(past.text)
        if not parsed.calls:
            said = past.text if parsed.malformed else parsed.message
            messages.append({"role": "assistant", "content": said})
            messages.append({"role": "user", "content": "\n".join(past.results)})
            continue
        ids = [f"call_{number}_{place}" for place in range(len(parsed.calls))]
        calls: list[Json] = [
            _call_message(name, call) for name, call in zip(ids, parsed.calls, strict=True)
        ]
        messages.append({"role": "assistant", "content": parsed.message, "tool_calls": calls})
        for name, result in zip(ids, past.results, strict=True):
            messages.append({"role": "tool", "tool_call_id": name, "content": result})
    return messages


def _call_message(name: str, call: Call) -> Json:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": name,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def turn_text(completion: Completion, form: CallFormat) -> str:
    """An answer as the call format writes it; what it cannot write becomes text that it refuses,
    saying why.
    """
    message = completion.message.strip()
    calls = tuple(found for call in completion.calls if (found := _read(call)) is not None)
    if len(calls) == len(completion.calls):
        for thought in dict.fromkeys((completion.thought, "")):
            try:
                return form.render(GoldTurn(thought, calls, message))
            except ValueError:
                continue  # without its thought it may be writable
    return "\n".join(_raw(call, form) for call in completion.calls) or message


def _read(call: RawCall) -> Call | None:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return Call(call.name, arguments) if isinstance(arguments, dict) else None


def _raw(call: RawCall, form: CallFormat) -> str:
    """A call with its arguments as they came, JSON or not."""
    plain = form.render(GoldTurn("", (Call(_HOLDER, {_HOLDER: 0}),)))
    holder = json.dumps({_HOLDER: 0})
    return plain.replace(holder, call.arguments).replace(_HOLDER, call.name)
