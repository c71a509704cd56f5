"""A fake provider of models on this machine: it speaks the APIs of five, and keeps the ledger of what it answered."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeAlias

from tests.recordings.provider import anthropic_api, bedrock_api, google_api, ollama_api, openai_api
from tests.recordings.provider.ledger import ProviderLedger
from tests.recordings.provider.talk import Answer, Prompt

Endpoint: TypeAlias = Callable[[Prompt, ProviderLedger], Answer]

ENDPOINTS: Final[tuple[tuple[str, Endpoint], ...]] = (
    (r"/v1/chat/completions", openai_api.chat),
    (r"/v1/responses", openai_api.responses),
    (r"/v1/embeddings", openai_api.embeddings),
    (r"/v1/messages", anthropic_api.messages),
    (r"/v1/messages/count_tokens", anthropic_api.count_tokens),
    (r"/v1(?:beta)?/models/(?P<model>[^/:]+):(?P<method>\w+)", google_api.generate),
    (r"/model/(?P<model>[^/]+)/(?P<method>converse|converse-stream)", bedrock_api.converse),
    (r"/api/(?P<method>chat|embed)", ollama_api.answer),
)


@dataclass(frozen=True, slots=True)
class Provider:
    """A running provider.

    Attributes:
        url: where it answers.
        ledger: of what it answered.
    """

    url: str
    ledger: ProviderLedger


def answer(path: str, body: Mapping[str, Any], ledger: ProviderLedger, user: str | None) -> Answer:
    """Return what the API of some provider says to a request."""
    for pattern, endpoint in ENDPOINTS:
        if matched := re.fullmatch(pattern, path):
            return endpoint(Prompt(body, matched.groupdict(), user), ledger)
    return Answer(404, {"error": {"message": f"there is no {path}"}})


@contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider for the length of a `with` block."""
    ledger = ProviderLedger()

    class ProviderHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = answer(self.path.partition("?")[0].replace("%3A", ":"), body, ledger, self.headers["x-user"])
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if isinstance(said.body, dict):
                self._whole(json.dumps(said.body).encode())
            else:
                self._chunked(said.body)

        def _whole(self, body: bytes) -> None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _chunked(self, chunks: Iterable[bytes]) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in (*chunks, b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    with serving(ProviderHandler) as url:
        yield Provider(url, ledger)


class BusyServer(ThreadingHTTPServer):
    """Takes many connections at once, as a program makes them that asks many things at once."""

    request_queue_size = 128
    daemon_threads = True


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of this machine for the length of a `with` block; yield the address."""
    with BusyServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
