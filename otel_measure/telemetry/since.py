"""What a process has counted since it began: a fork copies the counts of its parent, which are the parent's to tell."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

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

from otel_measure.stats.binned import Exponential
from otel_measure.telemetry.points import DataPoint, kind_of, stream_scope

_LOCKS: Final = (type(threading.Lock()), type(threading.RLock()))
# Their locks belong to classes: no provider leads to them, and every exponential histogram takes them to rescale.
_MAPPINGS: Final = "opentelemetry.sdk.metrics._internal.exponential_histogram.mapping"
_SHARED: Final = (
    (f"{_MAPPINGS}.exponent_mapping", "ExponentMapping"),
    (f"{_MAPPINGS}.logarithm_mapping", "LogarithmMapping"),
)
_SDK: Final = "opentelemetry."
Key: TypeAlias = tuple[str, str, frozenset[tuple[str, object]]]
Collect: TypeAlias = Callable[..., MetricsData | None]
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


class SinceStart:
    """Collects for one reader, under a lock that a fork waits for, and leaves out what was inherited.

    Args:
        collect: what the provider gave the reader.
        inside_sdk: returns the lock of whoever is inside the SDK.
    """

    def __init__(self, collect: Collect, inside_sdk: Callable[[], AbstractContextManager[Any]]) -> None:
        self._collect = collect
        self._inside_sdk = inside_sdk
        self._inherited: Mapping[Key, DataPoint] = {}
        self._began_ns = 0

    @classmethod
    def of(cls, reader: MetricReader, inside_sdk: Callable[[], AbstractContextManager[Any]]) -> SinceStart | None:
        """Stand between a reader and its provider; `None` for a reader that has none."""
        collect: Collect | None = getattr(reader, "_collect", None)
        if collect is None:
            return None
        found = cls(collect, inside_sdk)
        reader._set_collect_callback(found)  # type: ignore[arg-type]  # the SDK's own callback is of this form
        return found

    def __call__(self, reader: MetricReader, **given: Any) -> MetricsData | None:
        """Return the state of every instrument since this process began."""
        with self._inside_sdk():
            data = self._collect(reader, **given)
        return self._since(data) if data is not None and self._inherited else data

    def after_fork_in_child(self, reader: MetricReader, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Take what there is now as what was inherited."""
        data = self._collect(reader)
        self._began_ns = now_ns()
        self._inherited = dict(_cumulative(data)) if data is not None else {}

    def _since(self, data: MetricsData) -> MetricsData:
        resources = [
            dataclasses.replace(
                resource,
                scope_metrics=[
                    dataclasses.replace(
                        scope, metrics=[self._metric(scope.scope.name, metric) for metric in scope.metrics]
                    )
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ]
        return dataclasses.replace(data, resource_metrics=resources)

    def _metric(self, scope: str, metric: Metric) -> Metric:
        if not _counts(metric):
            return metric
        points = [
            self._less(point, inherited) if (inherited := self._inherited.get(_key(scope, metric, point))) else point
            for point in metric.data.data_points
        ]
        return dataclasses.replace(metric, data=dataclasses.replace(metric.data, data_points=points))  # type: ignore[arg-type]

    def _less(self, point: DataPoint, inherited: DataPoint) -> DataPoint:
        found = _less(point, inherited)
        return dataclasses.replace(found, start_time_unix_nano=self._began_ns)


def _counts(metric: Metric) -> bool:
    """Tell whether a metric adds over processes: a host's counters go on, whoever reads them."""
    data = metric.data
    if isinstance(data, Gauge) or data.aggregation_temporality is not _CUMULATIVE:
        return False
    return stream_scope(metric.name, kind_of(metric)) == "add"


def _key(scope: str, metric: Metric, point: DataPoint) -> Key:
    attributes = {
        (key, tuple(value) if isinstance(value, list) else value) for key, value in (point.attributes or {}).items()
    }
    return scope, metric.name, frozenset(attributes)


def _cumulative(data: MetricsData) -> Iterator[tuple[Key, DataPoint]]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if _counts(metric):
                    for point in metric.data.data_points:
                        yield _key(scope.scope.name, metric, point), point


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


def renew_locks(root: object) -> None:
    """Free the SDK's locks, below `root` and shared: in a forked child those who held them do not exist.

    The SDK renews some of them by itself; one of those it does not, held by a thread of the application at the moment
    of the fork, would stop the child at its first measurement.
    """
    seen: set[int] = set()
    waiting = [root, *_shared_locks()]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, _LOCKS):
            found._at_fork_reinit()  # type: ignore[union-attr]  # what the standard library itself calls after a fork
        elif isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list | tuple | set | frozenset):
            waiting.extend(found)
        elif type(found).__module__.startswith(_SDK) and hasattr(found, "__dict__"):
            waiting.extend(vars(found).values())


def _shared_locks() -> Iterator[object]:
    """Yield the locks that classes of the SDK hold, as far as they are where they were: these names are private."""
    for module, name in _SHARED:
        owner = getattr(sys.modules.get(module), name, None)
        yield getattr(owner, "_mappings_lock", None)
