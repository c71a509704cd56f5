"""Keeps OTLP requests as they were sent, and reads and writes them as files."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

from tests.recordings.provider.server import serving


class SentRequest(NamedTuple):
    """An OTLP request, its body decompressed."""

    path: str
    content_type: str
    body: bytes


@contextmanager
def sink() -> Iterator[tuple[str, list[SentRequest]]]:
    """Take OTLP over HTTP for the length of a `with` block; yield the address and the list of what has come."""
    taken: list[SentRequest] = []

    class SinkHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            taken.append(SentRequest(self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _body(self) -> bytes:
            if self.headers["Transfer-Encoding"] != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    with serving(SinkHandler) as url:
        yield url, taken


def write(file: Path, requests: Sequence[SentRequest]) -> None:
    """Write requests, one a line; equal requests make equal files."""
    lines = [json.dumps([path, kind, base64.b64encode(body).decode()]) for path, kind, body in requests]
    file.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def read(file: Path) -> list[SentRequest]:
    """Read what was written."""
    lines = map(json.loads, gzip.decompress(file.read_bytes()).decode().splitlines())
    return [SentRequest(path, kind, base64.b64decode(body)) for path, kind, body in lines]
