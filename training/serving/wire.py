"""What comes over the wire: chat completion requests and replies in OpenAI's form.

Owns validation; refuses, by name, every field that would silently mean nothing here. Fields that
only label a request are taken and ignored.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from tooldojo.rollouts.chat import Message, ParsedTurn
from tooldojo.verifiers.records import Json

One = Annotated[float, Field(ge=1, le=1)]


class RequestError(Exception):
    """A request that cannot be answered: HTTP status, OpenAI's error code, one line."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Part(BaseModel):
    type: Literal["text"]
    text: str


class _Function(BaseModel):
    name: str
    arguments: str


class _Call(BaseModel):
    function: _Function


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None


class _StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of `/v1/chat/completions`; fields that a caller may leave out have OpenAI's
    defaults.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    tools: list[dict[str, Any]] | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    seed: int | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    # Only as they are here anyway:
    n: One | None = None
    top_p: One | None = None
    tool_choice: Literal["auto"] | None = None
    parallel_tool_calls: Literal[True] | None = None
    # Labels:
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None

    @property
    def limit(self) -> int | None:
        """Tokens that the caller wants at most."""
        return self.max_completion_tokens or self.max_tokens

    def dialogue(self) -> list[Message]:
        """The messages as `rollouts.dialogues` takes them.

        Raises:
            RequestError: for a call whose arguments are no JSON object.
        """
        return [_plain(number, message) for number, message in enumerate(self.messages)]


def read_request(body: bytes) -> ChatRequest:
    """A request from its JSON.

    Raises:
        RequestError: naming the first bad field, its value and what is allowed.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        if first["type"] == "extra_forbidden":
            raise RequestError(400, "unsupported", f"{where} is not supported here") from None
        raise RequestError(400, "invalid_request", f"{where}: {first['msg'].lower()}") from None


def as_sent_back(message: Message) -> Message:
    """A reply as `ChatRequest.dialogue` reads it, once a client has sent it back."""
    return _plain(0, _Message.model_validate(message))


def _plain(number: int, message: _Message) -> Message:
    content = message.content
    text = "".join(p.text for p in content) if isinstance(content, list) else content or ""
    role = "system" if message.role == "developer" else message.role
    plain: Message = {"role": role, "content": text}
    if message.tool_calls:
        plain["tool_calls"] = [
            _plain_call(f"messages.{number}.tool_calls.{place}", call.function)
            for place, call in enumerate(message.tool_calls)
        ]
    return plain


def _plain_call(where: str, function: _Function) -> Json:
    try:
        arguments = json.loads(function.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        line = f"{where}.function.arguments: should be a JSON object as text"
        raise RequestError(400, "invalid_request", line)
    return {"type": "function", "function": {"name": function.name, "arguments": arguments}}


def reply_message(name: str, parsed: ParsedTurn, cut: bool) -> Message:
    """A turn as OpenAI's assistant message. What is no whole, well-formed turn is text."""
    if cut or parsed.malformed:
        return {"role": "assistant", "content": parsed.text}
    message: Message = {"role": "assistant", "content": parsed.message}
    if parsed.thought:
        message["reasoning_content"] = parsed.thought
    if parsed.calls:
        message["tool_calls"] = [
            {
                "id": f"{name}-{place}",
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for place, call in enumerate(parsed.calls)
        ]
    return message
