from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otel_measure.alerting.delivery import http
from otel_measure.alerting.delivery.http import ReceiverReply, send_request
from tests.components import free_port

SECRET = "s3cret"


class AnsweringHandler(BaseHTTPRequestHandler):
    """Answers with the status that its path begins with, and notes what came."""

    seen: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        """Answer."""
        self.seen.append((self.command, self.path, body))
        status = int(self.path[1:4])
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200/elsewhere")
        if status == 429:
            self.send_header("Retry-After", "1000")
        if status == 503:
            self.send_header("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def base() -> Iterator[str]:
    """The address of a server that notes what it is asked."""
    AnsweringHandler.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), AnsweringHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_what_receivers_say(base: str) -> None:
    """Only 2xx is taken; a redirect is not followed; `Retry-After` counts in seconds, up to five minutes."""
    asked = {status: send_request(f"{base}/{status}/{SECRET}", b"{}", {}) for status in (204, 302, 400, 429, 503)}
    assert asked == {
        204: ReceiverReply(204),
        302: ReceiverReply(302, "it redirects, which is not followed: give the URL it redirects to (status 302)"),
        400: ReceiverReply(400, "refused (status 400)"),
        429: ReceiverReply(429, "refused (status 429)", 300.0),
        503: ReceiverReply(503, "refused (status 503)"),
    }
    assert [path for _, path, _ in AnsweringHandler.seen] == [f"/{status}/{SECRET}" for status in asked]
    assert [reply.is_taken for reply in asked.values()] == [True, False, False, False, False]


def test_a_request_without_a_body_is_a_get(base: str) -> None:
    """A heartbeat is asked for, a message is posted."""
    assert send_request(f"{base}/200/x", None, {}).is_taken
    assert send_request(f"{base}/200/x", b"m", {}).is_taken
    assert AnsweringHandler.seen == [("GET", "/200/x", b""), ("POST", "/200/x", b"m")]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"http://127.0.0.1:{{port}}/{SECRET}", "it cannot be reached (ConnectionError)"),
        (f"https://{{base}}/{SECRET}", "its certificate is not trusted"),
        (f"http://exa mple/{SECRET}", "it cannot be reached (InvalidURL)"),
    ],
)
def test_what_is_said_of_a_fault_holds_no_url(base: str, url: str, why: str) -> None:
    """Who may read a log may not read what lets one write to a receiver."""
    address = url.format(port=free_port(), base=base.removeprefix("http://"))
    assert send_request(address, b"{}", {}) == ReceiverReply(0, why)


def test_a_receiver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after some seconds."""
    monkeypatch.setattr(http, "TIMEOUT_S", 0.05)

    class SilentServer(ThreadingHTTPServer):
        """Takes connections, and does nothing with them."""

        def process_request(self, request: object, client_address: object) -> None:
            """Keep it open."""
            self.kept = request

    with SilentServer(("127.0.0.1", 0), AnsweringHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        reply = send_request(f"http://127.0.0.1:{server.server_port}/{SECRET}", b"{}", {})
        server.shutdown()
        thread.join(10)
        server.kept.close()  # type: ignore[attr-defined]
    assert reply == ReceiverReply(0, "no answer within 0.05 s")
