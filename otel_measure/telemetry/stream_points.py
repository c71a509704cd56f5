"""What a metric reader has collected, as points to be stored: the streams of what has no facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, MetricsData, NumberDataPoint

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.signals import model_series, source_of
from otel_measure.definitions.streams import FACT_SCOPES, Point, stream_scope
from otel_measure.records.kinds import Origin
from otel_measure.telemetry.collected import DataPoint, attributes_of, data_points, histogram_of, kind_of

HasFacts: TypeAlias = Callable[[str], bool]


class StreamIdentity(NamedTuple):
    """Whose streams these are."""

    service: str
    environment: str
    instance: str
    host: str

    @property
    def origin(self) -> Origin:
        """Service and environment."""
        return Origin(self.service, self.environment)

    @property
    def source(self) -> str:
        """The process, told apart from those of all services."""
        return source_of(self.origin, self.instance)


def stream_points(
    collected: Iterable[MetricsData],
    identity: StreamIdentity,
    has_facts: HasFacts | None = None,
) -> list[Point]:
    """Return every data point as a stream point, but for those of what has facts.

    Args:
        collected: by readers of this process.
        identity: whose streams these are.
        has_facts: tells which models have facts anyhow; what other instrumentations say of their calls is left out of
            the models, and `None` leaves out all of it.
    """
    points = []
    for scope, metric, data_point in data_points(collected):
        if scope in FACT_SCOPES:
            continue
        series = model_series(metric.name, attributes_of(data_point), identity.origin, identity.source)
        if series is None:
            points.append(_point(metric, data_point, identity))
        elif has_facts is not None:
            known = has_facts(series.model)
            points.append(replace(_point(metric, data_point, identity), model_series=None if known else series))
    return points


def _point(metric: Metric, data_point: DataPoint, identity: StreamIdentity) -> Point:
    kind = kind_of(metric)
    scope = stream_scope(metric.name, kind)
    host, instance = (semconv.ATTR_HOST_NAME, identity.host), (semconv.ATTR_SERVICE_INSTANCE_ID, identity.instance)
    service = (
        (semconv.ATTR_SERVICE_NAME, identity.service),
        (semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, identity.environment),
    )
    own = {"host": (host,), "instance": (*service, instance), "add": service}[scope]
    attributes = attributes_of(data_point).items()
    value, count, bounds, buckets = _figures(metric, data_point)
    return Point(
        name=metric.name,
        kind=kind,
        unit=metric.unit or "",
        description=metric.description or "",
        labels=escaped((*attributes, *own)),
        scope=scope,
        instance=identity.host if scope == "host" else identity.instance,
        # A host's counters go on over our restarts, so its streams begin once.
        start=0 if scope == "host" else (data_point.start_time_unix_nano or 0) // 1000,
        ts=data_point.time_unix_nano // 1000,
        value=value,
        count=count,
        bounds=bounds,
        buckets=buckets,
    )


def _figures(metric: Metric, data_point: DataPoint) -> tuple[float, int, tuple[float, ...], tuple[int, ...]]:
    if isinstance(data_point, NumberDataPoint):
        return data_point.value, 0, (), ()
    if isinstance(data_point, HistogramDataPoint):
        return data_point.sum, data_point.count, tuple(data_point.explicit_bounds), tuple(data_point.bucket_counts)
    known = instruments.BY_NAME.get(metric.name)
    bounds = known.buckets if known else instruments.BUCKETS_DURATION
    return data_point.sum, data_point.count, bounds, tuple(histogram_of(data_point).explicit(bounds))
