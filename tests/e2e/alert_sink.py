"""A receiver of alerts, and of heartbeats, that a test may have be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class AlertSink:
    """What came.

    Attributes:
        url: where to send.
        bodies: that were taken.
        beats: how often somebody asked for `/beat`.
        is_up: whether messages are taken; otherwise they are answered with 503.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.bodies: list[Any] = []
        self.beats = 0
        self.is_up = True

    def told(self) -> dict[str, tuple[str, str]]:
        """Return status and subject of each notification, by its id: also of those that a summary says were missed."""
        notifications = [one for body in self.bodies for one in body.get("missed", [body])]
        return {one["id"]: (one["status"], one["subject"]["name"]) for one in notifications}


@contextmanager
def alert_sink() -> Iterator[AlertSink]:
    """Run a receiver for the length of a `with` block."""

    class AlertHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if sink.is_up:
                sink.bodies.append(body)
            self.answer(200 if sink.is_up else 503)

        def do_GET(self) -> None:
            sink.beats += 1
            self.answer(200)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), AlertHandler) as server:
        server.daemon_threads = True
        sink = AlertSink(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join(10)
