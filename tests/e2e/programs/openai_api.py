"""A local server that speaks the OpenAI API: chat completions, plain and streamed. Argument: the port."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "gpt-4o-2024-08-06"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
WORDS = ("All", " is", " well", ".")
TOOK_S = 0.02


def completion(**choice: Any) -> dict[str, Any]:
    """Return an answer with one choice."""
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}


def chunks(*, usage: bool) -> Iterator[dict[str, Any]]:
    """Yield a streamed answer."""
    for word in WORDS:
        yield completion(index=0, delta={"role": "assistant", "content": word}, finish_reason=None)
    yield completion(index=0, delta={}, finish_reason="stop")
    if usage:
        yield completion() | {"choices": [], "usage": USAGE}


class OpenAiHandler(BaseHTTPRequestHandler):
    """Answers completions; the model `broken` fails."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say that it is there."""
        self._send(200, b"{}")

    def do_POST(self) -> None:
        """Answer a completion."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(TOOK_S)
        if asked["model"] == "broken":
            self._send(400, json.dumps({"error": {"message": "broken", "type": "invalid_request_error"}}).encode())
        elif asked.get("stream"):
            usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            parts = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks(usage=usage)]
            self._send(200, "".join([*parts, "data: [DONE]\n\n"]).encode(), "text/event-stream")
        else:
            said = {"role": "assistant", "content": "".join(WORDS)}
            answer = completion(index=0, message=said, finish_reason="stop") | {"usage": USAGE}
            self._send(200, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), OpenAiHandler).serve_forever()
