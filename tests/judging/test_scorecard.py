"""KPIs and their verdicts, from what a test says the domains say."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest

from otel_measure.ai import reports as ai_reports
from otel_measure.definitions.kpis import KPIS
from otel_measure.definitions.windows import TimeSpan
from otel_measure.judging.overview import Overview
from otel_measure.judging.scorecard import scorecard
from otel_measure.records.enums import DriftStatus
from otel_measure.store.types.models import Model, ModelUse

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SPAN = TimeSpan(0, 1, 0, True, "UTC")


def models(**p95_ms: float) -> ai_reports.Models:
    """Models by name, all of version 1, with the p95 that a test gives them."""
    snapshots = []
    for name, value in p95_ms.items():
        empty = ai_reports.snapshot(Model(name, "1"), ModelUse(name, "1"), ai_reports.UNKNOWN_QUALITY, SPAN, NOW)
        latency = ai_reports.Latency(nan, value, nan, nan, nan, nan, nan, 1, nan, SPAN.window)
        snapshots.append(changed(empty, latency=latency))
    return ai_reports.Models(tuple(snapshots), len(snapshots), 0, SPAN.window)


def changed(snapshot: ai_reports.Snapshot, **given: Any) -> ai_reports.Snapshot:
    """Return a snapshot with other fields."""
    values = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
    return ai_reports.Snapshot(**{**values, **given})


def week(dau: int = 100, rate: float = 0.06, entered: int = 100) -> Any:
    """A complete week."""
    return SimpleNamespace(dau=dau, conversion=SimpleNamespace(conversion_rate=rate, entered_users=entered))


def users(last_week: Any = None, week_before: Any = None) -> Any:
    """Users of whom nothing changes, but for the weeks that a test gives."""
    summary = SimpleNamespace(
        engagement=SimpleNamespace(stickiness=0.1, bounce_rate=nan),
        conversion=SimpleNamespace(conversion_rate=0.06),
        retention=SimpleNamespace(day_7_retention=0.5),
        nps=SimpleNamespace(nps_score=-1.0),
    )
    return SimpleNamespace(summary=summary, last_week=last_week or week(), week_before=week_before or week())


def overview(cpu: float = 10.0, observed_s: float = 300.0, **services: float) -> Overview:
    """A machine with given percentages, services by availability, no model, and steady users."""
    machine: dict[str, Any] = {
        "cpu": {"average_percent": cpu},
        "memory": {"average_percent": 85.0},
        "disk": {"used_percent": 95.0},
        "network": {"sent_bytes_per_second": 10.0, "received_bytes_per_second": 5.0},
    }
    available: Any = tuple(
        SimpleNamespace(service_name=name, availability_percent=percent) for name, percent in services.items()
    )
    return Overview(machine, observed_s, available, models(), users(), NOW)


def of(overview: Overview, key: str) -> list[tuple[str, str]]:
    """Subjects and verdicts of one KPI."""
    return [(reading.subject, reading.verdict) for reading in scorecard(overview).kpis if reading.key == key]


def test_every_kpi_is_on_the_page_in_the_order_of_the_table() -> None:
    """Each KPI has a reading even where nothing is there to be read."""
    assert [reading.key for reading in scorecard(overview()).kpis] == [kpi.key for kpi in KPIS]


def test_a_kpi_has_a_reading_per_subject_and_the_worst_comes_first() -> None:
    """Models and services are judged one by one."""
    found = replace(overview(api=99.95, db=98.0), models=models(fast=10, slow=600, fair=300, idle=nan))
    assert of(found, "latency_p95_ms") == [
        ("slow 1", "alert"), ("fair 1", "warning"), ("fast 1", "ok"), ("idle 1", "unknown"),
    ]  # fmt: skip
    assert of(found, "availability_percent") == [("db", "alert"), ("api", "ok")]


def test_five_minutes_have_to_be_seen_before_five_minutes_are_judged() -> None:
    """CPU above 90 % alerts after 5 minutes and is a warning before."""
    assert of(overview(99.0, 20), "cpu_usage_percent") == [("", "warning")]
    assert of(overview(99.0, 300), "cpu_usage_percent") == [("", "alert")]


@pytest.mark.parametrize(
    ("last_day", "before", "verdict"), [(79, 100, "alert"), (80, 100, "ok"), (10, 99, "unknown"), (0, 0, "unknown")]
)
def test_the_last_complete_day_is_compared_with_the_same_weekday(last_day: int, before: int, verdict: str) -> None:
    """DAU drops by more than 20 % against a day of at least 100 users."""
    found = replace(overview(), users=users(week(dau=last_day), week(dau=before)))
    assert of(found, "dau_drop") == [("", verdict)]


@pytest.mark.parametrize(
    ("rate", "entered", "verdict"), [(0.06, 100, "alert"), (0.08, 100, "ok"), (0.01, 99, "unknown")]
)
def test_the_last_seven_days_are_compared_with_the_seven_before(rate: float, entered: int, verdict: str) -> None:
    """The conversion rate drops by more than 30 % where 100 persons entered in each week."""
    found = replace(overview(), users=users(week(rate=rate, entered=entered), week(rate=0.1, entered=entered)))
    assert of(found, "conversion_drop") == [("", verdict)]


def test_a_drop_from_nothing_is_unknown() -> None:
    """Without a conversion in the week before there is no drop to speak of."""
    found = replace(overview(), users=users(week(rate=0.0), week(rate=0.0)))
    assert of(found, "conversion_drop") == [("", "unknown")]


def test_without_a_store_users_are_unknown() -> None:
    """A scorecard of a process without a store still shows machine and models."""
    card = scorecard(replace(overview(), users=None))
    assert {reading.verdict for reading in card.kpis if reading.domain == "users"} == {"unknown"}


@pytest.mark.parametrize(("status", "verdict"), [("no_drift", "ok"), ("severe_drift", "alert")])
def test_a_drift_score_alarms_only_with_its_detector(status: str, verdict: str) -> None:
    """A high score without an alarm of the detector is chance, and wakes nobody."""
    drift = SimpleNamespace(drift_status=DriftStatus(status), drift_score=0.5, data_quality_score=1.0)
    (calm,) = models(m=10).models
    drifting = replace(models(), models=(changed(calm, drift=drift),))
    assert of(replace(overview(), models=drifting), "drift_score") == [("m 1", verdict)]


def test_a_model_is_judged_by_its_own_targets() -> None:
    """A chat model with a target of 5,000 ms is fine at 600 ms, and its alert moves in proportion."""
    (chat,) = models(chat=600).models
    own = replace(models(), models=(changed(chat, targets={"latency_p95_ms": 5000.0}),))
    (reading,) = (r for r in scorecard(replace(overview(), models=own)).kpis if r.key == "latency_p95_ms")
    assert (reading.verdict, reading.target, reading.alert) == ("ok", 5000.0, 12500.0)


def test_the_scorecard_counts_its_verdicts() -> None:
    """Every verdict is counted, also those that nobody has; it is of the time of what it judges."""
    card = scorecard(overview())
    assert card.verdicts == {
        verdict: sum(reading.verdict == verdict for reading in card.kpis)
        for verdict in ("alert", "warning", "ok", "unknown")
    }
    assert card.timestamp == NOW
