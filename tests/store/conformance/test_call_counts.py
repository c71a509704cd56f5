"""Calls of models, counted for whoever judges them every minute."""

from __future__ import annotations

import pytest

from otel_measure.records.kinds import Origin
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallCount, CallTotals, TimedCount
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


@pytest.mark.parametrize("others", [0, 30])
def test_calls_are_counted_by_the_minute_and_before_by_five(engine: EngineCase, others: int) -> None:
    """Each cell with a call says how many and how many failed, of each version, within one environment."""
    store = engine.open()
    store.accept(
        [
            inference("a", NOON),
            inference("b", NOON + MINUTE - 1, error_type="Timeout"),
            inference("c", NOON + MINUTE, error_type="Timeout"),
            inference("d", NOON, version="2"),
            inference("before", NOON - MINUTE),
            inference("with it", NOON - 5 * MINUTE, error_type="Timeout"),
            inference("long ago", NOON - 5 * MINUTE - 1),
            inference("after", NOON + 2 * MINUTE),
            inference("elsewhere", NOON, origin=Origin("shop", "staging")),
            inference("unasked", NOON, model="another"),
        ]
    )
    names = {"m", *(f"quiet {k}" for k in range(others))}
    store.accept([inference(name, NOON - DAY, model=name) for name in sorted(names - {"m"})])
    counts = asked(
        store,
        lambda m: m.calls.call_counts(NOON - 5 * MINUTE, NOON, NOON + 2 * MINUTE, names),
        Filter(environment="test"),
    )
    assert counts == {
        ("m", "1"): [CallCount(NOON - 5 * MINUTE, 2, 1), CallCount(NOON, 2, 1), CallCount(NOON + MINUTE, 1, 1)],
        ("m", "2"): [CallCount(NOON, 1, 0)],
    }


def test_what_calls_add_up_to(engine: EngineCase) -> None:
    """Calls, failures, and those with a cost, of each version in whole minutes, within one environment."""
    store = engine.open()
    store.accept(
        [
            inference("first", NOON - 2 * HOUR, cost_usd=0.5),
            inference("hour", NOON - HOUR, error_type="Timeout"),
            inference("last", NOON + MINUTE - 1, cost_usd=0.25),
            inference("other", NOON, version="2"),
            inference("before", NOON - 2 * HOUR - 1, cost_usd=8.0),
            inference("after", NOON + MINUTE, cost_usd=8.0),
            inference("elsewhere", NOON, origin=Origin("shop", "staging")),
        ]
    )
    sums = asked(store, lambda m: m.calls.call_sums(NOON - 2 * HOUR, NOON + MINUTE), Filter(environment="test"))
    assert sums == {("m", "1"): CallTotals(3, 1, 2, 750_000_000), ("m", "2"): CallTotals(1, 0, 0, 0)}


def test_calls_that_took_longer_are_counted_by_cell(engine: EngineCase) -> None:
    """Of each cell: how many calls are timed, and how many took longer than the model may; services are added."""
    store = engine.open()
    store.accept(
        [
            inference("quick", NOON, latency_ms=100.0),
            inference("slow", NOON + SECOND, latency_ms=900.0),
            inference("slow too", NOON + SECOND, latency_ms=900.0, origin=Origin("api", "test")),
            inference("untimed", NOON, latency_ms=0.0, untimed=True),
            inference("earlier", NOON - MINUTE, latency_ms=900.0),
            inference("patient", NOON, latency_ms=900.0, model="patient"),
            inference("elsewhere", NOON, latency_ms=900.0, origin=Origin("shop", "staging")),
        ]
    )
    for _ in range(2):  # what is known of a cell is not reckoned again
        counts = asked(
            store,
            lambda m: m.calls.timed_counts(NOON - 5 * MINUTE, NOON, NOON + MINUTE, {"m": 500.0, "patient": 1000.0}),
            Filter(environment="test"),
        )
        assert counts == {
            ("m", "1"): [TimedCount(NOON - 5 * MINUTE, 1, 1), TimedCount(NOON, 3, 2)],
            ("patient", "1"): [TimedCount(NOON, 1, 0)],
        }


def test_what_the_last_failures_were(engine: EngineCase) -> None:
    """All versions of a model together, at most so many of each, within one environment."""
    store = engine.open()
    store.accept(
        [
            *(inference(f"t{k}", NOON + k * SECOND, error_type="Timeout") for k in range(5)),
            *(inference(f"r{k}", NOON + (9 + k) * SECOND, error_type="RateLimit") for k in range(3)),
            inference("other version", NOON, version="2", error_type="Timeout"),
            inference("well", NOON),
            inference("before", NOON - 1, error_type="Refused"),
            inference("after", NOON + MINUTE, error_type="Refused"),
            inference("other", NOON, model="other", error_type="Refused"),
            inference("elsewhere", NOON, origin=Origin("shop", "staging"), error_type="Refused"),
        ]
    )
    here = Filter(environment="test")
    assert asked(store, lambda m: m.calls.error_types("m", NOON, NOON + MINUTE, 100), here) == {
        "Timeout": 6,
        "RateLimit": 3,
    }
    assert asked(store, lambda m: m.calls.error_types("m", NOON, NOON + MINUTE, 4), here) == {
        "Timeout": 2,
        "RateLimit": 3,
    }
    assert asked(store, lambda m: m.calls.error_types("nobody", NOON, NOON + MINUTE, 4), here) == {}
