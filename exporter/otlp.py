"""The OTLP/HTTP receiver: protobuf or JSON in, the answer in the same encoding (OTLP specification 1.x, "OTLP/HTTP").

What is wrong with a request as a whole is a 4xx, which a sender does not repeat; what is wrong with some of its items
is a partial success; only what waiting cures is answered with a status that senders repeat (503 with `Retry-After`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporter.http.body import decompressed
from exporter.http.envelope import HttpError, failure
from exporter.http.types import JSON, AnyRoute, BodyHeaders, Call, Content, Header, NoQuery, Route
from otel_measure.definitions.arrivals import Signal
from otel_measure.otlp.receive import json, wire
from otel_measure.otlp.receive.logs import MadeIds
from otel_measure.otlp.receive.receiver import Receiver, RefusedItems, together
from otel_measure.otlp.receive.shapes import LOGS, METRICS, SPANS, MessageShape, TooManyItemsError

PROTOBUF: Final = "application/x-protobuf"
MAX_BYTES: Final = 16 * 1024 * 1024
_MEDIA: Final = (PROTOBUF, JSON)
_NO_STORE: Final = (b"cache-control", b"no-store")
# The canonical codes of gRPC, as google.rpc.Code numbers them.
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}
_INTERNAL: Final = 13
M = TypeVar("M", bound=Message)
ExportResponse: TypeAlias = ExportMetricsServiceResponse | ExportLogsServiceResponse | ExportTraceServiceResponse


class OtlpBody(msgspec.Struct, frozen=True):
    """A request in one of the two encodings, decompressed and not yet decoded."""

    content: bytes
    is_json: bool


def read(headers: BodyHeaders, sent: bytes, max_bytes: int) -> OtlpBody:
    """Return the body of a request.

    Raises:
        HttpError: 415, it is declared as neither encoding; or what `decompressed` raises.
    """
    media = _media(headers.content_type)
    if media not in _MEDIA:
        raise HttpError(415, f"the Content-Type must be {PROTOBUF} or {JSON}, not {media or 'absent'!r}")
    return OtlpBody(decompressed(headers, sent, max_bytes), media == JSON)


def error_status(fault: Exception, headers: Iterable[Header], asked: bool) -> Content:
    """Return the answer that an exception becomes: a `google.rpc.Status` in the encoding of the request."""
    answer = failure(fault, asked=asked)
    message = msgspec.json.decode(answer.body)["message"]
    status = Status(code=_CODES.get(answer.status, _INTERNAL), message=message)
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    kept = tuple(h for h in answer.headers if h[0] not in (b"content-type", b"cache-control"))
    is_json = _media(content_type) != PROTOBUF
    return _content(status, is_json, answer.status, kept)


def _media(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


def _content(
    message: Message, is_json: bool, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Content:
    body = json.to_json(message) if is_json else message.SerializeToString()
    media = (b"content-type", (JSON if is_json else PROTOBUF).encode())
    return Content(body, (media, _NO_STORE, *headers), status)


def _messages(body: OtlpBody, request: type[M], shape: MessageShape, refused: Counter[str]) -> Iterator[M]:
    """Decode a request: as one message, or a large one in portions."""
    try:
        if body.is_json:
            yield from json.messages(body.content, request, shape, refused)
            return
        for portion in wire.portions(body.content, shape, refused):
            yield wire.parsed(portion, request)
    except TooManyItemsError as rule:
        raise HttpError(413, str(rule)) from None
    except DecodeError:
        raise HttpError(400, f"the body is no {request.__name__} in protobuf") from None
    except ValueError as fault:
        raise HttpError(400, f"the body is no {request.__name__} in JSON: {fault}") from None


class OtlpSignal(NamedTuple):
    """How a signal is taken in, and answered.

    Attributes:
        taking: returns what takes in the portions of one request.
    """

    name: Signal
    request: type[Message]
    shape: MessageShape
    taking: Callable[[Receiver], Callable[[Any], RefusedItems]]
    response: type[ExportResponse]
    rejected: str


METRICS_SIGNAL: Final = OtlpSignal(
    "metrics", ExportMetricsServiceRequest, METRICS, lambda receiver: receiver.metrics, ExportMetricsServiceResponse,
    "rejected_data_points",
)  # fmt: skip
LOGS_SIGNAL: Final = OtlpSignal(
    "logs", ExportLogsServiceRequest, LOGS, lambda receiver: partial(receiver.logs, made_ids=MadeIds()),
    ExportLogsServiceResponse, "rejected_log_records",
)  # fmt: skip
SPANS_SIGNAL: Final = OtlpSignal(
    "traces", ExportTraceServiceRequest, SPANS, lambda receiver: receiver.traces, ExportTraceServiceResponse,
    "rejected_spans",
)  # fmt: skip


def _taken(call: Call[NoQuery, OtlpBody], signal: OtlpSignal) -> Content:
    """Take a request in, and say in the answer's partial success how many items were refused, and why."""
    receiver, passed_over = call.runtime.receiver, Counter[str]()
    messages = _messages(call.body, signal.request, signal.shape, passed_over)
    refusals = list(map(signal.taking(receiver), messages))
    refusal = together((*refusals, receiver.refuse(signal.name, passed_over)))
    response = signal.response()
    if refusal.rejected:
        setattr(response.partial_success, signal.rejected, refusal.rejected)
        response.partial_success.error_message = refusal.message
    return _content(response, call.body.is_json)


def metrics(call: Call[NoQuery, OtlpBody]) -> Content:
    """Take in metrics."""
    return _taken(call, METRICS_SIGNAL)


def logs(call: Call[NoQuery, OtlpBody]) -> Content:
    """Take in logs."""
    return _taken(call, LOGS_SIGNAL)


def traces(call: Call[NoQuery, OtlpBody]) -> Content:
    """Take in spans."""
    return _taken(call, SPANS_SIGNAL)


def _route(path: str, handler: Callable[[Call[NoQuery, OtlpBody]], Content], summary: str) -> AnyRoute:
    return Route(
        method="POST", path=path, handler=handler, query=NoQuery, body=OtlpBody, access="write", summary=summary,
        returns="All was taken in, or all but what `partialSuccess` counts.", max_bytes=MAX_BYTES,
        body_reader=read, error_handler=error_status, accepts=_MEDIA, produces=_MEDIA,
    )  # fmt: skip


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _route("/v1/metrics", metrics, "OTLP/HTTP metrics"),
    _route("/v1/logs", logs, "OTLP/HTTP logs"),
    _route("/v1/traces", traces, "OTLP/HTTP traces"),
)
