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
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan
from otel_measure.infrastructure.availability import SECOND_US, Availability, Transition, availability
from otel_measure.judging.overview import Overview
from otel_measure.judging.scorecard import page_of, scorecard
from otel_measure.records.enums import DriftStatus
from otel_measure.store.types.models import Model

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SPAN = TimeSpan(0, 1, 0, True, "UTC")


def models(**p95_ms: float) -> ai_reports.Models:
    """Models by name, all of version 1, with the p95 that a test gives them."""
    snapshots = []
    for name, value in p95_ms.items():
        empty = ai_reports.snapshot(Model(name, "1"), ModelUse(name, "1"), ai_reports.UNKNOWN_QUALITY, SPAN, NOW)
        latency = replace(empty.latency, p95_ms=value, sample_count=20)
        snapshots.append(changed(empty, latency=latency))
    return ai_reports.Models(tuple(snapshots), ai_reports.summary([], SPAN), len(snapshots), 0, SPAN.window)


def changed(snapshot: ai_reports.Snapshot, **given: Any) -> ai_reports.Snapshot:
    """Return a snapshot with other fields."""
    values = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
    return ai_reports.Snapshot(**{**values, **given})


def week(converted: int = 6, entered: int = 100) -> Any:
    """A complete week."""
    return SimpleNamespace(mau=entered, conversion=SimpleNamespace(converted_users=converted, entered_users=entered))


STEADY = (100, 104, 97, 101, 99, 60, 61) * 5


def users(last_week: Any = None, week_before: Any = None, daily_active: tuple[int, ...] = (*STEADY, 100)) -> Any:
    """Users of whom nothing changes, but for what a test gives."""
    earlier = replace(SPAN.window, definitions="earlier")
    summary = SimpleNamespace(
        engagement=SimpleNamespace(
            stickiness=0.1, bounce_rate=nan, bounce_rate_n=0, bounce_rate_ci=(nan, nan), window=SPAN.window
        ),
        conversion=SimpleNamespace(conversion_rate=0.06, conversion_rate_ci=(0.03, 0.12), entered_users=200),
        retention=SimpleNamespace(
            day_7_retention=0.5, day_7_retention_ci=(0.4, 0.6), day_7_retention_n=100, window=earlier
        ),
        nps=SimpleNamespace(nps_score=-1.0, nps_score_ci=(-20.0, 18.0), responses=40),
    )
    return SimpleNamespace(
        summary=summary,
        last_week=last_week or week(),
        week_before=week_before or week(),
        daily_active=daily_active,
    )


MONTH_S = 30 * 86_400


def service(name: str = "api", *, down_s: int, seen_s: int = MONTH_S, sla_target: float = 99.9) -> Availability:
    """A service of 30 days of which the last `seen_s` were seen, down at their end for `down_s`."""
    now_us = MONTH_S * SECOND_US
    down = [Transition(now_us - down_s * SECOND_US, "down"), Transition(now_us, "up", event_id="z")] if down_s else []
    return availability(
        name,
        registered_us=0,
        transitions=down,
        unwatched=[(0, now_us - seen_s * SECOND_US)],
        now_us=now_us,
        window_s=MONTH_S,
        sla_target=sla_target,
    )


