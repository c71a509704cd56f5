"""OTLP over gRPC, asked by the exporters of OpenTelemetry and by raw calls: the answers of HTTP, in gRPC's words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter import grpc as otlp_grpc
from exporter.app import create_app
from exporter.grpc import CannotServe, GrpcServer
from exporter.http.envelope import send_content
from exporter.http.types import Content, Header
from exporter.otlp import MAX_BYTES
from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.otlp.requests import CHAT, NOW_US, Metrics, span, span_request

Local = Callable[[Starlette], TestClient]
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
ONE_CALL = span_request(span(1)).SerializeToString()
WAIT_S = 30.0
BUSY = (grpc.StatusCode.UNAVAILABLE, "the requests that are being taken in are too large together; try again", 1)


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an application by gRPC on a loop of its own; yield the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[GrpcServer, int]:
        server = GrpcServer(app, **options)
        return server, await server.start("127.0.0.1:0")

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(WAIT_S)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(1.0), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


def ask(address: str, body: bytes, path: str = TRACES, token: str | None = None, **options: Any) -> bytes:
    """Export something; return the answer's bytes."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(path)
        return bytes(call(body, timeout=WAIT_S, metadata=metadata, **options))


def refused(address: str, body: bytes = ONE_CALL, **options: Any) -> tuple[grpc.StatusCode, str, int | None]:
    """Export something that is refused; return code, message, and when it may be sent again, in seconds."""
    with pytest.raises(grpc.RpcError) as raised:
        ask(address, body, **options)
    error: Any = raised.value
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                assert detail.Unpack(info)
                return error.code(), error.details(), info.retry_delay.seconds
    return error.code(), error.details(), None


def answering(status: int, *headers: Header, message: str = "why") -> ASGIApp:
    """Return an application that refuses everything."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        codes = {503: 14, 429: 8, 413: 8}
        await send_content(
            Content(Status(code=codes[status], message=message).SerializeToString(), headers, status), send
        )

    return app


def test_the_exporters_of_opentelemetry_are_understood(runtime: Runtime, local: Local) -> None:
    """Spans, metrics and events that the SDK sends by gRPC, compressed or not, are taken in as over HTTP."""
    app = create_app(runtime=runtime)
    with local(app) as client, serving(app) as address:
        given: dict[str, Any] = {"endpoint": address, "insecure": True, "timeout": WAIT_S}
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**given, compression=grpc.Compression.Gzip)))
        at = NOW_US * 1000
        tracing.get_tracer("client").start_span("chat gpt-4o", attributes=CHAT, start_time=at).end(at + 10**9)
        metering = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(**given))])
        metering.get_meter("jobs").create_counter("jobs.done").add(3)
        logging = LoggerProvider()
        logging.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**given)))
        logging.get_logger("shop").emit(
            timestamp=at, event_name="app.screen.click", attributes={"user.id": "u1", "app.screen.name": "cart"}
        )
        for provider in (tracing, metering, logging):
            provider.shutdown()
        (model,) = client.get("/api/v1/metrics/ai/models").json()["data"]["models"]
        shown = client.get("/metrics").text
        users = client.get("/api/v1/metrics/users/summary").json()["data"]
    assert (model["model_name"], model["inference_count"], model["latency"]["max_ms"]) == ("gpt-4o", 1, 1000.0)
    assert "\njobs_done_total{" in shown
    assert (users["total_events"], users["total_users"]) == (1, 1)


def test_what_is_refused_of_a_request_is_a_partial_success(runtime: Runtime) -> None:
    """A point that cannot be kept is counted in the answer, and its neighbours stand."""
    request = Metrics().gauge("a", 1.0).gauge("", 1.0).request
    with serving(create_app(runtime=runtime)) as address:
        answer = ExportMetricsServiceResponse.FromString(ask(address, request.SerializeToString(), METRICS))
        assert answer.partial_success.rejected_data_points == 1
        assert answer.partial_success.error_message
        assert ExportTraceServiceResponse.FromString(ask(address, ONE_CALL)) == ExportTraceServiceResponse()


def test_tokens_are_those_of_http(tmp_path: Path, clock: Clock) -> None:
    """Without a token, with a wrong one and with one that may only read, nothing is taken, and the answer says why."""
    settings = replace(Settings(), store=str(tmp_path / "a.db"), read_token="get", write_token="put")
    runtime = Runtime(settings, clock=clock)
    with serving(create_app(runtime=runtime)) as address:
        answers = [refused(address, token=token) for token in (None, "guessed", "get")]
        taken = ask(address, ONE_CALL, token="put")
    runtime.shutdown()
    assert answers == [
        (grpc.StatusCode.UNAUTHENTICATED, "one 'Authorization: Bearer <token>' header is needed", None),
        (grpc.StatusCode.UNAUTHENTICATED, "a valid token is needed: send 'Authorization: Bearer <token>'", None),
        (grpc.StatusCode.PERMISSION_DENIED, "this token has no 'write' scope; use a token that has it", None),
    ]
    assert ExportTraceServiceResponse.FromString(taken) == ExportTraceServiceResponse()


def test_who_comes_through_a_proxy_needs_a_token(runtime: Runtime) -> None:
    """A call of this machine that another machine has asked for is refused as over HTTP."""
    with serving(create_app(runtime=runtime)) as address, grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(TRACES)
        with pytest.raises(grpc.RpcError) as raised:
            call(ONE_CALL, timeout=WAIT_S, metadata=[("x-forwarded-for", "10.0.0.1")])
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.0.0.7:51234", ("10.0.0.7", 51234)),
        ("ipv6:%5B::1%5D:5", ("::1", 5)),
        ("ipv6:[fe80::1]:5", ("fe80::1", 5)),
        ("unix:/tmp/a", None),
        ("odd", ("unknown", 0)),
    ],
)
def test_peers(peer: str, client: tuple[str, int] | None) -> None:
    """An address is read in each of gRPC's forms; one that is not understood is no local one."""
    assert otlp_grpc._client(peer) == client


