"""OTLP metrics as points of streams: what each says, under labels that tell processes, hosts and scopes apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from typing import Final, NamedTuple, TypeAlias

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    SummaryDataPoint,
)

from otel_measure.conventions import dialects, instruments, semconv
from otel_measure.conventions.labels import EXPORTED, escaped
from otel_measure.conventions.private import shown_of_series
from otel_measure.definitions.arrivals import UNKNOWN_SOURCE, ArrivalSource
from otel_measure.definitions.signals import model_series
from otel_measure.definitions.streams import FACT_SCOPES, Point, StreamScope, stream_scope
from otel_measure.otlp.receive.arrivals import Turned, by_reason, source_of
from otel_measure.otlp.receive.senders import Resource, resource_of, text
from otel_measure.otlp.values import attributes_of
from otel_measure.records.limits import MAX_NAME_CHARS
from otel_measure.stats.binned import Exponential

MAX_LABEL_CHARS: Final = 16_384
MAX_BUCKETS: Final = 4096
_LARGEST_COUNT: Final = 2**62
# Of tokens, dollars and time in any unit: 31 years of it in nanoseconds. Beyond, whole numbers of finer units break.
_LARGEST_OF_MODELS: Final = 1e18
_SCALES: Final = range(-10, 21)
_DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_BUCKETS_OF_UNIT: Final = {
    "s": instruments.BUCKETS_DURATION,
    "ms": tuple(bound * 1000 for bound in instruments.BUCKETS_DURATION),
    "{token}": instruments.BUCKETS_TOKENS,
}
# Without a unit that says more: powers of 4, from less than one to more than a gigabyte.
_BUCKETS: Final = tuple(float(4.0**power) for power in range(-5, 16))
DataPoint: TypeAlias = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint


class PointError(Exception):
    """A data point that breaks a rule."""


class InterpretedMetrics(NamedTuple):
    """What a request says.

    Attributes:
        points: in the order of the request.
        sources: who sent each of them.
        resources: from which they come.
        turned: the data points of which nothing is made: they break a rule, or say again what facts of ours say.
    """

    points: list[Point]
    sources: list[ArrivalSource]
    resources: list[Resource]
    turned: Counter[Turned]

    @property
    def refused(self) -> Counter[str]:
        """How many data points broke a rule, by the rule."""
        return by_reason(self.turned, "rejected")

    @property
    def own(self) -> int:
        """How many say again what facts of ours say."""
        return by_reason(self.turned, "own").total()


class _MetricContext(NamedTuple):
    """What the points of a metric have in common."""

    resource: Resource
    scope: str
    metric: Metric
    kind: str
    delta: bool
    keeps_text: bool


def interpret(requested: Iterable[ResourceMetrics], now_us: int, *, keeps_text: bool = False) -> InterpretedMetrics:
    """Return the points of a request; one that breaks a rule does not fail the others.

    Args:
        requested: the metrics of the request, by resource.
        now_us: microseconds; what lies further in the future counts as now.
        keeps_text: show attributes that are messages, prompts or arguments, too.
    """
    interpreted = InterpretedMetrics([], [], [], Counter())
    for resource_metrics in requested:
        try:
            resource = resource_of(attributes_of(resource_metrics.resource.attributes), keeps_text=keeps_text)
        except ValueError as rule:
            n = sum(len(points_of(m)) for scope in resource_metrics.scope_metrics for m in scope.metrics)
            interpreted.turned[Turned(UNKNOWN_SOURCE, "rejected", f"its resource: {rule}")] += n
            continue
        interpreted.resources.append(resource)
        for scope_metrics in resource_metrics.scope_metrics:
            source = source_of(resource, scope_metrics.scope.name)
            for metric in scope_metrics.metrics:
                common, data_points = _common(resource, scope_metrics.scope.name, metric, keeps_text=keeps_text)
                if common.scope in FACT_SCOPES:
                    interpreted.turned[Turned(source, "own", "")] += len(data_points)
                    continue
                for data_point in data_points:
                    try:
                        points = list(_points(common, data_point, now_us))
                    except PointError as rule:
                        interpreted.turned[Turned(source, "rejected", str(rule))] += 1
                        continue
                    interpreted.points.extend(points)
                    interpreted.sources.extend([source] * len(points))
    return interpreted


def points_of(metric: Metric) -> Sequence[DataPoint]:
    """Return the data points of a metric, whatever kind they are of; none where it has no data."""
    form = metric.WhichOneof("data")
    points: Sequence[DataPoint] = getattr(metric, form).data_points if form is not None else ()
    return points


def _common(
    resource: Resource, scope: str, metric: Metric, *, keeps_text: bool
) -> tuple[_MetricContext, Sequence[DataPoint]]:
    form = metric.WhichOneof("data")
    if form is None:
        return _MetricContext(resource, scope, metric, "gauge", False, keeps_text), ()
    data = getattr(metric, form)
    delta = getattr(data, "aggregation_temporality", None) == _DELTA
    if form == "sum":
        kind = "counter" if data.is_monotonic else "updowncounter"
        return _MetricContext(resource, scope, metric, kind, delta, keeps_text), data.data_points
    kind = {"gauge": "gauge", "summary": "summary"}.get(form, "histogram")
    return _MetricContext(resource, scope, metric, kind, delta, keeps_text), data.data_points


def _points(common: _MetricContext, data_point: DataPoint, now_us: int) -> Iterator[Point]:
    if not common.metric.name or len(common.metric.name) > MAX_NAME_CHARS:
        raise PointError(f"a metric's name must have 1 to {MAX_NAME_CHARS} characters")
    if data_point.flags & _NO_VALUE:
        yield from _endings(common, data_point, now_us)
    elif isinstance(data_point, SummaryDataPoint):
        yield from _summary(common, data_point, now_us)
    elif isinstance(data_point, NumberDataPoint):
        value = data_point.as_int if data_point.WhichOneof("value") == "as_int" else data_point.as_double
        if value < 0 and common.delta and common.kind == "counter":
            raise PointError("a delta of a monotonic sum must not be negative")
        yield _point(common, data_point, now_us, _finite(float(value)))
    elif isinstance(data_point, HistogramDataPoint):
        yield _histogram(common, data_point, now_us)
    else:
        yield _exponential(common, data_point, now_us)


def _endings(common: _MetricContext, data_point: DataPoint, now_us: int) -> Iterator[Point]:
    """Yield that series have ended: what says that it has no value will have none until it says one."""
    kinds = {f"{common.metric.name}.{part}": "counter" for part in ("sum", "count")}
    named = kinds if isinstance(data_point, SummaryDataPoint) else {common.metric.name: common.kind}
    for name, kind in named.items():
        point = _point(common, data_point, now_us, 0.0, name=name, kind=kind)
        yield replace(point, ends=True, delta=False, model_series=None)


def _finite(value: float) -> float:
    if not isfinite(value):
        raise PointError("a value must be a finite number")
    return value


def _point(
    common: _MetricContext,
    data_point: DataPoint,
    now_us: int,
    value: float,
    *,
    name: str = "",
    kind: str = "",
    more: tuple[tuple[str, str], ...] = (),
) -> Point:
    """Return the point of a stream, but for what only histograms have."""
    name, kind = name or common.metric.name, kind or common.kind
    scope: StreamScope = stream_scope(name, kind)
    resource = common.resource
    if (scope == "host" and not (resource.host or resource.container)) or scope == "add":
        scope = "instance"
    try:
        shown = shown_of_series(attributes_of(data_point.attributes), keeps_text=common.keeps_text)
    except ValueError as rule:
        raise PointError(str(rule)) from None
    attributes = {key: text(attribute) for key, attribute in shown.items()}
    labels = _labels(attributes, {**dict(more), **{key: value for key, value in _own_labels(scope, common) if value}})
    if len(labels) > MAX_LABEL_CHARS:
        raise PointError(f"the attributes of a data point must have at most {MAX_LABEL_CHARS} characters as labels")
    # A reading does not grow: it tells of no calls.
    may_tell = kind != "gauge" and not resource.has_facts
    series = model_series(name, attributes, resource.origin, resource.source, common.scope) if may_tell else None
    if series is not None and not 0 <= value <= _LARGEST_OF_MODELS:
        raise PointError(
            f"what a metric says of calls of models must be from 0 to {_LARGEST_OF_MODELS:g}, not {value:g}"
        )
    sender_ts = data_point.time_unix_nano // 1000
    return Point(
        name=name,
        kind=kind,
        unit=common.metric.unit[:MAX_NAME_CHARS],
        description=common.metric.description[:MAX_NAME_CHARS],
        labels=labels,
        scope=scope,
        instance=_host_of(resource) if scope == "host" else resource.instance,
        # A host's counters go on over restarts of whoever reads them.
        start=0 if scope == "host" else data_point.start_time_unix_nano // 1000,
        ts=min(sender_ts or now_us, now_us),
        value=value,
        delta=common.delta and kind != "gauge",
        model_series=series,
        sender_ts=sender_ts if sender_ts > now_us else 0,
        received_ts=now_us,
    )


def _labels(attributes: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Return the labels of a point and of what sends it; where both have one, the point's is `exported_`.

    A Prometheus server does so with labels of its targets: neither takes the place of the other.
    """
    apart = {f"{EXPORTED}{key}" if key in own else key: value for key, value in attributes.items()}
    return escaped((*apart.items(), *own.items()))


