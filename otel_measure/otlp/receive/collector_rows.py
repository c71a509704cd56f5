"""Rows of the tables that a Collector's ClickHouse exporter writes, as the OTLP messages that the rows were made of.

The exporter keeps every attribute as text, points of metrics to the second, and no trace of which attributes were
numbers. What is a number in the rule of a field of ours becomes one again; in the telemetry of others, what is written
as a number or a truth does, unless its name says that it is an id or a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_type_hints

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_measure.otlp.receive.receiver import Receiver
from otel_measure.otlp.values import fill_pairs
from otel_measure.records.events import SCHEMA_OF_EVENT
from otel_measure.records.kinds import Json
from otel_measure.store.types.collected import CollectedRow, LogRow, PointRow, Source, SpanRow, Texts

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)
_MOST_DIGITS: Final = 18  # of a whole number of 64 bits
_TRUTHS: Final = {"true": True, "false": False}
# Segments of names whose values are text, however they look.
_NAMES: Final = re.compile(r"(?:^|[._])(?:id|name|model|version|key|type|uid)$")
_decode: Final = msgspec.json.Decoder().decode


def logs_request(rows: Iterable[LogRow]) -> ExportLogsServiceRequest:
    """Return the request that has these rows as its log records, in their order."""
    request = ExportLogsServiceRequest()
    scopes = _Scopes(request.resource_logs, "scope_logs")
    for row in rows:
        record = scopes.of(row.source).log_records.add()
        record.time_unix_nano = row.time_ns
        record.severity_number = row.severity
        record.event_name = row.event_name
        if row.body:
            record.body.string_value = row.body
        record.trace_id, record.span_id = bytes.fromhex(row.trace_id), bytes.fromhex(row.span_id)
        fill_pairs(record.attributes, _of_event(row.event_name or row.attributes.get("event.name", ""), row.attributes))
    return request


def spans_request(rows: Iterable[SpanRow]) -> ExportTraceServiceRequest:
    """Return the request that has these rows as its spans, in their order."""
    request = ExportTraceServiceRequest()
    scopes = _Scopes(request.resource_spans, "scope_spans")
    for row in rows:
        span = scopes.of(row.source).spans.add()
        span.trace_id, span.span_id = bytes.fromhex(row.trace_id), bytes.fromhex(row.span_id)
        span.parent_span_id = bytes.fromhex(row.parent_span_id)
        span.name, span.start_time_unix_nano = row.name, row.time_ns
        span.end_time_unix_nano = row.time_ns + row.duration_ns
        span.kind = Span.SpanKind.Value(_KINDS.get(row.kind, "SPAN_KIND_UNSPECIFIED"))
        span.status.code = Status.StatusCode.Value(_STATUSES.get(row.status, "STATUS_CODE_UNSET"))
        span.status.message = row.status_message
        fill_pairs(span.attributes, _of_others(row.attributes))
        for event in row.events:
            added = span.events.add()
            added.time_unix_nano, added.name = event.time_ns, event.name
            fill_pairs(added.attributes, _of_others(event.attributes))
    return request


def metrics_request(rows: Iterable[PointRow]) -> ExportMetricsServiceRequest:
    """Return the request that has these rows as its data points, in their order."""
    request = ExportMetricsServiceRequest()
    scopes = _Scopes(request.resource_metrics, "scope_metrics")
    for row in rows:
        metric = scopes.of(row.source).metrics.add()
        metric.name, metric.description, metric.unit = row.name, row.description, row.unit
        point = _FORMS[row.form](metric, row.values)
        point.start_time_unix_nano, point.time_unix_nano, point.flags = row.start_ns, row.time_ns, row.flags
        fill_pairs(point.attributes, dict(row.attributes))
    return request


class _Scopes:
    """The scopes of a request; what follows one another from one source is in one of them."""

    def __init__(self, resources: Any, scopes: str) -> None:
        self._resources = resources
        self._scopes = scopes
        self._last: tuple[Source, Any] | None = None

    def of(self, source: Source) -> Any:
        """Return the scope of a source."""
        if self._last is None or self._last[0] != source:
            added = self._resources.add()
            _fill_resource(added.resource, source)
            scope = getattr(added, self._scopes).add()
            _fill_scope(scope.scope, source)
            self._last = (source, scope)
        return self._last[1]


def _fill_resource(resource: Resource, source: Source) -> None:
    fill_pairs(resource.attributes, dict(source.resource))


def _fill_scope(scope: InstrumentationScope, source: Source) -> None:
    scope.name, scope.version = source.scope, source.scope_version


# ---------------------------------------------------------------- attributes


def _of_event(name: str, attributes: Texts) -> dict[str, Json]:
    """Return the attributes of an event, those of ours as the rules of their fields have them."""
    schema = SCHEMA_OF_EVENT.get(name)
    if schema is None:
        return _of_others(attributes)
    rules = _RULES[schema.record]
    return {
        key: _by_rule(text, rules[key]) if key in rules else _guessed(key, text) for key, text in attributes.items()
    }


def _by_rule(text: str, rule: object) -> Json:
    """Return the number or truth, text, list or object that a text says: the first of them that a field may be."""
    for value in (_plain_value(text), text, _json_value(text)):
        try:
            kept: Json = msgspec.convert(value, rule)
        except msgspec.ValidationError:
            continue
        return kept
    return text


def _of_others(attributes: Texts) -> dict[str, Json]:
    return {key: _guessed(key, text) for key, text in attributes.items()}


def _guessed(key: str, text: str) -> Json:
    return text if _NAMES.search(key) else _plain_value(text)


def _json_value(text: str) -> Json:
    try:
        value: Json = _decode(text)
    except msgspec.DecodeError:
        return text
    return value


def _plain_value(text: str) -> Json:
    """Return the number or truth that a text says; the text where it says none.

    Lists and objects stay text: many instrumentations send them as text themselves, and whoever reads them wants that.
    """
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _NUMBER.fullmatch(text):
        if text.lstrip("-").isdigit():
            return int(text) if len(text.lstrip("-")) <= _MOST_DIGITS else text
        return float(text)
    return text


_RULES: Final[Mapping[type[msgspec.Struct], Mapping[str, object]]] = {
    schema.record: {
        attribute: get_type_hints(schema.record, include_extras=True)[field]
        for field, attribute in zip(
            schema.record.__struct_fields__, schema.record.__struct_encode_fields__, strict=True
        )
    }
    for schema in SCHEMA_OF_EVENT.values()
}
_KINDS: Final = {name: f"SPAN_KIND_{name.upper()}" for name in ("Internal", "Server", "Client", "Producer", "Consumer")}
_STATUSES: Final = {name: f"STATUS_CODE_{name.upper()}" for name in ("Ok", "Error")}


# ---------------------------------------------------------------- points


def _gauge(metric: Metric, values: Mapping[str, Any]) -> Any:
    point = metric.gauge.data_points.add()
    point.as_double = values["Value"]
    return point


def _sum(metric: Metric, values: Mapping[str, Any]) -> Any:
    metric.sum.is_monotonic = bool(values["IsMonotonic"])
    metric.sum.aggregation_temporality = values["AggregationTemporality"]
    point = metric.sum.data_points.add()
    point.as_double = values["Value"]
    return point


def _histogram(metric: Metric, values: Mapping[str, Any]) -> Any:
    metric.histogram.aggregation_temporality = values["AggregationTemporality"]
    point = metric.histogram.data_points.add()
    point.bucket_counts.extend(values["BucketCounts"])
    point.explicit_bounds.extend(values["ExplicitBounds"])
    return _summed(point, values)


def _exponential(metric: Metric, values: Mapping[str, Any]) -> Any:
    metric.exponential_histogram.aggregation_temporality = values["AggregationTemporality"]
    point = metric.exponential_histogram.data_points.add()
    point.scale, point.zero_count = values["Scale"], values["ZeroCount"]
    for buckets, side in ((point.positive, "Positive"), (point.negative, "Negative")):
        buckets.offset = values[f"{side}Offset"]
        buckets.bucket_counts.extend(values[f"{side}BucketCounts"])
    return _summed(point, values)


def _summary(metric: Metric, values: Mapping[str, Any]) -> Any:
    point = metric.summary.data_points.add()
    point.count, point.sum = values["Count"], values["Sum"]
    quantiles = zip(values["ValueAtQuantiles.Quantile"], values["ValueAtQuantiles.Value"], strict=True)
    for quantile, value in quantiles:
        point.quantile_values.add(quantile=quantile, value=value)
    return point


def _summed(point: Any, values: Mapping[str, Any]) -> Any:
    """Fill in what both kinds of histograms have; extremes that are both 0 were not said, or say nothing."""
    point.count, point.sum = values["Count"], values["Sum"]
    if values["Min"] or values["Max"]:
        point.min, point.max = values["Min"], values["Max"]
    return point


_FORMS: Final[Mapping[str, Callable[[Metric, Mapping[str, Any]], Any]]] = {
    "gauge": _gauge,
    "sum": _sum,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}


# ---------------------------------------------------------------- taken in


def receive(receiver: Receiver, rows: Sequence[CollectedRow]) -> None:
    """Give rows of one table to a receiver, as the request that they were made of."""
    logs = [row for row in rows if isinstance(row, LogRow)]
    spans = [row for row in rows if isinstance(row, SpanRow)]
    points = [row for row in rows if isinstance(row, PointRow)]
    if logs:
        receiver.logs(logs_request(logs))
    if spans:
        receiver.traces(spans_request(spans))
    if points:
        receiver.metrics(metrics_request(points))
