from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from exporter.http.types import JSON
from exporter.otlp import MAX_BYTES, PROTOBUF
from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.otlp.receive.shapes import MAX_ITEMS, TooManyItemsError
from otel_measure.records.kinds import Json
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.otlp.requests import CHAT, DURATION, NOW_US, TOKENS, Metrics, event, log_request, span, span_request

Local = Callable[[Starlette], TestClient]
LATER_US = NOW_US + 91_000_000


def post(client: TestClient, signal: str, message: Message | bytes, **headers: str) -> Any:
    """Send a request in protobuf, unless the headers say otherwise."""
    body = message if isinstance(message, bytes) else message.SerializeToString()
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return client.post(f"/v1/{signal}", content=body, headers={"content-type": PROTOBUF, **given})


def models(client: TestClient) -> list[Any]:
    """Return what `/ai/models` says of each model."""
    return list(client.get("/api/v1/metrics/ai/models").json()["data"]["models"])


def calls(n: int) -> Metrics:
    """Return the metrics of n calls between 1 and 2 seconds, 10 tokens in and 5 out each."""
    return (
        Metrics()
        .histogram(DURATION, [0, n, 0], 1.5 * n, CHAT)
        .histogram(TOKENS, [0, 0, n], 10.0 * n, {**CHAT, "gen_ai.token.type": "input"}, unit="{token}")
        .histogram(TOKENS, [0, 0, n], 5.0 * n, {**CHAT, "gen_ai.token.type": "output"}, unit="{token}")
    )


# ---------------------------------------------------------------- the protocol


@pytest.mark.parametrize(
    ("signal", "response"),
    [
        ("metrics", ExportMetricsServiceResponse),
        ("logs", ExportLogsServiceResponse),
        ("traces", ExportTraceServiceResponse),
    ],
)
def test_an_empty_request_is_a_success(client: TestClient, signal: str, response: type[Message]) -> None:
    """In either encoding, answered in the same one; a success has no partial success in it."""
    answer = post(client, signal, b"")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")
    assert response().FromString(answer.content) == response()
    answer = post(client, signal, b"{}", content_type=f"{JSON}; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, JSON, b"{}")


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces"])
def test_a_get_is_answered_in_the_same_form(client: TestClient, signal: str) -> None:
    """A 405 that names what is allowed."""
    answer = client.get(f"/v1/{signal}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert answer.json() == {"code": 12, "message": f"/v1/{signal} does not answer GET; allowed: OPTIONS, POST"}


EMPTY_POINTS = ExportMetricsServiceRequest()
EMPTY_POINTS.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.extend(
    [NumberDataPoint() for _ in range(MAX_ITEMS)]
)


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces"])
def test_too_many_items_in_json(client: TestClient, signal: str) -> None:
    """Nothing is made of them: a small body may hold millions that say nothing."""
    of = {"metrics": ("Metrics", "metrics"), "logs": ("Logs", "logRecords"), "traces": ("Spans", "spans")}[signal]
    body: Json = {f"resource{of[0]}": [{f"scope{of[0]}": [{of[1]: [{}] * MAX_ITEMS}]}]}
    answer = post(client, signal, json.dumps(body).encode(), content_type=JSON)
    assert (answer.status_code, answer.json()["message"]) == (413, str(TooManyItemsError()))


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "message"),
    [
        (b"\x0a\xff", {}, 400, 3, "the body is no ExportMetricsServiceRequest in protobuf"),
        (b"\x1f\x8bnot gzip", {"content_encoding": "gzip"}, 400, 3, "the body cannot be decompressed: "),
        (gzip.compress(b"\x0a\xff", mtime=0), {"content_encoding": "gzip"}, 400, 3, "the body is no ExportMetrics"),
        (b"", {"content_encoding": "br"}, 415, 3, "content encoding 'br' is not supported"),
        (b"", {"content_type": "text/plain"}, 415, 3, "the Content-Type must be application/x-protobuf or"),
        (b"\0" * (MAX_BYTES + 1), {}, 413, 8, f"the body must have at most {MAX_BYTES} bytes"),
        (gzip.compress(b"\0" * 64 * 2**20), {"content_encoding": "gzip"}, 413, 8, "a body must not grow more"),
        (EMPTY_POINTS.SerializeToString(), {}, 413, 8, "a request must have at most 100000 items (log records, spans,"),
    ],
)
def test_what_is_wrong_with_a_request(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, code: int, message: str
) -> None:
    """A status that senders do not repeat, with a `google.rpc.Status` that says why in the encoding of the request."""
    answer = post(client, "metrics", body, **headers)
    assert answer.status_code == status
    if "content_type" in headers:
        said = answer.json()
    else:
        assert answer.headers["content-type"] == PROTOBUF
        said = MessageToDict(Status.FromString(answer.content))
    assert said["code"] == code
    assert said["message"].startswith(message)


