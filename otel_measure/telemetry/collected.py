"""What a metric reader has collected: walked through, changed, and its histograms as ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from opentelemetry.sdk.metrics.export import (
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from otel_measure.conventions import instruments
from otel_measure.stats.histograms import ExponentialHistogram

DataPoint: TypeAlias = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
SeriesKey: TypeAlias = tuple[str, str, frozenset[tuple[str, object]]]
_LOW: Final = 1e-9
_HIGH: Final = 1e12


def data_points(collected: Iterable[MetricsData]) -> Iterator[tuple[str, Metric, DataPoint]]:
    """Yield every data point with its scope and its metric."""
    for metrics_data in collected:
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        yield scope.scope.name, metric, point


def series_key(scope: str, metric: Metric, point: DataPoint) -> SeriesKey:
    """Return what a series is known by within one process."""
    attributes = {
        (key, tuple(value) if isinstance(value, list) else value) for key, value in (point.attributes or {}).items()
    }
    return scope, metric.name, frozenset(attributes)


def starts_of(collected: Iterable[MetricsData]) -> dict[SeriesKey, int]:
    """Return when each series began, as nanoseconds since 1970 UTC; gauges do not begin."""
    return {
        series_key(scope, metric, point): point.start_time_unix_nano
        for scope, metric, point in data_points(collected)
        if point.start_time_unix_nano
    }


def with_points(metric: Metric, change: Callable[[DataPoint], DataPoint]) -> Metric:
    """Return a metric with every data point changed."""
    points = [change(point) for point in metric.data.data_points]
    return dataclasses.replace(metric, data=dataclasses.replace(metric.data, data_points=points))  # type: ignore[arg-type]


def with_metrics(collected: MetricsData, change: Callable[[str, Metric], Metric | None]) -> MetricsData:
    """Return it with every metric changed, given its scope too; `None` leaves a metric out."""
    resources = [
        dataclasses.replace(
            resource,
            scope_metrics=[
                dataclasses.replace(
                    scope,
                    metrics=[
                        changed for metric in scope.metrics if (changed := change(scope.scope.name, metric)) is not None
                    ],
                )
                for scope in resource.scope_metrics
            ],
        )
        for resource in collected.resource_metrics
    ]
    return dataclasses.replace(collected, resource_metrics=resources)


def kind_of(metric: Metric) -> str:
    """Return which kind of instrument a metric comes from."""
    if isinstance(metric.data, Gauge):
        return "gauge"
    if isinstance(metric.data, Sum):
        return "counter" if metric.data.is_monotonic else "updowncounter"
    return "histogram"


def attributes_of(point: DataPoint) -> dict[str, str]:
    """Return the attributes of a data point as texts."""
    return {key: _text(value) for key, value in (point.attributes or {}).items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def histogram_of(point: ExponentialHistogramDataPoint) -> ExponentialHistogram:
    """Return an exponential histogram of the SDK as ours."""
    return ExponentialHistogram.from_otel(
        point.scale,
        point.positive.offset,
        point.positive.bucket_counts,
        point.zero_count,
        point.sum,
        point.min,
        point.max,
        low=_LOW,
        high=_HIGH,
        units_per_value=instruments.MICRO,
    )
