"""HTTP/1.1 by uvicorn and httptools, with limits that hold before a request is parsed.

uvicorn reads on whatever a client sends: header lines, heads of requests behind the one that is being answered, and
whoever connects and says nothing keeps a descriptor. Here bytes are counted before the parser is given them, a request
is parsed when the one before it is answered, and a connection whose client is slow makes room for others.

Bytes are fed in pieces that end where a message ends: a head at its empty line, a body at its length, a body in chunks
at an empty line as well. A piece that ended elsewhere would cost a few requests that are parsed too early, and nothing
else.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from http import HTTPStatus
from math import inf
from typing import Any, Final, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from exporter.http.envelope import error
from exporter.http.types import Header
from exporter.server.answering import AnswerTransport
from exporter.server.config import ServerConfig
from exporter.server.connections import UNREAD, Phase

_EMPTY_LINE: Final = b"\r\n\r\n"
_PREFACE: Final = b"PRI * HTTP/2.0\r\n"  # what a client of HTTP/2 says first (RFC 9113, 3.4)
_RETRY_AFTER: Final[tuple[Header, ...]] = ((b"retry-after", b"1"),)
_SMALL_HEAD_BYTES: Final = 4096  # what every connection may hold without being counted
_PROGRESS_BYTES: Final = 64 * 1024  # less of it in all the time is none
_FED: Final = frozenset({Phase.HEAD, Phase.BODY})


class Refusal(NamedTuple):
    """Why a connection is closed: what the log says, and the answer."""

    kind: str
    answer: bytes


def _refusal(status: int, kind: str, message: str, headers: tuple[Header, ...] = ()) -> Refusal:
    content = error(status, message, (*headers, (b"connection", b"close")))
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%s: %s" % header for header in content.headers]
    lines += [b"content-length: %d" % len(content.body), b"", content.body]
    return Refusal(kind, b"\r\n".join(lines))


NO_ROOM: Final = _refusal(503, "", "too many connections are open; try again", _RETRY_AFTER).answer
MALFORMED: Final = _refusal(400, "a request was refused: it is not valid HTTP/1.1", "the request is not valid HTTP/1.1")
HTTP_2: Final = _refusal(
    400,
    "a request was refused: it is HTTP/2, as senders of OTLP over gRPC speak: let them send OTLP/HTTP"
    " (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf), or send to port 4317 of a server with otel-measure[grpc]",
    "this port speaks HTTP/1.1: send OTLP/HTTP here, and OTLP over gRPC to port 4317",
)
LARGE_HEAD: Final = _refusal(
    431, "a request was refused: its head is too large", "request line and headers must have at most 64 KiB"
)
MANY_LINES: Final = _refusal(
    431, "a request was refused: it has too many header lines", "a request must have at most 100 header lines"
)
LONG_TARGET: Final = _refusal(
    414, "a request was refused: its target is too long", "path and query must have at most 8 KiB"
)
TRANSFER_CODING: Final = _refusal(
    501, "a request was refused: its transfer coding is not known", "the one transfer coding that is known is chunked"
)
SMALL_CHUNKS: Final = _refusal(
    400, "a request was refused: its chunks are too small",
    "the chunks of a body must have at least 512 bytes on average, the first 1,024 excepted",
)  # fmt: skip
SLOW_HEAD: Final = _refusal(
    408, "a request was refused: its head came too slowly", "request line and headers must arrive within 10 s"
)
SLOW_BODY: Final = _refusal(408, "a request was refused: its body came too slowly", "the body must arrive within 30 s")
MANY_BODIES: Final = _refusal(
    503, "a request was refused: too many bodies are being taken in",
    "the bodies that are being taken in are too large together; try again", _RETRY_AFTER,
)  # fmt: skip


class LimitedProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config, server_state, app_state, _loop: as uvicorn gives them.

    Attributes:
        handshake: of TLS; `None` for plain HTTP.
    """

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.phase = Phase.ANSWER
        self.held_bytes = 0
        self.body_bytes = 0
        self.handshake: asyncio.Task[None] | None = None
        self._shared = config.connections
        self._limits = config.connections.limits
        self._since_s = 0.0
        self._is_made = False
        self._requests = 0
        # Of the requests that were parsed: those without a whole answer, the one that is being answered first.
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._head_bytes = 0
        # Of the body: bytes that are still to come, `None` where only its last chunk tells.
        self._body_left: int | None = 0
        self._bytes_since_body = 0
        # Of a body in chunks: how many more there may be without another byte of it.
        self._chunks_left = 0
        self._earned_bytes = 0
        # Of what was received and not parsed: the bytes, and from where on they wait.
        self._rest = b""
        self._rest_from = 0
        self._refusal: Refusal | None = None
        self._unread_bytes = 0
        self._unread_since_s = 0.0

    # ------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection in, or say that there is no room."""
        self.transport = transport
        self._is_made = True
        self._since_s = self.loop.time()
        if self.phase is Phase.HANDSHAKE:
            self._shared.enter(self, Phase.HEAD)
        elif not self._shared.admit(self, Phase.HEAD, self.loop):
            self.phase = Phase.END
            transport.write(NO_ROOM)
            transport.close()
            return
        super().connection_made(transport)
        if self.client is None and self._is_of_network(transport):
            self.abort()  # gone already; without an address it would pass for a client of a Unix socket

    @staticmethod
    def _is_of_network(transport: asyncio.Transport) -> bool:
        sock: socket.socket | None = transport.get_extra_info("socket")
        return sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; no answer is written any more, which uvicorn says to the last request alone."""
        self._shared.left(self)
        self._rest = b""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what is of the request that is awaited; the rest has to wait."""
        self._unset_keepalive_if_required()
        if self.phase is Phase.HEAD or self.phase is Phase.BODY:
            self._feed(data, 0)
        elif self.phase is Phase.ANSWER:
            self._hold(self._rest[self._rest_from :] + data, 0)

    # ------------------------------------------------------------ feeding the parser

    def _feed(self, data: bytes, at: int) -> None:
        while at < len(data) and self.phase in _FED:
            in_head = self.phase is Phase.HEAD
            piece = data[at : self._end_of_piece(data, at, in_head)]
            at += len(piece)
            if in_head and self._is_head_too_large(len(piece)):
                self._refuse(LARGE_HEAD)
                return
            if self._head_bytes == len(piece) and piece.startswith(_PREFACE):
                self._refuse(HTTP_2)
                return
            self._bytes_since_body += len(piece)
            self._parse(piece)
            if self.phase is Phase.BODY and self._bytes_since_body > self._limits.head_bytes:
                self._refuse(MALFORMED)  # a chunk's extension or a trailer without end
        if self.phase is Phase.ANSWER and at < len(data):
            self._hold(data, at)
        self._count_held()

    def _end_of_piece(self, data: bytes, at: int, in_head: bool) -> int:
        if not in_head and self._body_left is not None:
            return at + self._body_left if self._body_left else len(data)
        if at == 0 and (self._head_bytes or not in_head):
            return 3  # what may be left of an empty line of which a part came before
        found = data.find(_EMPTY_LINE, at)
        return len(data) if found < 0 else found + len(_EMPTY_LINE)

    def _is_head_too_large(self, n_bytes: int) -> bool:
        if not self._head_bytes and self._requests:
            self._since_s = self.loop.time()
        self._head_bytes += n_bytes
        return self._head_bytes > self._limits.head_bytes

    def _parse(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # answered as if it were none, and what follows is another protocol
        except httptools.HttpParserError:
            self._refuse(self._refusal or MALFORMED)

    def _hold(self, data: bytes, at: int) -> None:
        """Keep what came too early, and read no more of it."""
        self._rest, self._rest_from = data, at
        self.flow.pause_reading()

    def _count_held(self) -> None:
        head_bytes = self._head_bytes if self._head_bytes > _SMALL_HEAD_BYTES else 0
        held_bytes = head_bytes + len(self._rest)
        if held_bytes != self.held_bytes and self.phase is not Phase.END:
            self._shared.hold(self, held_bytes)

    # ------------------------------------------------------------ the parser's calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; what follows a body in chunks is none."""
        if self.phase is not Phase.HEAD:
            return
        if len(self.headers) >= self._limits.header_lines:
            self._refusal = MANY_LINES
            raise ValueError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request answered."""
        if len(self.url) > self._limits.target_bytes:
            self._refusal = LONG_TARGET
            raise ValueError
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        length = None
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._refusal = TRANSFER_CODING
                raise ValueError
        self._body_left = length
        self._chunks_left = self._limits.small_chunks
        self._bytes_since_body = 0
        self._requests += 1
        self._since_s = self.loop.time()
        super().on_headers_complete()
        self.cycle.transport = AnswerTransport(self.transport)
        self._unanswered.append(self.cycle)
        self._shared.enter(self, Phase.BODY)

    def _take_host_of_target(self) -> None:
        """Let the host of a target in absolute form be that of the request, whatever `Host` says (RFC 9112, 3.2.2)."""
        target = httptools.parse_url(self.url)
        if not target.host:
            return  # `*`
        host = b"[%s]" % target.host if b":" in target.host else target.host
        port = b":%d" % target.port if target.port else b""
        kept = [header for header in self.headers if header[0] != b"host"]
        # In place: the scope has the list already.
        self.headers[:] = [(b"host", host + port), *kept]

    def on_chunk_header(self) -> None:
        """Count a chunk: each takes as long to parse as many bytes, and may have one of its own."""
        self._chunks_left -= 1
        if self._chunks_left < 0:
            self._refusal = SMALL_CHUNKS
            raise ValueError

    def on_body(self, body: bytes) -> None:
        """Count a piece of a body, and give it to whoever answers."""
        self._bytes_since_body = 0
        if self._body_left is not None:
            self._body_left -= len(body)
        else:
            self._earned_bytes += len(body)
            if self._earned_bytes >= self._limits.chunk_bytes:
                more, self._earned_bytes = divmod(self._earned_bytes, self._limits.chunk_bytes)
                self._chunks_left += more
        if self.cycle.response_complete:
            return
        if not self._shared.take_body(self, len(body)):
            self._refusal = MANY_BODIES
            raise ValueError
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Let the answer have its turn; it may have had it already."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_request()
        else:
            self._shared.enter(self, Phase.ANSWER)

    # ------------------------------------------------------------ answering

    def on_response_complete(self) -> None:
        """Go on with the next request; what is left of this one's body may still come, for a while."""
        self._unanswered.popleft()
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self._shared.give_body_back(self)
        if self.phase is Phase.BODY:
            self._since_s = self.loop.time()
        elif self.phase is Phase.ANSWER:
            self._await_request()
            rest, at, self._rest = self._rest, self._rest_from, b""
            self._feed(rest, at)

    def _await_request(self) -> None:
        self._head_bytes = 0
        self._since_s = self.loop.time()
        self._shared.enter(self, Phase.HEAD)

    # ------------------------------------------------------------ closing

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, and read no more; the client has a moment to read it before the connection is closed."""
        self._shared.refusals.note(refusal.kind)
        if self._requests and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.abort()
                return
        self.transport.write(refusal.answer)
        self._rest = b""
        self._since_s = self.loop.time()
        self._shared.give_body_back(self)
        self._shared.hold(self, 0)
        self._shared.enter(self, Phase.END)
        self.flow.pause_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def look(self, now_s: float) -> None:
        """Close when the client's turn lasts too long."""
        waited_s, limits = now_s - self._since_s, self._limits
        if self.phase is Phase.HEAD and waited_s > limits.head_s:
            if self._head_bytes:
                self._refuse(SLOW_HEAD)
            else:
                self.transport.close()
        elif self.phase is Phase.BODY and not self.cycle.response_complete and waited_s > limits.body_s:
            self._refuse(SLOW_BODY)
        elif waited_s > self._patience_s():
            self.abort()
        self._look_at_unread(now_s)

    def _patience_s(self) -> float:
        """Return how long a client may take that has its answer."""
        has_answer = self.phase is Phase.BODY and self.cycle.response_complete
        return self._limits.drain_s if has_answer else self._limits.linger_s if self.phase is Phase.END else inf

    def _look_at_unread(self, now_s: float) -> None:
        unread_bytes = self.unread()
        if unread_bytes == 0 or unread_bytes <= self._unread_bytes - _PROGRESS_BYTES or self._unread_bytes == 0:
            self._unread_bytes, self._unread_since_s = unread_bytes, now_s
        elif now_s - self._unread_since_s > self._limits.unread_s:
            self._shared.refusals.note(UNREAD)
            self.abort()

    def unread(self) -> int:
        """Return the bytes of answers that the client has not read."""
        if not self._is_made:
            return 0
        in_task = self.cycle.expected_content_length if self._requests and self.cycle.response_started else 0
        return in_task + self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close at once."""
        if self._is_made:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()
