"""What changed against the time before, read from a store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.series import EarlierSeries, Series
from otel_measure.definitions.windows import Window
from otel_measure.errors import NoStore
from otel_measure.judging.compared_services import compared_services
from otel_measure.records.kinds import Inference, Origin
from otel_measure.testing import Capture
from tests.facts import HOUR, MINUTE, event, inference


@pytest.fixture
def measured() -> Iterator[Capture]:
    """A runtime on an empty store in memory, whose clock stands."""
    with Capture() as capture:
        yield capture


def day(measured: Capture, model: str, days_ago: int, **more: Any) -> Iterator[Inference]:
    """Yield 40 calls in each hour of a day, of which so many fail in each hour."""
    end, errors = measured.clock() - days_ago * 24 * HOUR, more.pop("errors", 0)
    for hour in range(24):
        for i in range(40):
            yield inference(
                f"{model}-{days_ago}-{hour}-{i}", end - hour * HOUR - i * MINUTE - 1, model=model, latency_ms=100.0 + i,
                error_type="Timeout" if i < errors else None, **more,
            )  # fmt: skip


def test_what_changed_is_told_and_nothing_else(measured: Capture) -> None:
    """Four times the errors of one model and half the cost of another; what is as before, or young, is not there."""
    store = measured.runtime.store
    assert store is not None
    for model, now, then in (
        ("fails", {"errors": 8}, {"errors": 2}),
        ("cheap", {"cost_usd": 0.001}, {"cost_usd": 0.002}),
        ("same", {"cost_usd": 0.002, "errors": 2}, {"cost_usd": 0.002, "errors": 2}),
    ):
        store.accept([*day(measured, model, 0, **now), *day(measured, model, 1, **then)])
    store.accept(list(day(measured, "young", 0)))
    told = measured.runtime.changes(environment="test")
    assert [(one.key, one.subject, one.unit, one.kind) for one in told.changes] == [
        ("error_rate", "fails 1", "ratio", "model"),
        ("cost_per_request_usd", "cheap 1", "usd", "model"),
    ]
    fails, cheap = told.changes
    assert (fails.value, fails.before, fails.change) == (0.2, 0.05, 3.0)
    assert (cheap.value, cheap.before, cheap.change) == (0.001, 0.002, -0.5)
    assert max(fails.p_value, cheap.p_value) < 0.001
    # Error rate and p95 of three models, and what two of them cost.
    assert told.compared == 8
    assert told.previous.end == told.window.start


def test_slower_calls_are_a_change(measured: Capture) -> None:
    """The p95 of both days, by the calls that took longer than that of both together."""
    store = measured.runtime.store
    assert store is not None
    for days_ago, factor in ((0, 1.5), (1, 1.0)):
        calls = list(day(measured, "m", days_ago))
        store.accept([inference(c.id, c.ts, model="m", latency_ms=c.latency_ms * factor) for c in calls])
    (slower,) = measured.runtime.changes(environment="test").changes
    assert (slower.key, slower.unit) == ("p95_ms", "ms")
    assert slower.change == pytest.approx(0.5, abs=0.03)


def test_a_day_without_calls_is_a_change(measured: Capture) -> None:
    """Of all calls together by the day: the last complete one against the same weekdays of the weeks before."""
    store = measured.runtime.store
    assert store is not None
    for days_ago in range(1, 36):
        n = 10 if days_ago == 1 else 100 + days_ago % 3
        at = measured.clock() - days_ago * 24 * HOUR
        store.accept([inference(f"{days_ago}-{i}", at, model="m") for i in range(n)])
    told = measured.runtime.changes(environment="test")
    assert [(one.key, one.kind, one.subject, one.value) for one in told.changes] == [
        ("requests", "models", "", 10.0),
        ("requests", "model", "m 1", 10.0),
    ]
    assert {round(one.change, 1) for one in told.changes} == {-0.9}
    assert measured.runtime.changes(environment="test") == told  # days are kept as they were told
    store.accept([inference(f"late-{i}", measured.clock() - 24 * HOUR, model="m") for i in range(90)])
    assert measured.runtime.changes(environment="test").changes == ()  # until one changes


def test_one_service_is_asked_about_alone(measured: Capture) -> None:
    """Calls of another service change nothing of it."""
    store = measured.runtime.store
    assert store is not None
    for days_ago in range(1, 36):
        at, n = measured.clock() - days_ago * 24 * HOUR, 10 if days_ago == 1 else 100
        store.accept([inference(f"{days_ago}-{i}", at, model="m", origin=Origin("shop", "test")) for i in range(n)])
        store.accept([inference(f"o{days_ago}-{i}", at, model="o", origin=Origin("other", "test")) for i in range(100)])

    def told(service: str | None) -> set[tuple[str, str]]:
        found = measured.runtime.changes(service=service, environment="test").changes
        return {(one.kind, one.subject) for one in found}

    assert told("shop") == {("models", ""), ("model", "m 1")}
    assert told("other") == set()
    assert told(None) == {("models", ""), ("model", "m 1")}


def test_fewer_convert(measured: Capture) -> None:
    """Who converts is compared by the day, as who is active."""
    store = measured.runtime.store
    assert store is not None
    for days_ago in range(1, 36):
        at = measured.clock() - days_ago * 24 * HOUR
        store.accept([event(f"{days_ago}-{i}", f"u{i}", at) for i in range(100)])
        n = 1 if days_ago == 1 else 60 + days_ago % 2
        store.accept([event(f"c{days_ago}-{i}", f"u{i}", at, type="conversion") for i in range(n)])
    (fewer,) = measured.runtime.changes(environment="test").changes
    assert (fewer.key, fewer.kind, fewer.value) == ("converted_users", "users", 1.0)
    assert fewer.before == pytest.approx(60.5, abs=0.5)


def availability(down_s: list[float], before_s: list[float]) -> Series:
    """Availability in blocks of an hour, beside the time before."""
    starts = tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(24))
    window = Window(starts[0], starts[-1], "UTC")

    def columns(down: list[float]) -> dict[str, tuple[float, ...]]:
        return {"downtime_seconds": tuple(down), "uptime_seconds": tuple(3600.0 - each for each in down)}

    return Series(starts, 3600, (), columns(down_s), (), EarlierSeries(starts, columns(before_s), window), window)


def test_a_service_that_is_down_more_than_before() -> None:
    """A whole day down is a change, an outage of three hours is one event, and as often as before is none."""
    up, outage, down = [0.0] * 24, [3600.0] * 3 + [0.0] * 21, [3600.0] * 24
    unseen = replace(availability(up, up), previous=None)
    told = dict(
        compared_services(
            {"a": availability(down, up), "b": availability(outage, up), "c": availability(outage, outage), "d": unseen}
        )
    )
    p_values = {subject.subject: one.p_value for subject, one in told.items()}
    assert p_values["a"] < 1e-5
    assert 0.05 < p_values["b"] < 1.0
    assert p_values["c"] == 1.0
    assert {*p_values} == {"a", "b", "c"}
    assert {(subject.key, subject.unit, subject.kind) for subject in told} == {("downtime_ratio", "ratio", "service")}


def test_services_are_compared(measured: Capture) -> None:
    """A watched service is one of what is compared, where it is asked about."""
    infrastructure = measured.runtime.infrastructure
    infrastructure.register_service("api")
    infrastructure.record_service_up("api")
    for _ in range(180):
        measured.clock.advance(timedelta(seconds=10))
        infrastructure.beat()
    counts = [measured.runtime.changes("15m", service=name).compared for name in (None, "api", "other")]
    assert counts == [1, 1, 0]


def test_nothing_is_no_change(measured: Capture) -> None:
    """An empty store has none, and without a store there is nothing to ask."""
    told = measured.runtime.changes()
    assert (told.changes, told.compared) == ((), 0)
    with pytest.raises(ValueError, match="window must be"):
        measured.runtime.changes("yesterday")
    with Capture(Settings(store=None)) as without, pytest.raises(NoStore):
        without.runtime.changes()
    assert not math.isnan(told.window.start.timestamp())