def nested(depth: int) -> bytes:
    """Return a request with one attribute that is a list in a list in a list."""
    value = b'{"arrayValue": {"values": [' * depth + b'{"intValue": 1}' + b"]}}" * depth
    return b'{"resourceMetrics": [{"resource": {"attributes": [{"key": "a", "value": ' + value + b"}]}}]}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[]", "it must be an object, not list"),
        (b"{", "Input data was truncated"),
        (
            b'{"resourceMetrics": 1}',
            "Failed to parse resourceMetrics field: repeated field resourceMetrics must be in [] which is 1 "
            "at ExportMetricsServiceRequest.",
        ),
        (nested(70), "it is nested too deeply"),
        (nested(2_000), "it is nested too deeply"),
        (nested(200_000), "it is nested too deeply"),
        (
            b'{"resourceMetrics": [[[' + b"1, " * 40_000 + b"1]]]}",
            ("Failed to parse resourceMetrics field: Failed to parse [" + "1, " * 100)[:300],
        ),
        (b'{"resourceMetrics": [[[' + b"1, " * 400_000 + b"1]]]}", "'{' is expected (byte 21)"),
    ],
    ids=["list", "truncated", "number", "70 deep", "2,000 deep", "200,000 deep", "a value of 120 kB", "of 1.2 MB"],
)
def test_what_is_wrong_with_json(client: TestClient, body: bytes, why: str) -> None:
    """The same in JSON, with what the decoder said of it, in at most 300 characters."""
    answer = post(client, "metrics", body, content_type=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, JSON)
    message = f"the body is no ExportMetricsServiceRequest in JSON: {why}"
    assert answer.json() == {"code": 3, "message": message}


