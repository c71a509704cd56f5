"""OTLP over gRPC: each export becomes the request of the application that OTLP/HTTP would have sent.

So who may write, what a body may hold, how long it waits and what is refused is decided by the same code. What is
particular to gRPC is here: its limits, and its words for an answer. It is imported where `serve` has the extra `grpc`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from starlette.types import ASGIApp, Message, Scope

from exporter.http.types import Content, Header
from exporter.otlp import MAX_BYTES, PROTOBUF

_log: Final = logging.getLogger("otel_measure")
_PATHS: Final = {
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "/v1/metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "/v1/logs",
    "opentelemetry.proto.collector.trace.v1.TraceService": "/v1/traces",
}
_DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
# Of all calls: the bytes that are held until they are answered, and how many may come in at once, of which each may
# hold as much as the largest message before its size is known.
HELD_BYTES: Final = 64 * 1024 * 1024
CALLS_AT_ONCE: Final = 32
SMALL_BYTES: Final = 16 * 1024  # let pass all the same: large messages of others do not shut it out
_ANSWERED_BY_S: Final = 10.0
_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # Also of what a message holds when it is decompressed.
    ("grpc.max_receive_message_length", MAX_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.max_concurrent_streams", CALLS_AT_ONCE),
    ("grpc.max_allowed_incoming_connections", 256),
    ("grpc.max_connection_idle_ms", 10 * 60 * 1000),
    # Two servers on one port would each get some of the calls.
    ("grpc.so_reuseport", 0),
)


def _refusal(code: grpc.StatusCode, message: str, *headers: Header) -> Content:
    """Return what the application answers where it refuses with this code."""
    return Content(Status(code=code.value[0], message=message).SerializeToString(), headers, 500)


_BUSY: Final = _refusal(
    grpc.StatusCode.UNAVAILABLE,
    "the requests that are being taken in are too large together; try again",
    (b"retry-after", b"1"),
)
_NO_MESSAGE: Final = _refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED, f"there is no message of at most {MAX_BYTES // 2**20} MiB"
)


class CannotServe(Exception):  # noqa: N818 - reads as the state it reports
    """The address cannot be listened on."""


def credentials(pem: tuple[bytes, bytes]) -> grpc.ServerCredentials:
    """Return what a server shakes hands by, from the bytes of its certificate and of its key."""
    certificate, key = pem
    return grpc.ssl_server_credentials([(key, certificate)])


class GrpcServer:
    """Takes OTLP over gRPC until it is stopped; made and used on one event loop.

    Args:
        app: the application that the requests are for.
        credentials: of TLS; `None` for none.
        held_bytes, calls_at_once: see above.
    """

    def __init__(
        self,
        app: ASGIApp,
        credentials: grpc.ServerCredentials | None = None,
        *,
        held_bytes: int = HELD_BYTES,
        calls_at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._may_hold_bytes = held_bytes
        self._may_call = calls_at_once
        self._held_bytes = 0
        self._calls = 0
        self._server = grpc.aio.server(options=_OPTIONS)
        # As streams of requests, so that a body is not read before its sender is known.
        exports: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            service: grpc.stream_unary_rpc_method_handler(partial(self._export, path))
            for service, path in _PATHS.items()
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"Export": export}) for service, export in exports.items()]
        )

    async def start(self, address: str) -> int:
        """Listen on `host:port` and return the port.

        Raises:
            CannotServe: somebody else listens there.
        """
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise CannotServe(address) from error
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those that came end for a while."""
        await self._server.stop(grace_s)

    # ------------------------------------------------------------ one call

    async def _export(self, path: str, _: AsyncIterator[bytes], context: Any) -> bytes:
        if self._calls >= self._may_call:
            return await _abort(context, _BUSY)
        self._calls += 1
        try:
            content = await self._answer(path, context)
        finally:
            self._calls -= 1
        if content.status == 200:
            return content.body
        if content is _NO_MESSAGE:
            # gRPC has answered a message that was too large, and cancels this task; whoever sent none has to wait.
            await asyncio.sleep(_ANSWERED_BY_S)
        return await _abort(context, content)

    async def _answer(self, path: str, context: Any) -> Content:
        """Return what the application answers, or why it was given no body."""
        body = _OneMessage(context.read, self._hold)
        answer = _Answer()
        try:
            await self._app(_scope(path, context), body.receive, answer.send)
        except Exception:
            _log.exception("a request by gRPC was not answered")
        finally:
            self._held_bytes -= body.held_bytes
        return body.refusal or answer.content

    def _hold(self, n_bytes: int) -> bool:
        """Tell whether a message may be held until it is answered."""
        if n_bytes > SMALL_BYTES and self._held_bytes + n_bytes > self._may_hold_bytes:
            return False
        self._held_bytes += n_bytes
        return True


class _OneMessage:
    """The body of a request: the one message of a call."""

    def __init__(self, read: Callable[[], Awaitable[Any]], hold: Callable[[int], bool]) -> None:
        self._read = read
        self._hold = hold
        self.held_bytes = 0
        self.refusal: Content | None = None

    async def receive(self) -> Message:
        message = await self._read()
        if message is grpc.aio.EOF:  # gRPC has let go of it, and may have answered by now
            self.refusal = _NO_MESSAGE
        elif not self._hold(len(message)):
            self.refusal = _BUSY
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        self.held_bytes += len(message)
        return {"type": "http.request", "body": message}


class _Answer:
    """What an application sends as the answer of a request; as long as it has sent none, that something is wrong."""

    def __init__(self) -> None:
        self.content = _refusal(grpc.StatusCode.INTERNAL, "internal error")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.content = Content(b"", tuple(message["headers"]), message["status"])
        else:
            body = self.content.body + message.get("body", b"")
            self.content = self.content._replace(body=body)


def _scope(path: str, context: Any) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": list(_headers(context.invocation_metadata() or ())),
        "client": _client(context.peer()),
        "server": None,
    }


def _headers(metadata: Iterable[tuple[str, str | bytes]]) -> Iterable[Header]:
    """Yield metadata as headers, with those of the body in place of gRPC's own.

    There is no host in it. A browser cannot speak gRPC, so that no page has to be kept from asking under its own name.
    """
    yield b"host", b"localhost"
    yield b"content-type", PROTOBUF.encode()
    for name, value in metadata:
        if name not in {"host", "content-type", "content-encoding", "content-length"}:
            yield name.encode("latin-1"), value if isinstance(value, bytes) else value.encode("latin-1")


def _client(peer: str) -> tuple[str, int] | None:
    """Return address and port of "ipv4:127.0.0.1:5" or "ipv6:%5B::1%5D:5"; `None` for a Unix socket."""
    family, _, rest = unquote(peer).partition(":")
    if family == "unix":
        return None
    host, _, port = rest.rpartition(":")
    return host.strip("[]") or "unknown", int(port) if port.isdigit() else 0


def _retry_after_s(headers: Iterable[Header]) -> int | None:
    return next((int(value) for name, value in headers if name == b"retry-after" and value.isdigit()), None)


async def _abort(context: Any, refusal: Content) -> bytes:
    """End a call with a status; what may be sent again says when, for without that senders drop it."""
    status, retry_after_s = Status.FromString(refusal.body), _retry_after_s(refusal.headers)
    if retry_after_s is not None:
        details = AnyMessage()
        details.Pack(RetryInfo(retry_delay=Duration(seconds=retry_after_s)))
        status.details.append(details)
    code = _CODES.get(status.code, grpc.StatusCode.INTERNAL)
    await context.abort(code, status.message, ((_DETAILS, status.SerializeToString()),))
    return b""  # not reached: abort raises
