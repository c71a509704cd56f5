"""P7: rendering `/metrics`, against `prometheus_client` with as many series of its own."""

from __future__ import annotations

from benchmarks.report import Row, best, seconds
from exporter.exposition.prometheus import render
from otel_measure.definitions.exposition import Family, Sample


def rows(_: int) -> list[Row]:
    """Render counters from families that a store has read, as a scrape does."""
    return [_row(series) for series in (1_000, 10_000)]


def _row(series: int) -> Row:
    from prometheus_client import CollectorRegistry, Counter, generate_latest

    registry = CollectorRegistry()
    families = []
    for i in range(series // 1_000):
        counter = Counter(f"requests_{i}", "Requests.", ["model", "version"], registry=registry)
        samples = []
        for j in range(1_000):
            counter.labels(f"model-{j}", "1").inc(j)
            samples.append(Sample(f'model="model-{j}",version="1"', float(j)))
        families.append(Family(f"requests.{i}", "counter", "", "Requests.", (), samples))
    ours = best(lambda: seconds(lambda: render(families)), 7)
    reference = best(lambda: seconds(lambda: generate_latest(registry)), 7)
    return Row("P7", f"/metrics with {series:,} series", ours * 1000, reference * 1000, 0.3, "ms")
