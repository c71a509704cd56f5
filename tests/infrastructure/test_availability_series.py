"""Availability over time: each step is the report of that very step, and seconds add up to the report of the window."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isnan
from typing import Any

import pytest

from otel_measure.definitions.steps import SeriesWindow
from otel_measure.infrastructure.availability import Availability, Interval, Transition, availability
from otel_measure.infrastructure.availability_series import COLUMNS, Reckoned, availability_series
from otel_measure.testing import START, Capture
from tests.facts import DAY, HOUR, NOON, SECOND
from tests.infrastructure.worlds import World

SECONDS = ("uptime_seconds", "downtime_seconds", "unknown_seconds", "maintenance_seconds")


def known(column: tuple[float, ...]) -> list[float | None]:
    """Return a column with `None` where it is unknown."""
    return [None if isnan(number) else number for number in column]


def test_the_series_whole(world: World) -> None:
    """Before the registration nothing is known, an outage is in each step that it touches, the last one is running."""
    world.live(900)
    world.ledger.record("api", "down", reason="disk full")
    world.live(900)
    world.ledger.record("api", "up")
    world.live(270)
    series = world.ledger.series("api", SeriesWindow("40m"), "15m", None)
    assert [start.strftime("%H:%M") for start in series.start] == ["11:54", "12:00", "12:15", "12:30"]
    assert (series.step_seconds, series.partial, series.groups, series.previous) == (900, (0, 3), (), None)
    assert {name: known(column) for name, column in series.columns.items()} == {
        "availability_percent": [None, 100, 0, 100],
        "availability_percent_low": [None, 100, 0, 100],
        "availability_percent_high": [None, 100, 0, 100],
        "uptime_seconds": [0, 900, 0, 270],
        "downtime_seconds": [0, 0, 900, 0],
        "unknown_seconds": [0, 0, 0, 0],
        "maintenance_seconds": [0, 0, 0, 0],
        "coverage_ratio": [None, 1, 1, 1],
        "incidents": [0, 0, 1, 0],
    }
    assert series.window.environment == "test"


@pytest.mark.parametrize(("window", "step", "zone"), [
    ("2h", "5m", "UTC"), ("25h", "1h", "Asia/Kolkata"), ("9d", "6h", "Europe/Paris"), ("60d", "1d", "Europe/Paris"),
])  # fmt: skip
def test_each_step_is_the_report_of_its_time(window: str, step: str, zone: str) -> None:
    """Of a random history: every column of a step, days on which clocks change included; and seconds add up."""
    now, chance = NOON + 90 * DAY, random.Random(5)
    times = sorted(now - chance.randrange(70 * DAY) for _ in range(80))
    history: dict[str, Any] = {
        "registered_us": now - 50 * DAY,
        "transitions": [Transition(at, chance.choice(("up", "down"))) for at in times],
        "planned": [(now - 3 * HOUR, now - 2 * HOUR), (now - 4 * DAY, now - 3 * DAY)],
        "unwatched": [(now - n * HOUR, now - n * HOUR + 900 * SECOND) for n in range(1, 1000, 3)],
    }

    def report(part: Interval) -> Availability:
        return availability("api", **history, now_us=part[1], window_s=(part[1] - part[0]) / SECOND)

    def reckon(parts: Sequence[Interval]) -> Reckoned:
        return Reckoned("test", [report(part) for part in parts])

    series = availability_series(reckon, SeriesWindow(window), step, "previous", "30d", now, zone)
    starts = [round(start.timestamp() * 1e6) for start in series.start]
    first, last = (round(edge.timestamp() * 1e6) for edge in (series.window.start, series.window.end))
    edges = [first, *starts[1:], min(last, now)]
    parts = [part for part in pairwise(edges) if part[0] < part[1]]
    for name in COLUMNS:
        told = known(series.columns[name])
        assert told[: len(parts)] == known(tuple(float(getattr(report(part), name)) for part in parts))
        assert told[len(parts) :] == [None] * (len(told) - len(parts))
    whole = report((edges[0], edges[-1]))
    sums = [sum(n for n in known(series.columns[name]) if n is not None) for name in SECONDS]
    assert sums == pytest.approx([getattr(whole, name) for name in SECONDS], abs=1e-3)
    assert series.previous is not None
    assert series.previous.window.end == series.window.start


def test_of_a_service_that_nobody_registered_everything_is_unknown() -> None:
    """As in its report; the default window is that of the report."""
    with Capture() as capture:
        series = capture.infrastructure.get_availability_series("nobody")
    assert {tuple(known(column)) for name, column in series.columns.items() if name != "incidents"} == {(None,) * 121}
    assert START - series.window.start < timedelta(days=30)


def test_a_step_that_begins_now_is_unknown() -> None:
    """On the minute itself nothing of the running minute has passed."""
    with Capture() as capture:
        capture.infrastructure.register_service("api")
        series = capture.infrastructure.get_availability_series(
            "api", start=START - timedelta(minutes=2), end=START + timedelta(minutes=1), step="1m"
        )
    assert series.start[-1] == datetime(2026, 1, 15, 12, tzinfo=UTC)
    assert known(series.columns["uptime_seconds"]) == [0, 0, None]
