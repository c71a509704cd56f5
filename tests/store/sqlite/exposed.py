"""What the exposition of a store says, and records for it to say something of."""

from __future__ import annotations

from typing import NamedTuple

from otel_measure.ai import reports as models
from otel_measure.ai.latency import Latency, latency
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.windows import time_span
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore
from tests.facts import DAY, HOUR, NOON, event, inference
from tests.store.asking import asked


class Use(NamedTuple):
    """What a model did in a window."""

    latency: Latency
    cost: models.Cost
    errors: models.Errors


def use(store: SqliteStore, name: str = "m", version: str = "1", window: str = "30d") -> Use:
    """Return what a model did in the window that ends at noon."""
    at = time_span(window, NOON, "UTC")
    found = asked(store, lambda m: models.use_of(m.models, (name, version), at))
    return Use(latency(found, at), models.cost(found, at), models.errors(found))


def totals(store: SqliteStore) -> dict[str, Family]:
    """Return the families by name."""
    return {family.name: family for family in asked(store, lambda m: m.streams.families(NOON))}


def value(store: SqliteStore, name: str) -> float:
    """Return the sum over the samples of a family."""
    return sum(sample.value for sample in totals(store)[name].samples)


def count(store: SqliteStore, name: str) -> int:
    """Return the number of values in a histogram."""
    return sum(sample.count for sample in totals(store)[name].samples)


def filled(store: SqliteStore, days: int = 10, per_day: int = 3) -> list[Record]:
    """Give the store some records on each of the last days and return them."""
    made: list[Record] = []
    for day in range(days):
        for i in range(per_day):
            ts = NOON - day * DAY - i * HOUR
            made.append(inference(f"i{day}-{i}", ts, cost_usd=0.1, input_tokens=7, latency_ms=float(day * 10 + i)))
            made.append(event(f"e{day}-{i}", f"u{i}", ts))
    store.accept(made)
    return made
