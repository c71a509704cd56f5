"""KPIs and alerts, from services that say what the test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest

from otel_measure.ai import reports as ai_reports
from otel_measure.definitions.kpis import KPIS
from otel_measure.definitions.windows import Span
from otel_measure.errors import NoStore
from otel_measure.judging.scorecard import Alert, Alerts, Reading, alerts, readings, scorecard
from otel_measure.records.enums import DriftStatus
from otel_measure.store.types.models import Model, ModelUse

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = date(2026, 3, 10)
SPAN = Span(0, 1, 0, True, "UTC")


class Machine:
    """A machine with given percentages, five minutes seen, and services by availability."""

    def __init__(self, cpu: float = 10.0, seen_s: float = 300.0, **services: float) -> None:
        self._cpu, self._seen_s, self._services = cpu, seen_s, services

    def get_metrics_summary(self) -> dict[str, object]:
        return {
            "cpu": {"average_percent": self._cpu},
            "memory": {"average_percent": 85.0},
            "disk": {"used_percent": 95.0},
            "network": {"sent_bytes_per_second": 10.0, "received_bytes_per_second": 5.0},
        }

    def list_availability(self) -> Any:
        return [
            SimpleNamespace(service_name=name, availability_percent=percent) for name, percent in self._services.items()
        ]

    def observed_seconds(self) -> float:
        return self._seen_s


class ModelsOf:
    """Models by name, all of version 1, with the p95 that a test gives them."""

    def __init__(self, **p95_ms: float) -> None:
        self._p95_ms = p95_ms

    def list_models(self) -> ai_reports.Models:
        found = []
        for name, p95_ms in self._p95_ms.items():
            empty = ai_reports.snapshot(Model(name, "1"), ModelUse(name, "1"), ai_reports.UNJUDGED, SPAN, NOW)
            latency = ai_reports.Latency(nan, p95_ms, nan, nan, nan, nan, nan, 1, nan, SPAN.window)
            values = {f.name: getattr(empty, f.name) for f in fields(empty)}
            found.append(ai_reports.Snapshot(**{**values, "latency": latency}))
        return ai_reports.Models(tuple(found), len(found), 0, SPAN.window)


class Users:
    """Users whose active persons and conversion depend on the day asked for."""

    def __init__(self, dau: Callable[[date], int], rate: Callable[[date], float], entered: int = 100) -> None:
        self._dau, self._rate, self._entered = dau, rate, entered

    def get_engagement_metrics(self, window: str = "30d", *, as_of: date | None = None) -> Any:
        return SimpleNamespace(dau=self._dau(as_of or TODAY), stickiness=0.1, bounce_rate=nan)

    def get_conversion_metrics(
        self, event: str = "conversion", window: str = "30d", *, as_of: date | None = None
    ) -> Any:
        return SimpleNamespace(conversion_rate=self._rate(as_of or TODAY), entered_users=self._entered)

    def get_retention_metrics(self) -> Any:
        return SimpleNamespace(day_7_retention=0.5)

    def get_nps_metrics(self) -> Any:
        return SimpleNamespace(nps_score=-1.0)


def steady() -> Users:
    """Users of whom nothing changes."""
    return Users(lambda day: 100, lambda day: 0.06)


def of(found: tuple[Reading, ...], key: str) -> list[tuple[str, str]]:
    """Subjects and verdicts of one KPI."""
    return [(one.subject, one.verdict) for one in found if one.key == key]


def test_every_kpi_is_on_the_page_in_the_order_of_the_table() -> None:
    """Each KPI has a reading even where nothing is there to be read."""
    found = readings(Machine(), ModelsOf(), steady(), TODAY)
    assert [one.key for one in found] == [kpi.key for kpi in KPIS]


def test_a_kpi_has_a_reading_per_subject_and_the_worst_comes_first() -> None:
    """Models and services are judged one by one."""
    found = readings(Machine(api=99.95, db=98.0), ModelsOf(fast=10, slow=600, fair=300, idle=nan), steady(), TODAY)
    assert of(found, "latency_p95_ms") == [
        ("slow 1", "alert"), ("fair 1", "warning"), ("fast 1", "ok"), ("idle 1", "unknown"),
    ]  # fmt: skip
    assert of(found, "availability_percent") == [("db", "alert"), ("api", "ok")]


def test_five_minutes_have_to_be_seen_before_five_minutes_are_judged() -> None:
    """CPU above 90 % alerts after 5 minutes and is a warning before."""
    assert of(readings(Machine(99.0, 20), ModelsOf(), steady(), TODAY), "cpu_usage_percent") == [("", "warning")]
    assert of(readings(Machine(99.0, 300), ModelsOf(), steady(), TODAY), "cpu_usage_percent") == [("", "alert")]


@pytest.mark.parametrize(
    ("last_day", "before", "verdict"), [(79, 100, "alert"), (80, 100, "ok"), (10, 99, "unknown"), (0, 0, "unknown")]
)
def test_the_last_complete_day_is_compared_with_the_same_weekday(last_day: int, before: int, verdict: str) -> None:
    """DAU drops by more than 20 % against a day of at least 100 users."""
    days = {date(2026, 3, 9): last_day, date(2026, 3, 2): before, TODAY: 1}
    found = readings(Machine(), ModelsOf(), Users(days.__getitem__, lambda day: 0.06), TODAY)
    assert of(found, "dau_drop") == [("", verdict)]


@pytest.mark.parametrize(
    ("rate", "entered", "verdict"), [(0.06, 100, "alert"), (0.08, 100, "ok"), (0.01, 99, "unknown")]
)
def test_the_last_seven_days_are_compared_with_the_seven_before(rate: float, entered: int, verdict: str) -> None:
    """The conversion rate drops by more than 30 % where 100 persons entered in each week."""
    rates = {date(2026, 3, 9): rate, date(2026, 3, 2): 0.1, TODAY: 0.1}
    found = readings(Machine(), ModelsOf(), Users(lambda day: 100, rates.__getitem__, entered), TODAY)
    assert of(found, "conversion_drop") == [("", verdict)]


def test_a_drop_from_nothing_is_unknown() -> None:
    """Without a conversion in the week before there is no drop to speak of."""
    found = readings(Machine(), ModelsOf(), Users(lambda day: 100, lambda day: 0.0), TODAY)
    assert of(found, "conversion_drop") == [("", "unknown")]


def test_without_a_store_users_are_unknown() -> None:
    """A scorecard of a process without a store still shows machine and models."""

    class Nobody(Users):
        def get_engagement_metrics(self, window: str = "30d", *, as_of: date | None = None) -> Any:
            raise NoStore("engagement")

    found = readings(Machine(), ModelsOf(), Nobody(lambda day: 0, lambda day: 0.0), TODAY)
    assert {one.verdict for one in found if one.domain == "users"} == {"unknown"}


def test_an_alert_is_a_sentence() -> None:
    """What fires says what it is, of what, its value and the threshold."""
    found = readings(Machine(), ModelsOf(slow=600), steady(), TODAY)
    fired = alerts(found, NOW)
    assert fired == Alerts(
        (
            Alert("disk_usage_percent", "infrastructure", "", 95.0, 90.0, "Disk > 90 %",
                  "Disk usage is 95 %, above 90 %"),
            Alert("latency_p95_ms", "ai", "slow 1", 600, 500.0, "P95 latency > 500 ms",
                  "Inference latency p95 of slow 1 is 600 ms, above 500 ms"),
            Alert("nps_score", "users", "", -1.0, 0.0, "NPS score < 0", "NPS score is -1, below 0"),
        ),
        len(found),
        sum(one.verdict == "unknown" for one in found),
        NOW,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "verdict"), [("no_drift", "ok"), ("severe_drift", "alert")])
def test_a_drift_score_alarms_only_with_its_detector(status: str, verdict: str) -> None:
    """A high score without an alarm of the detector is chance, and wakes nobody."""
    drift = SimpleNamespace(drift_status=DriftStatus(status), drift_score=0.5, data_quality_score=1.0)
    models = ModelsOf(m=10)
    (one,) = models.list_models().models
    values = {f.name: getattr(one, f.name) for f in fields(one)}
    drifting: Any = SimpleNamespace(
        list_models=lambda: SimpleNamespace(models=(ai_reports.Snapshot(**{**values, "drift": drift}),))
    )
    assert of(readings(Machine(), drifting, steady(), TODAY), "drift_score") == [("m 1", verdict)]


def test_a_model_is_judged_by_its_own_targets() -> None:
    """A chat model with a target of 5,000 ms is fine at 600 ms, and its alert moves in proportion."""
    models = ModelsOf(chat=600)
    (one,) = models.list_models().models
    values = {f.name: getattr(one, f.name) for f in fields(one)} | {"targets": {"latency_p95_ms": 5000.0}}
    own: Any = SimpleNamespace(list_models=lambda: SimpleNamespace(models=(ai_reports.Snapshot(**values),)))
    (found,) = (r for r in readings(Machine(), own, steady(), TODAY) if r.key == "latency_p95_ms")
    assert (found.verdict, found.target, found.alert) == ("ok", 5000.0, 12500.0)


def test_the_scorecard_counts_its_verdicts() -> None:
    """Every verdict is counted, also those that nobody has."""
    found = readings(Machine(), ModelsOf(), steady(), TODAY)
    card = scorecard(found, NOW)
    assert card.verdicts == {v: sum(one.verdict == v for one in found) for v in ("alert", "warning", "ok", "unknown")}
    assert (card.kpis, card.timestamp) == (found, NOW)