def _host_of(resource: Resource) -> str:
    return "/".join(part for part in (resource.host, resource.container) if part)


def _own_labels(scope: StreamScope, common: _MetricContext) -> Iterator[tuple[str, str]]:
    resource = common.resource
    if scope == "host":
        yield semconv.ATTR_HOST_NAME, resource.host
        yield semconv.ATTR_CONTAINER_ID, resource.container
        return
    yield semconv.ATTR_SERVICE_NAME, resource.origin.service
    yield semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, resource.origin.environment
    yield semconv.ATTR_SERVICE_INSTANCE_ID, resource.instance
    if common.metric.name.startswith("process."):
        yield semconv.ATTR_PROCESS_EXECUTABLE_NAME, resource.attributes.get(semconv.ATTR_PROCESS_EXECUTABLE_NAME, "")
    if not common.scope.startswith(semconv.EVENT_PREFIX):
        yield semconv.ATTR_SCOPE_NAME, common.scope


def _histogram(common: _MetricContext, data_point: HistogramDataPoint, now_us: int) -> Point:
    bounds, buckets = tuple(data_point.explicit_bounds), tuple(data_point.bucket_counts)
    if len(bounds) > MAX_BUCKETS or (buckets and len(buckets) != len(bounds) + 1):
        raise PointError(f"a histogram must have one bucket more than bounds, and at most {MAX_BUCKETS} of these")
    if not all(isfinite(bound) for bound in bounds) or any(a >= b for a, b in pairwise(bounds)):
        raise PointError("the bounds of a histogram must be finite and ascending")
    count = _count(data_point.count, sum(buckets) if buckets else data_point.count)
    if not buckets:
        bounds, buckets = (), (count,)  # only sum and count are said: one bucket holds all
    return _with_extremes(common, data_point, now_us, count, bounds=bounds, buckets=buckets)


