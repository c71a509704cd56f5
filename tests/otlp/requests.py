"""OTLP requests for tests, as another SDK would send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from otel_measure.otlp.events import fill_log_record
from otel_measure.otlp.values import fill_pairs
from otel_measure.records.events import Event, to_event
from otel_measure.records.kinds import Json, Origin, Record

NOW_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
SECOND_US = 1_000_000
STARTED_US = NOW_US - 60 * SECOND_US
PROCESS: dict[str, Json] = {"service.name": "shop", "service.instance.id": "a", "host.name": "h1"}
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CHAT: dict[str, Json] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
}
DURATION = "gen_ai.client.operation.duration"
TOKENS = "gen_ai.client.token.usage"


class Metrics:
    """A request under construction."""

    def __init__(self, resource: Mapping[str, Json] = PROCESS, scope: str = "other") -> None:
        self.request = ExportMetricsServiceRequest()
        of_resource = self.request.resource_metrics.add()
        fill_pairs(of_resource.resource.attributes, resource)
        self._metrics = of_resource.scope_metrics.add()
        self._metrics.scope.name = scope

    def _point(self, data: Any, attributes: Mapping[str, Json], start: int, ts: int) -> Any:
        point = data.data_points.add()
        point.start_time_unix_nano, point.time_unix_nano = start * 1000, ts * 1000
        fill_pairs(point.attributes, attributes)
        return point

    def gauge(self, name: str, value: float, unit: str = "", ts: int = NOW_US, **attributes: Json) -> Metrics:
        """Add a gauge."""
        metric = self._metrics.metrics.add(name=name, unit=unit)
        self._point(metric.gauge, attributes, 0, ts).as_double = value
        return self

    def counter(
        self,
        name: str,
        value: int,
        attributes: Mapping[str, Json] | None = None,
        *,
        start: int = STARTED_US,
        ts: int = NOW_US,
        temporality: int = CUMULATIVE,
        monotonic: bool = True,
    ) -> Metrics:
        """Add a sum."""
        metric = self._metrics.metrics.add(name=name, unit="{job}", description="Jobs.")
        metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, monotonic  # type: ignore[assignment]
        self._point(metric.sum, attributes or {}, start, ts).as_int = value
        return self

    def histogram(
        self,
        name: str,
        counts: Sequence[int],
        total: float,
        attributes: Mapping[str, Json] | None = None,
        *,
        bounds: Sequence[float] = (1.0, 2.0),
        unit: str = "s",
        start: int = STARTED_US,
        ts: int = NOW_US,
        temporality: int = CUMULATIVE,
        **extremes: float,
    ) -> Metrics:
        """Add a histogram of explicit buckets; `extremes` are `min` and `max`."""
        metric = self._metrics.metrics.add(name=name, unit=unit)
        metric.histogram.aggregation_temporality = temporality  # type: ignore[assignment]
        point = self._point(metric.histogram, attributes or {}, start, ts)
        point.count, point.sum = sum(counts), total
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(bounds)
        for name_of, value in extremes.items():
            setattr(point, name_of, value)
        return self

    def exponential(
        self,
        name: str,
        scale: int,
        offset: int,
        counts: Sequence[int],
        total: float,
        attributes: Mapping[str, Json] | None = None,
        *,
        zero_count: int = 0,
        unit: str = "s",
        start: int = STARTED_US,
        ts: int = NOW_US,
        temporality: int = CUMULATIVE,
    ) -> Metrics:
        """Add an exponential histogram."""
        metric = self._metrics.metrics.add(name=name, unit=unit)
        metric.exponential_histogram.aggregation_temporality = temporality  # type: ignore[assignment]
        point = self._point(metric.exponential_histogram, attributes or {}, start, ts)
        point.count, point.sum, point.scale, point.zero_count = sum(counts) + zero_count, total, scale, zero_count
        point.positive.offset = offset
        point.positive.bucket_counts.extend(counts)
        return self

    def summary(
        self, name: str, count: int, total: float, quantiles: Mapping[float, float], ts: int = NOW_US, **labels: Json
    ) -> Metrics:
        """Add a summary; `quantiles` are values by the share of those that are smaller."""
        metric = self._metrics.metrics.add(name=name, unit="s")
        point = self._point(metric.summary, labels, STARTED_US, ts)
        point.count, point.sum = count, total
        for quantile, value in quantiles.items():
            point.quantile_values.add(quantile=quantile, value=value)
        return self

    def raw(self) -> Any:
        """Add a metric and return it."""
        return self._metrics.metrics.add()


def event(name: str, ts: int = NOW_US, **attributes: Json) -> Event:
    """Return an event; `user_id` stands for `user.id`, and so on."""
    dotted = {key.replace("__", "\0").replace("_", ".").replace("\0", "_"): v for key, v in attributes.items()}
    return Event(name=name, ts=ts, origin=Origin("shop"), attributes=dotted)


def log_request(events: Sequence[Event], resource: Mapping[str, Json] = PROCESS) -> ExportLogsServiceRequest:
    """Return a request with events."""
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    fill_pairs(of_resource.resource.attributes, resource)
    scope = of_resource.scope_logs.add()
    for one in events:
        fill_log_record(scope.log_records.add(), one, NOW_US)
    return request


def log_request_of(
    attributes: Mapping[str, Json],
    *,
    name: str = "",
    body: str = "",
    trace_id: str = "",
    span_id: str = "",
    ts: int = NOW_US,
    resource: Mapping[str, Json] = PROCESS,
    scope: str = "",
) -> ExportLogsServiceRequest:
    """Return a request with one log record, as a logger of another SDK writes it."""
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    fill_pairs(of_resource.resource.attributes, resource)
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name = scope
    record = of_scope.log_records.add(
        time_unix_nano=ts * 1000,
        observed_time_unix_nano=ts * 1000,
        event_name=name,
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(span_id),
    )
    if body:
        record.body.string_value = body
    fill_pairs(record.attributes, attributes)
    return request


def record_request(records: Sequence[Record], resource: Mapping[str, Json] = PROCESS) -> ExportLogsServiceRequest:
    """Return a request with the events of records."""
    return log_request([to_event(record) for record in records], resource)


def span_request(
    *spans: Mapping[str, Any], resource: Mapping[str, Json] = PROCESS, scope: str = "other"
) -> ExportTraceServiceRequest:
    """Return a request with spans, each given as `span()` returns it."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    fill_pairs(of_resource.resource.attributes, resource)
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = scope
    for given in spans:
        made = of_scope.spans.add(
            trace_id=bytes.fromhex(given["trace_id"]),
            span_id=bytes.fromhex(given["span_id"]),
            parent_span_id=bytes.fromhex(given["parent"]),
            name=given.get("name", "chat"),
            start_time_unix_nano=given["start"] * 1000,
            end_time_unix_nano=given["end"] * 1000,
        )
        made.status.code = given["status"]
        fill_pairs(made.attributes, given["attributes"])
    return request


def span(
    span_id: int,
    attributes: Mapping[str, Json] | None = None,
    *,
    parent: int = 0,
    took_us: int = 250_000,
    end: int = NOW_US,
    status: int = 0,
) -> dict[str, Any]:
    """Return a span of trace 1, by default a call of gpt-4o with 10 and 5 tokens."""
    said = {**CHAT, "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    return {
        "trace_id": f"{1:032x}",
        "span_id": f"{span_id:016x}",
        "parent": f"{parent:016x}" if parent else "",
        "start": end - took_us,
        "end": end,
        "status": status,
        "attributes": said if attributes is None else attributes,
    }
