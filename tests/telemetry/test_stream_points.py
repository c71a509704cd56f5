from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.metrics import Meter, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_measure.telemetry.stream_points import StreamIdentity, stream_points

ME = StreamIdentity("shop", "prod", "instance-1", "host-1")
SERVICE = 'deployment_environment_name="prod"'


def collected(use: Callable[[Meter], Any], scope: str = "application", **given: Any) -> list[MetricsData]:
    """Return what a reader sees after a meter was used."""
    reader = InMemoryMetricReader(**given)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    use(provider.get_meter(scope))
    seen = reader.get_metrics_data()
    provider.shutdown()
    return [seen] if seen is not None else []


def test_a_counter_adds_over_processes() -> None:
    """Labels say the service, the instance is the key beside them, and the start is that of the stream."""
    seen = collected(lambda meter: meter.create_counter("jobs", "{job}", "Jobs.").add(3, {"ok": True, "n": 1}))
    (point,) = stream_points(seen, ME)
    assert (point.name, point.kind, point.unit, point.description) == ("jobs", "counter", "{job}", "Jobs.")
    assert point.labels == f'{SERVICE},n="1",ok="true",service_name="shop"'
    assert (point.scope, point.instance, point.value, point.count) == ("add", "instance-1", 3, 0)
    assert 0 < point.start <= point.ts


def test_a_reading_of_the_host_belongs_to_the_host() -> None:
    """No service in its labels, and it begins once, whoever reads it."""
    seen = collected(
        lambda meter: meter.create_observable_counter("system.cpu.time", [lambda _: [Observation(5, {"mode": "idle"})]])
    )
    (point,) = stream_points(seen, ME)
    assert (point.labels, point.instance, point.start) == ('host_name="host-1",mode="idle"', "host-1", 0)


def test_a_reading_of_a_process_never_adds() -> None:
    """The instance is in the labels."""
    seen = collected(lambda meter: meter.create_gauge("queue.depth").set(2))
    (point,) = stream_points(seen, ME)
    assert (point.kind, point.labels) == ("gauge", f'{SERVICE},service_instance_id="instance-1",service_name="shop"')
    seen = collected(lambda meter: meter.create_up_down_counter("requests.active").add(-1))
    assert [(p.kind, p.scope, p.value) for p in stream_points(seen, ME)] == [("updowncounter", "add", -1)]


@pytest.mark.parametrize("exponential", [False, True])
def test_a_histogram_has_explicit_buckets(exponential: bool) -> None:
    """Given ones stay; those of exponential points are counted into the conventional bounds."""
    given: dict[str, Any] = (
        {"preferred_aggregation": {Histogram: ExponentialBucketHistogramAggregation()}} if exponential else {}
    )

    def use(meter: Meter) -> None:
        histogram = meter.create_histogram("jobs.duration", "s", explicit_bucket_boundaries_advisory=[0.01, 1.28])
        for seconds in (0.001, 0.5, 0.5, 100.0):
            histogram.record(seconds)

    (point,) = stream_points(collected(use, **given), ME)
    below = {bound: sum(point.buckets[: i + 1]) for i, bound in enumerate(point.bounds)}
    assert (point.count, round(point.value, 9)) == (4, 101.001)
    assert (below[0.01], below[1.28], sum(point.buckets)) == (1, 3, 4)
    assert len(point.buckets) == len(point.bounds) + 1


def test_what_has_facts_is_no_stream() -> None:
    """Those scopes are counted from the facts."""
    seen = collected(lambda meter: meter.create_counter("x").add(1), scope="otel_measure.ai")
    assert stream_points(seen, ME) == []
    assert stream_points([], ME) == []