@pytest.mark.parametrize(
    ("app", "answer"),
    [
        (answering(503, (b"retry-after", b"2")), (grpc.StatusCode.UNAVAILABLE, "why", 2)),
        (answering(429, (b"retry-after", b"1")), (grpc.StatusCode.RESOURCE_EXHAUSTED, "why", 1)),
        (answering(413), (grpc.StatusCode.RESOURCE_EXHAUSTED, "why", None)),
    ],
    ids=["503", "429", "413"],
)
def test_what_may_be_sent_again_says_when(app: ASGIApp, answer: tuple[grpc.StatusCode, str, int | None]) -> None:
    """Where HTTP answers 503 or 429 with a time, so does gRPC; what is too large is not to be sent again."""
    with serving(app) as address:
        assert refused(address) == answer


def test_a_request_that_the_application_fails_to_answer(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is an internal error, and stands in the log."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise OSError("gone")

    with serving(broken) as address:
        assert refused(address) == (grpc.StatusCode.INTERNAL, "internal error", None)
    assert caplog.messages == ["a request by gRPC was not answered"]


def test_a_message_that_is_too_large(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """One byte more than HTTP takes is refused, also where it is small when compressed; the limit itself is read."""
    with serving(create_app(runtime=runtime)) as address:
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            code, _, again = refused(address, bytes(MAX_BYTES + 1), compression=compression)
            assert (code, again) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
        assert refused(address, bytes(MAX_BYTES))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert caplog.messages == []


def test_other_limits_of_grpc(runtime: Runtime) -> None:
    """Metadata without end and methods that nobody has are refused before anything of ours is asked."""
    with serving(create_app(runtime=runtime)) as address:
        assert refused(address, token="x" * 70_000)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused(address, path="/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export")[0] is (
            grpc.StatusCode.UNIMPLEMENTED
        )


def test_what_is_held_has_a_bound(runtime: Runtime) -> None:
    """A large message over the bound is to be sent again; a small one passes, and so does the next one after it."""
    app = create_app(runtime=runtime)
    large = span_request(*(span(n) for n in range(1, 200))).SerializeToString()
    with serving(app, held_bytes=1) as address:
        assert refused(address, large) == BUSY
        ask(address, ONE_CALL)
    with serving(app, calls_at_once=0) as address:
        assert refused(address) == BUSY
    with serving(app, calls_at_once=1, held_bytes=len(large)) as address:
        assert [ask(address, large) for _ in range(2)] == [b"", b""]


def test_a_port_that_is_taken(runtime: Runtime) -> None:
    """Two servers never share a port, of which each would get some of the calls."""
    app = create_app(runtime=runtime)

    async def second(address: str) -> None:
        server = GrpcServer(app)
        try:
            await server.start(address)
        finally:
            await server.stop(0)

    with serving(app) as address, pytest.raises(CannotServe):
        asyncio.run(second(address))
