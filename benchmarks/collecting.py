"""P8 and P11: one collection of the machine, and the drift detector."""

from __future__ import annotations

import random

from benchmarks.report import Row, best, seconds


def rows(_: int) -> list[Row]:
    """Measure both."""
    return [_collection(), *_drift()]


def _collection() -> Row:
    """A fresh reading and every instrument, against the official instrumentation collecting its defaults."""
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from otel_measure.infrastructure import instruments
    from otel_measure.infrastructure.sampler import Sampler

    sampler, ours = Sampler(), InMemoryMetricReader()
    provider = MeterProvider([ours], shutdown_on_exit=False)
    instruments.register(provider.get_meter("ours"), sampler)

    def collect() -> None:
        sampler.sample()
        ours.get_metrics_data()

    official = InMemoryMetricReader()
    SystemMetricsInstrumentor().instrument(meter_provider=MeterProvider([official], shutdown_on_exit=False))
    collect()
    official.get_metrics_data()
    return Row(
        "P8",
        "one collection of the machine, all instruments",
        best(lambda: seconds(collect), 15) * 1000,
        best(lambda: seconds(official.get_metrics_data), 15) * 1000,
        1.0,
        "ms",
    )


def _drift() -> list[Row]:
    from otel_measure.stats.cells import WindowCounts, reference_cells
    from otel_measure.stats.drift import model_drift

    draw = random.Random(1)
    names = [f"feature-{i}" for i in range(50)]
    reference = {name: cells for name in names if (cells := reference_cells([draw.gauss(0, 1) for _ in range(2000)]))}
    window = WindowCounts(reference)
    records = [{name: draw.gauss(0, 1) for name in names} for _ in range(1000)]

    def add() -> None:
        for record in records:
            window.add(record)

    return [
        Row("P11", "drift: add one record of 50 features", best(lambda: seconds(add), 5) * 1000, None, 15, "µs"),
        Row(
            "P11",
            "drift: one evaluation of 50 features",
            best(lambda: seconds(lambda: model_drift(reference, window.counts)), 9) * 1000,
            None,
            2,
            "ms",
        ),
    ]
