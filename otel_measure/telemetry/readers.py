"""Who reads instruments out: our own readers, those of the application, and whether there is anybody at all."""

from __future__ import annotations

import math
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_measure.telemetry.sdk_internals import Collect, endpoint_of, intercept_collect, readers_of

MAX_BUCKETS: Final = 160


class StreamReader(InMemoryMetricReader):
    """Reads out what has no facts, for the store; without a store also what models did."""

    def __init__(self) -> None:
        super().__init__(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation(max_size=MAX_BUCKETS)})


class PrometheusExposition:
    """The exposition of `opentelemetry-exporter-prometheus`, in a registry of its own."""

    def __init__(self) -> None:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CollectorRegistry

        class ScrapedReader(PrometheusMetricReader):
            """Collects for a scrape only: what a flush collects would stand in the next exposition once more."""

            def force_flush(self, timeout_millis: float = 10_000) -> bool:
                """Do nothing: nothing is sent from here."""
                return True

        self._registry = CollectorRegistry()
        self.reader: Final[MetricReader] = ScrapedReader(registry=self._registry)

    def text(self) -> tuple[bytes, str]:
        """Return the exposition and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def wait_for_callbacks(reader: MetricReader) -> None:
    """Let a reader wait for the callbacks of observable instruments, however long they take.

    The SDK has no way to end a callback. It looks at the wall clock after each one and gives up the whole collection
    once 10 s are over: a slow callback, or a clock that was set ahead, would be an error in the place of an answer.
    """

    def patiently(collect: Collect) -> Collect:
        def without_deadline(reader: MetricReader, **given: Any) -> MetricsData | None:
            return collect(reader, **(given | {"timeout_millis": math.inf}))

        return without_deadline

    intercept_collect(reader, patiently)


def is_read(provider: object) -> bool:
    """Tell whether anybody reads a provider out who wants facts; where that cannot be seen, somebody does."""
    readers = readers_of(provider)
    return readers is None or any(not isinstance(reader, StreamReader) for reader in readers)


def readers_that_send_to(provider: object, endpoint: str) -> list[MetricReader]:
    """Return the readers of a provider that send to the host and port of an endpoint."""
    return [reader for reader in readers_of(provider) or () if _place(endpoint_of(reader)) == _place(endpoint)]


def _place(endpoint: str) -> str:
    # gRPC's endpoints have no scheme.
    return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").netloc
