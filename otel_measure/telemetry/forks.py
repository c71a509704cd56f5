"""What a process has counted since it began: a fork copies the counts of its parent, which are the parent's to tell."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricReader,
    MetricsData,
    NumberDataPoint,
)

from otel_measure.definitions.streams import stream_scope
from otel_measure.stats.binned import Exponential
from otel_measure.store.waiting import waiting_until
from otel_measure.telemetry.collected import (
    DataPoint,
    SeriesKey,
    data_points,
    kind_of,
    series_key,
    with_metrics,
    with_points,
)
from otel_measure.telemetry.sdk_internals import Collect, intercept_collect

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
# How long a callback of the application that asks us something waits for what is being committed: whoever commits
# measures it next, for which it has to wait for this collection.
_ASKED_FOR_S: Final = 0.2


class SinceFork:
    """Collects for one reader, under a lock that a fork waits for, and leaves out what was inherited.

    Args:
        reader: who reads.
        collect: what its provider gave it.
        inside_sdk: returns the lock of whoever is inside the SDK.
    """

    def __init__(
        self, reader: MetricReader, collect: Collect, inside_sdk: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._reader = reader
        self._collect = collect
        self._inside_sdk = inside_sdk
        self._inherited: Mapping[SeriesKey, DataPoint] = {}
        self._began_ns = 0

    @classmethod
    def of(cls, reader: MetricReader, inside_sdk: Callable[[], AbstractContextManager[Any]]) -> SinceFork | None:
        """Stand between a reader and its provider; `None` where that cannot be done."""
        made: list[SinceFork] = []

        def between(collect: Collect) -> Collect:
            made.append(cls(reader, collect, inside_sdk))
            return made[0]

        return made[0] if intercept_collect(reader, between) else None

    def __call__(self, reader: MetricReader, **given: Any) -> MetricsData | None:
        """Return the state of every instrument since this process began."""
        with self._inside_sdk(), waiting_until(time.monotonic() + _ASKED_FOR_S):
            collected = self._collect(reader, **given)
        return with_metrics(collected, self._metric) if collected is not None and self._inherited else collected

    def after_fork_in_child(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Take what there is now as what was inherited."""
        collected = self._collect(self._reader)
        self._began_ns = now_ns()
        self._inherited = dict(_cumulative(collected)) if collected is not None else {}

    def _metric(self, scope: str, metric: Metric) -> Metric:
        def since_fork(point: DataPoint) -> DataPoint:
            inherited = self._inherited.get(series_key(scope, metric, point))
            if inherited is None:
                return point
            return dataclasses.replace(_less(point, inherited), start_time_unix_nano=self._began_ns)

        return with_points(metric, since_fork) if _counts(metric) else metric


def _counts(metric: Metric) -> bool:
    """Tell whether a metric adds over processes: a host's counters go on, whoever reads them."""
    data = metric.data
    if isinstance(data, Gauge) or data.aggregation_temporality is not _CUMULATIVE:
        return False
    return stream_scope(metric.name, kind_of(metric)) == "add"


def _cumulative(collected: MetricsData) -> Iterator[tuple[SeriesKey, DataPoint]]:
    for scope, metric, point in data_points([collected]):
        if _counts(metric):
            yield series_key(scope, metric, point), point


def _less(point: DataPoint, inherited: DataPoint) -> DataPoint:
    if isinstance(point, NumberDataPoint) and isinstance(inherited, NumberDataPoint):
        return dataclasses.replace(point, value=point.value - inherited.value)
    # The extremes may be the parent's: they are not known. The encoder leaves out what is None.
    unknown: dict[str, Any] = {"min": None, "max": None} if not isinstance(point, NumberDataPoint) else {}
    if isinstance(point, HistogramDataPoint) and isinstance(inherited, HistogramDataPoint):
        return dataclasses.replace(
            point,
            count=point.count - inherited.count,
            sum=point.sum - inherited.sum,
            bucket_counts=[a - b for a, b in zip(point.bucket_counts, inherited.bucket_counts, strict=True)],
            **unknown,
        )
    if isinstance(point, ExponentialHistogramDataPoint) and isinstance(inherited, ExponentialHistogramDataPoint):
        since = _buckets(point).since(_buckets(inherited))
        if since is not None:
            return dataclasses.replace(
                point,
                count=point.count - inherited.count,
                sum=point.sum - inherited.sum,
                scale=since.scale,
                zero_count=since.zero_count,
                positive=dataclasses.replace(point.positive, offset=since.offset, bucket_counts=list(since.counts)),
                **unknown,
            )
    return point


def _buckets(point: ExponentialHistogramDataPoint) -> Exponential:
    return Exponential(point.scale, point.zero_count, point.positive.offset, tuple(point.positive.bucket_counts))