def overview(cpu: float = 10.0, observed_s: float = 300.0, **services: float) -> Overview:
    """A machine with given percentages, services by availability, no model, and steady users."""
    machine: dict[str, Any] = {
        "cpu": {"average_percent": cpu},
        "memory": {"average_percent": 85.0},
        "disk": {"used_percent": 95.0},
        "network": {"sent_bytes_per_second": 10.0, "received_bytes_per_second": 5.0},
    }
    available = tuple(
        service(name, down_s=round((100 - percent) / 100 * MONTH_S)) for name, percent in services.items()
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
    ("last_day", "history", "verdict"),
    [
        (40, STEADY, "alert"),
        (79, STEADY, "warning"),
        (130, STEADY, "ok"),
        (0, STEADY[:13], "unknown"),
        (0, tuple(n // 2 for n in STEADY), "unknown"),
        (70, (*(150,) * 7, *(60,) * 7) * 2, "warning"),
    ],
)
def test_the_last_complete_day_is_compared_with_the_same_weekdays(
    last_day: int, history: tuple[int, ...], verdict: str
) -> None:
    """DAU drops by over 20 % and by more than the days' own spread, of 100 users, after 14 days."""
    dropped = replace(overview(), users=users(daily_active=(*history, last_day)))
    assert of(dropped, "dau_drop") == [("", verdict)]


@pytest.mark.parametrize(
    ("converted", "entered", "verdict"),
    [(100, 1000, "alert"), (150, 1000, "ok"), (12, 100, "warning")],
)
def test_the_last_seven_days_are_compared_with_the_seven_before(converted: int, entered: int, verdict: str) -> None:
    """The conversion rate of 20 % drops by over 30 % and beyond chance, where 100 persons entered in each week."""
    before = week(converted=entered // 5, entered=entered)
    dropped = replace(overview(), users=users(week(converted=converted, entered=entered), before))
    assert of(dropped, "conversion_drop") == [("", verdict)]


def test_a_value_beyond_the_threshold_that_is_no_alert_says_why() -> None:
    """What chance explains, what was not seen for long enough, and what is in doubt, each with its sentence."""
    card = scorecard(replace(overview(99.0, 20), users=users(week(converted=12), week(converted=20))))
    reasons = {reading.key: reading.missing for reading in card.kpis if reading.verdict == "warning"}
    assert reasons["cpu_usage_percent"] == "an alert needs 300 s of it; 20 s were seen so far"
    assert reasons["conversion_drop"] == "chance explains it (p = 0.088; an alert needs p < 0.001)"
    assert reasons["nps_score"] == "beyond the alert threshold, not beyond doubt: the 95 % interval reaches 18"


def test_a_drop_from_nothing_is_unknown() -> None:
    """Without a conversion in the week before there is no drop to speak of."""
    nothing = replace(overview(), users=users(week(converted=0), week(converted=0)))
    assert of(nothing, "conversion_drop") == [("", "unknown")]


def test_a_service_is_judged_by_its_own_target() -> None:
    """The target that a service was registered with is the target and the threshold of its KPI."""
    modest = service(down_s=MONTH_S // 25, sla_target=95.0)
    card = scorecard(replace(overview(), services=(modest,)))
    (reading,) = (reading for reading in card.kpis if reading.key == "availability_percent")
    assert (reading.verdict, reading.target, reading.alert) == ("ok", 95.0, 95.0)


@pytest.mark.parametrize(
    ("given", "sla_status", "verdict", "lacks"),
    [
        (service(down_s=0, sla_target=100.0), "met", "ok", ""),
        (service(down_s=2592), "met", "ok", ""),
        (service(down_s=2593), "breached", "alert", ""),
        (
            service(down_s=120, seen_s=86_400),
            "insufficient_data",
            "warning",
            "needs an hour observed, and 90% of the window; 86,400 s were seen so far, 3.3% of it",
        ),
        (
            service(down_s=10, seen_s=30),
            "insufficient_data",
            "unknown",
            "needs an hour observed, and 90% of the window; 30 s were seen so far, 0.0% of it",
        ),
        (
            service(down_s=0, seen_s=30),
            "insufficient_data",
            "unknown",
            "needs an hour observed, and 90% of the window; 30 s were seen so far, 0.0% of it",
        ),
    ],
)
def test_availability_and_the_sla_say_the_same(given: Availability, sla_status: str, verdict: str, lacks: str) -> None:
    """A breached SLA alerts, a target that is reached is met, and what was not seen is neither."""
    (reading,) = (r for r in scorecard(replace(overview(), services=(given,))).kpis if r.key == "availability_percent")
    assert (given.sla_status, reading.verdict, reading.missing) == (sla_status, verdict, lacks)


@pytest.mark.parametrize(("persons", "verdict"), [(1, "unknown"), (29, "unknown"), (30, "warning")])
def test_shares_of_persons_need_thirty_of_them(persons: int, verdict: str) -> None:
    """Stickiness, bounces, conversion and retention of fewer than 30 are unknown, and say of how many they are."""
    given = users()
    summary = given.summary
    summary.engagement = SimpleNamespace(
        stickiness=0.01, bounce_rate=1.0, bounce_rate_n=persons, bounce_rate_ci=(0.2, 1.0), window=SPAN.window
    )
    summary.conversion.conversion_rate, summary.conversion.entered_users = 0.0, persons
    summary.retention.day_7_retention, summary.retention.day_7_retention_n = 0.0, persons
    given.last_week = week(converted=0, entered=persons)
    card = scorecard(replace(overview(), users=given))
    keys = ("stickiness", "conversion_rate", "day_7_retention", "bounce_rate")
    assert [(r.key, r.verdict, r.evidence) for r in card.kpis if r.key in keys] == [
        (key, verdict, persons) for key in keys
    ]


def judged(calls: int, errors: int, **changes: Any) -> dict[str, tuple[str, str]]:
    """Verdict and what is missing, by KPI, of one model with so many calls and errors."""
    (model,) = models(m=600 if errors else 10).models
    latency = replace(model.latency, sample_count=calls)
    failed = ai_reports.Errors(errors, errors / calls)
    known = {"latency": latency, "errors": failed, "inference_count": calls, "health_score": 40.0}
    model = changed(model, **{**known, **changes})
    card = scorecard(replace(overview(), models=replace(models(), models=(model,))))
    return {reading.key: (reading.verdict, reading.missing) for reading in card.kpis if reading.subject == "m 1"}


def test_one_call_raises_no_alert() -> None:
    """One failed call of 600 ms is no evidence: every verdict is unknown and says what is missing."""
    readings = judged(1, 1)
    enough = ("unknown", "needs 20 calls; there are 1 so far")
    assert (readings["error_rate"], readings["latency_p95_ms"]) == (enough, enough)
    assert readings["health_score"] == (
        "unknown",
        "needs 20 calls with errors and latency measured; there are 1 so far",
    )


def test_health_alerts_only_with_one_of_its_components() -> None:
    """A low score of which no component alerts by its own rule is a warning."""
    assert judged(20, 1, health_score=70.0, latency=models(m=10).models[0].latency)["health_score"][0] == "warning"
    assert judged(20, 10)["health_score"][0] == "alert"


def test_what_calls_cost_is_judged_where_half_of_them_have_a_price() -> None:
    """Twenty priced calls of a hundred are none to judge by; fifty are."""
    unpriced = ai_reports.cost(ModelUse("m", "1", requests=100), SPAN)
    paid = {ratio: replace(unpriced, total_usd=5.0, per_request_usd=0.1, priced_ratio=ratio) for ratio in (0.2, 0.5)}
    verdicts = {ratio: judged(100, 0, cost=cost)["cost_per_request_usd"][0] for ratio, cost in paid.items()}
    assert verdicts == {0.2: "unknown", 0.5: "alert"}


def test_without_a_store_users_are_unknown() -> None:
    """A scorecard of a process without a store still shows machine and models."""
    card = scorecard(replace(overview(), users=None))
    assert {reading.verdict for reading in card.kpis if reading.domain == "users"} == {"unknown"}


@pytest.mark.parametrize(("status", "verdict"), [("no_drift", "ok"), ("severe_drift", "alert")])
def test_a_drift_score_alarms_only_with_its_detector(status: str, verdict: str) -> None:
    """A high score without an alarm of the detector is chance, and wakes nobody."""
    drift = SimpleNamespace(
        drift_status=DriftStatus(status),
        drift_score=0.5,
    )
    (calm,) = models(m=10).models
    drifting = replace(models(), models=(changed(calm, drift=drift),))
    assert of(replace(overview(), models=drifting), "drift_score") == [("m 1", verdict)]


def test_a_model_is_judged_by_its_own_targets() -> None:
    """A chat model with a target of 5,000 ms is fine at 600 ms, and its alert moves in proportion."""
    (chat,) = models(chat=600).models
    own = replace(models(), models=(changed(chat, targets={"latency_p95_ms": 5000.0}),))
    (reading,) = (r for r in scorecard(replace(overview(), models=own)).kpis if r.key == "latency_p95_ms")
    assert (reading.verdict, reading.target, reading.alert) == ("ok", 5000.0, 12500.0)


def test_the_scorecard_says_by_which_definitions_it_was_counted() -> None:
    """One window of earlier definitions is enough."""
    assert scorecard(overview()).definitions == "earlier"
    assert scorecard(Overview(overview().machine, 300.0, (), models(), None, NOW)).definitions == "current"


def test_the_scorecard_counts_its_verdicts() -> None:
    """Every verdict is counted, also those that nobody has; it is of the time of what it judges."""
    card = scorecard(overview())
    assert card.verdicts == {
        verdict: sum(reading.verdict == verdict for reading in card.kpis)
        for verdict in ("alert", "warning", "ok", "unknown")
    }
    assert card.timestamp == NOW


def test_every_page_has_the_worst_of_every_kpi_that_no_page_before_has() -> None:
    """In the order of the table; all pages together hold every reading once."""
    card = scorecard(replace(overview(api=90.0, shop=99.99), models=models(slow=600, slower=700, fast=1)))
    pages = [page_of(card.kpis, 20, offset) for offset in range(0, len(card.kpis) + 20, 20)]
    assert [reading.key for reading in pages[0]] == [kpi.key for kpi in KPIS]
    assert [r.subject for r in pages[0] if r.key in ("availability_percent", "latency_p95_ms")] == ["api", "slow 1"]
    assert [r.subject for r in pages[1] if r.key == "latency_p95_ms"] == ["slower 1", "fast 1"]
    assert [reading for reading in card.kpis if any(reading is other for page in pages for other in page)] == [
        *card.kpis
    ]
    assert sum(map(len, pages)) == len(card.kpis)
    assert page_of(card.kpis, len(card.kpis), 0) == card.kpis
