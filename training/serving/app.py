"""The HTTP side of `tooldojo serve`: `/v1/models`, `/v1/chat/completions`, streaming, errors.

A stream is the whole reply in one piece, since calls can only be read from a whole turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tooldojo.training.serving.service import ChatReply, PolicyService
from tooldojo.training.serving.wire import ChatRequest, RequestError, read_request
from tooldojo.verifiers.records import Json


def build_app(service: PolicyService) -> Starlette:
    """The ASGI application of a service."""
    handlers = _Handlers(service)
    return Starlette(
        routes=[
            Route("/v1/models", handlers.models, methods=["GET"]),
            Route("/v1/chat/completions", handlers.complete, methods=["POST"]),
        ],
        exception_handlers={RequestError: _refused},
    )


@dataclass(frozen=True, slots=True)
class _Handlers:
    service: PolicyService

    async def models(self, _: Request) -> Response:
        entry = {"id": self.service.served.name, "object": "model", "owned_by": "tooldojo"}
        return JSONResponse({"object": "list", "data": [{**entry, "created": 0}]})

    async def complete(self, http: Request) -> Response:
        request = read_request(await http.body())
        reply = await self.service.answer(request)
        if request.stream:
            return StreamingResponse(_stream(request, reply), media_type="text/event-stream")
        choice = {"index": 0, "message": reply.message, "finish_reason": reply.finish}
        whole = {**_head(request, reply, "chat.completion"), "choices": [choice]}
        return JSONResponse({**whole, "usage": _usage(reply)})


def _stream(request: ChatRequest, reply: ChatReply) -> Iterator[str]:
    head = _head(request, reply, "chat.completion.chunk")
    delta = dict(reply.message)
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{**c, "index": i} for i, c in enumerate(calls)]  # type: ignore[dict-item]
    yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
    if request.stream_options and request.stream_options.include_usage:
        yield _event({**head, "choices": [], "usage": _usage(reply)})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Json]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _head(request: ChatRequest, reply: ChatReply, kind: str) -> dict[str, Json]:
    return {"id": reply.name, "object": kind, "created": reply.created, "model": request.model}


def _usage(reply: ChatReply) -> dict[str, Json]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens,
        "total_tokens": reply.prompt_tokens + reply.tokens,
    }


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    told = {"message": str(error), "type": kind, "param": None, "code": error.code}
    return JSONResponse({"error": told}, status_code=error.status)