def _exponential(common: _MetricContext, data_point: ExponentialHistogramDataPoint, now_us: int) -> Point:
    positive, negative = data_point.positive, data_point.negative
    if data_point.scale not in _SCALES:
        raise PointError(f"the scale of an exponential histogram must be from {_SCALES[0]} to {_SCALES[-1]}")
    if max(len(positive.bucket_counts), len(negative.bucket_counts)) > MAX_BUCKETS:
        raise PointError(f"an exponential histogram must have at most {MAX_BUCKETS} buckets")
    below = data_point.zero_count + sum(negative.bucket_counts)
    buckets = Exponential(data_point.scale, below, positive.offset, tuple(positive.bucket_counts))
    count = _count(data_point.count, below + sum(buckets.counts))
    known = instruments.BY_NAME.get(dialects.RENAMED_METRICS.get(common.metric.name, common.metric.name))
    bounds = (known.buckets if known else ()) or _BUCKETS_OF_UNIT.get(common.metric.unit, _BUCKETS)
    return _with_extremes(common, data_point, now_us, count, bounds=bounds, exponential=buckets)


def _count(count: int, in_buckets: int) -> int:
    if count != in_buckets or count > _LARGEST_COUNT:
        raise PointError(f"the count of a histogram must be the sum of its buckets, and at most {_LARGEST_COUNT}")
    return count


def _with_extremes(
    common: _MetricContext,
    data_point: HistogramDataPoint | ExponentialHistogramDataPoint,
    now_us: int,
    count: int,
    *,
    bounds: tuple[float, ...],
    buckets: tuple[int, ...] = (),
    exponential: Exponential | None = None,
) -> Point:
    minimum = _finite(data_point.min) if data_point.HasField("min") else None
    maximum = _finite(data_point.max) if data_point.HasField("max") else None
    point = _point(common, data_point, now_us, _finite(data_point.sum))
    if point.model_series is not None and point.model_series.role != "calls" and not data_point.HasField("sum"):
        point = replace(point, model_series=None)  # of tokens and costs it says nothing but how many calls had any
    return replace(
        point,
        has_sum=data_point.HasField("sum"),
        count=count,
        bounds=bounds,
        buckets=buckets,
        exponential=exponential,
        minimum=minimum,
        maximum=maximum,
    )


def _summary(common: _MetricContext, data_point: SummaryDataPoint, now_us: int) -> Iterator[Point]:
    """Sum and count add and become counters; a quantile does not add over anything and becomes a gauge."""
    name = common.metric.name
    total, count = _finite(data_point.sum), float(data_point.count)
    yield _point(common, data_point, now_us, total, name=f"{name}.sum", kind="counter")
    yield _point(common, data_point, now_us, count, name=f"{name}.count", kind="counter")
    for quantile in data_point.quantile_values:
        more = ((semconv.ATTR_QUANTILE, repr(quantile.quantile)),)
        yield _point(common, data_point, now_us, _finite(quantile.value), name=name, kind="gauge", more=more)
