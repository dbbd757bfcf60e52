"""The scripted policy behind an OpenAI-compatible endpoint, for verifiers 0.4.

python -m env_peers.verifiers_endpoint

Streams chat completions; prints its port. Its CPU time is the policy's, not the environment's.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from env_peers.shop import ANSWER, CALLS


def said(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The next turn by the number of assistant messages so far, as a streamed delta."""
    turn = sum(message["role"] == "assistant" for message in messages)
    if turn >= len(CALLS):
        return {"role": "assistant", "content": ANSWER}
    wanted, given = CALLS[turn]
    offered = [tool["function"]["name"] for tool in tools]
    name = next(each for each in offered if each.endswith(wanted))  # servers may prefix names
    function = {"name": name, "arguments": json.dumps(given)}
    call = {"index": 0, "id": f"call_{turn}", "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}


class Policy(BaseHTTPRequestHandler):
    """One request, one turn."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer as events."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        delta = said(request["messages"], request.get("tools", []))
        finish = "tool_calls" if "tool_calls" in delta else "stop"
        head = {"id": "turn", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {**head, "choices": [], "usage": usage},
        ]
        events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        body = "".join([*events, "data: [DONE]\n\n"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


def main() -> None:
    """Serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Policy)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
