"""What readers see, by instrument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData

from otel_measure.telemetry.collected import data_points


def seen_in(collected: Iterable[MetricsData]) -> dict[str, list[Any]]:
    """Return the data points of what was collected, by instrument."""
    by_name: dict[str, list[Any]] = {}
    for _, metric, point in data_points(collected):
        by_name.setdefault(metric.name, []).append(point)
    return by_name


def seen_by(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the data points that a reader sees, by instrument."""
    collected = reader.get_metrics_data()
    return seen_in([collected] if collected is not None else [])