def test_a_store_that_cannot_be_written_to_is_worth_a_retry(
    client: TestClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with `Retry-After`: nothing was taken in."""

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("full", "the disk is full", "free space")

    monkeypatch.setattr(runtime.store, "ingest", full)
    answer = post(client, "metrics", calls(1).request)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert Status.FromString(answer.content).code == 14


@contextmanager
def serving(local: Local, settings: Settings) -> Iterator[TestClient]:
    """Serve a runtime of its own, and end it."""
    started = Runtime(settings)
    with local(create_app(runtime=started)) as client:
        yield client
    started.shutdown()


def test_without_a_store_nothing_can_be_taken_in(local: Local) -> None:
    """503 says that a store is needed."""
    with serving(local, Settings(store=None)) as client:
        for signal, request in (("metrics", calls(1).request), ("logs", log_request([])), ("traces", span_request())):
            answer = post(client, signal, request)
            assert answer.status_code == 503
            assert "store" in Status.FromString(answer.content).message


def test_a_token_is_asked_for(local: Local, tmp_path: Any) -> None:
    """A wrong one gets 401 in the encoding of the request, one that may only read 403, one that may write 200."""
    settings = Settings(store=str(tmp_path / "m.db"), read_token="r", write_token="w")
    with serving(local, settings) as client:
        answers = {token: post(client, "logs", b"", authorization=f"Bearer {token}") for token in ("wrong", "r", "w")}
    assert {token: answer.status_code for token, answer in answers.items()} == {"wrong": 401, "r": 403, "w": 200}
    assert Status.FromString(answers["wrong"].content).code == 16


# ---------------------------------------------------------------- what arrives is understood


def test_metrics_become_a_model(client: TestClient) -> None:
    """Latency with its error bound, tokens, and a cost from the tokens; sent again, nothing changes."""
    for _ in range(2):
        assert post(client, "metrics", calls(4).request).content == b""
    (model,) = models(client)
    assert (model["model_name"], model["model_version"], model["inference_count"]) == ("gpt-4o", "2024-08-06", 4)
    assert 1000 < model["latency"]["p95_ms"] < 2000
    assert model["latency"]["mean_ms"] == 1500
    assert 0.5 < model["latency"]["relative_error"] <= 1
    cost = model["cost"]
    assert (cost["input_tokens"], cost["output_tokens"], cost["sources"]) == (40, 20, {"aggregate": 4})
    # gpt-4o: 2.5 and 10 USD per million tokens.
    assert cost["total_usd"] == pytest.approx(40 * 2.5e-6 + 20 * 1e-5)


def test_json_says_the_same(client: TestClient) -> None:
    """The other encoding, compressed, in chunks."""
    body = gzip.compress(json.dumps(MessageToDict(calls(4).request, use_integers_for_enums=True)).encode())

    def chunks() -> Any:
        yield from (body[:20], body[20:])

    answer = client.post("/v1/metrics", content=chunks(), headers={"content-type": JSON, "content-encoding": "gzip"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert [model["inference_count"] for model in models(client)] == [4]


def test_metrics_are_exposed_again(client: TestClient) -> None:
    """With service, instance and scope, so that nothing clashes with what others send or we count ourselves."""
    post(client, "metrics", calls(4).counter("jobs.done", 7, {"queue": "a"}).request)
    text = client.get("/metrics").text
    own = 'otel_scope_name="other",queue="a",service_instance_id="a",service_name="shop"'
    assert f"jobs_done_total{{{own}}} 7.0\n" in text
    assert text.count("# TYPE gen_ai_client_operation_duration_seconds histogram") == 1
    assert 'otel_measure_ai_inferences_total{gen_ai_request_model="gpt-4o"' in text
    assert 'target_info{host_name="h1",service_instance_id="a",service_name="shop"} 1.0\n' in text


def test_events_become_records(client: TestClient) -> None:
    """Once each by their id, whoever sends them again; what has no id gets one from its content."""
    request = log_request([event("otel_measure.page_view", user_id="u", url_full="/"), event("signed", user_id="v")])
    for _ in range(2):
        assert post(client, "logs", request).status_code == 200
    users = client.get("/api/v1/metrics/users/summary").json()["data"]
    assert (users["total_users"], users["total_events"]) == (2, 2)


def test_a_partial_success_says_what_was_refused(client: TestClient) -> None:
    """And takes in the rest; in protobuf and in JSON."""
    wrong = event("otel_measure.nps_response", user_id="u")
    request = log_request([event("otel_measure.click", user_id="u"), wrong, wrong])
    answer = post(client, "logs", request)
    said = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_log_records) == (200, 2)
    assert said.error_message == (
        "2 × event 'otel_measure.nps_response' is not a valid record: "
        "Object missing required field `otel_measure.nps.score`"
    )
    metrics = Metrics().gauge("temperature", float("nan")).gauge("temperature", 20.0)
    body = json.dumps(MessageToDict(metrics.request)).encode()
    assert post(client, "metrics", body, content_type=JSON).json() == {
        "partialSuccess": {"rejectedDataPoints": "1", "errorMessage": "a value must be a finite number"}
    }
    broken = span(1, {**CHAT, "gen_ai.request.model": "x" * 2000, "gen_ai.response.model": "x" * 2000})
    told = ExportTraceServiceResponse.FromString(post(client, "traces", span_request(broken)).content)
    assert told.partial_success.rejected_spans == 1
    users = client.get("/api/v1/metrics/users/summary").json()["data"]
    assert users["total_events"] == 1


def test_what_came_is_counted(client: TestClient) -> None:
    """By signal and outcome: nothing is lost without a number."""
    post(client, "metrics", Metrics().gauge("a", 1.0).gauge("b", float("inf")).request)
    post(client, "logs", log_request([event("otel_measure.click", user_id="u"), event("")]))
    post(client, "traces", span_request(span(1), span(2, {})))
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("otel_measure_self_received")]
    assert sorted(line.partition("{")[2] for line in lines) == [
        'otel_measure_drop_reason="invalid",otel_measure_record_outcome="rejected",otel_measure_signal="metrics",'
        'service_name="unknown_service"} 1.0',
        *(
            f'otel_measure_record_outcome="{outcome}",otel_measure_signal="{signal}",'
            'service_name="unknown_service"} 1.0'
            for outcome, signal in (
                ("accepted", "logs"),
                ("accepted", "metrics"),
                ("accepted", "traces"),
                ("ignored", "logs"),
                ("ignored", "traces"),
            )
        ),
    ]


def test_other_hosts_appear_under_infrastructure(client: TestClient) -> None:
    """Each by its name, with what can be told of it; this machine is among them."""
    other: dict[str, Json] = {"host.name": "far away", "service.name": "hostmetrics"}
    metrics = Metrics(other)
    for state, share in (("used", 0.25), ("free", 0.75)):
        metrics.gauge("system.memory.utilization", share, "1", system__memory__state=state)
    post(client, "metrics", metrics.request)
    hosts = client.get("/api/v1/metrics/infrastructure/hosts").json()["data"]
    by_name = {host["host"]: host for host in hosts["hosts"]}
    assert by_name["far away"] == {
        "host": "far away",
        "kind": "host",
        "cpu_used_percent": None,
        "memory_used_bytes": None,
        "memory_used_percent": 25.0,
        "disk_used_percent": None,
        "load_average_1m": None,
        "timestamp": "2026-01-01T12:00:00Z",
    }
    line = 'system_memory_utilization{host_name="far away",system_memory_state="used"} 0.25'
    assert line in client.get("/metrics").text.splitlines()


def test_hosts_need_a_store(local: Local) -> None:
    """Without one nothing is kept of others."""
    with serving(local, Settings(store=None)) as client:
        assert client.get("/api/v1/metrics/infrastructure/hosts").status_code == 503


def test_names_and_labels_that_clash_are_told_apart(client: TestClient) -> None:
    """Equal names of two scopes, processes and kinds, and attributes that become one label: the exposition is valid."""
    other: dict[str, Json] = {"service.name": "shop", "service.instance.id": "b"}
    for metrics in (
        Metrics().counter("jobs", 1, {"a.b": "x"}),
        Metrics(scope="second").counter("jobs", 2, {"a.b": "x"}),
        Metrics(other).counter("jobs", 3, {"a_b": "x"}),
        Metrics(other).gauge("jobs", 4.0),
        Metrics(other).histogram("jobs", [1, 0, 0], 1.0, unit=""),
        Metrics(scope="third").histogram("jobs", [1, 0], 1.0, bounds=(5.0,), unit=""),
        Metrics().counter("otel_measure.ai.inferences", 9, {"le": "1", "job": "x", "__name__": "y"}),
    ):
        assert post(client, "metrics", metrics.request).status_code == 200
    text = client.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    samples = [(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples]
    assert len(samples) == len(set(samples))
    types = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len({line.split()[2] for line in types}) == len(types)
    jobs = {sample.value for family in families for sample in family.samples if sample.name == "jobs_total"}
    assert jobs == {1.0, 2.0, 3.0}
    counts = [s.value for family in families for s in family.samples if s.name.endswith("_count") and "jobs" in s.name]
    assert counts == [1.0, 1.0]


def test_a_series_is_gone_five_minutes_after_its_last_word(clock: Clock, client: TestClient) -> None:
    """A gauge and a counter of a process that sends no more; what is counted in models stays."""
    post(client, "metrics", calls(4).counter("jobs.done", 7).gauge("warmth", 1.0).request)
    assert "jobs_done_total" in client.get("/metrics").text
    clock.now_us += 300_000_000
    text = client.get("/metrics").text
    assert "jobs_done_total" not in text
    assert "warmth" not in text
    assert "target_info" not in text
    assert "otel_measure_ai_inferences_total" in text


@pytest.mark.parametrize("cut", [b"\xf0\x9f\x98", b"\xed\xa0\xbd", b"\xff"])
def test_text_that_was_cut_in_the_middle_of_a_character_is_mended(client: TestClient, cut: bytes) -> None:
    """It costs the character, and nothing else of the request; what else is wrong with a request is still refused."""
    whole = log_request([event("other", user_id="cut here", x={"deep": ["cut here"]})])
    body = whole.SerializeToString()
    broken = body.replace(b"cut here", b"cut " + cut.ljust(4, b"!"))
    assert post(client, "logs", broken).status_code == 200
    assert post(client, "logs", broken[:-1]).status_code == 400
    as_json = json.dumps(MessageToDict(whole, use_integers_for_enums=True)).encode()
    for lone in (b"cut \\ud83d", b"cut \\ude00!", b"cut " + cut, b"cut \\\\ud83d \\ud83dx"):
        assert post(client, "logs", as_json.replace(b"cut here", lone), content_type=JSON).status_code == 200
    assert post(client, "logs", as_json.replace(b"cut here", b"cut \\u"), content_type=JSON).status_code == 400
