"""Every question about models and users as a user asks it; see `api.py`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import assert_type

from otel_measure import (
    DriftStatus,
    EventType,
    HealthStatus,
    UserSegment,
    get_ai_model_service,
    get_user_analytics_service,
)
from otel_measure.ai.drift import Drift
from otel_measure.definitions.series import SeriesGroup

NOW = datetime(2026, 1, 15, 11, tzinfo=UTC)
HOUR = NOW - timedelta(hours=1)
TODAY = date(2026, 1, 15)


def model_reports() -> None:
    """Ask what the models did."""
    ai = get_ai_model_service()
    latency = ai.get_latency_metrics("churn", "3", window="24h", as_of=TODAY, service="shop", environment="test")
    assert_type(latency.p95_ms, float)
    assert_type(latency.sample_count, int)
    cost = ai.get_cost_metrics("churn", "3", window="24h", as_of=TODAY, service="shop", environment="test")
    assert_type(cost.total_usd, float)
    accuracy = ai.get_accuracy_metrics("churn", "3", window="24h", as_of=TODAY, service="shop", environment="test")
    assert_type(accuracy.f1_macro, float)
    error = ai.get_regression_metrics("churn", "3", window="24h", as_of=TODAY, service="shop", environment="test")
    assert_type(error.mae, float)
    fairness = ai.get_fairness_metrics(
        "churn", "3", window="24h", positive="leaves", as_of=TODAY, service="shop", environment="test"
    )
    assert_type(fairness.positive, str)
    snapshot = ai.get_model_performance_snapshot(
        "churn", "3", window="24h", as_of=TODAY, service="shop", environment="test"
    )
    assert_type(snapshot.health_score, float)
    whole = ai.get_models_summary(window="7d", as_of=TODAY, service="shop", environment="test")
    assert_type(whole.inference_count, int)
    assert_type(ai.list_models(window="7d", as_of=TODAY, service="shop", environment="test").total_inferences, int)
    p95_ms = ai.get_model_series("m", "1", "24h", step="5m", group_by="version").columns["p95_ms"]
    assert_type(p95_ms, tuple[float, ...])
    asked = ai.get_model_series(start=HOUR, end=NOW, compare="previous", service="shop", environment="test")
    assert_type(asked.window.start, datetime)
    dearest = ai.get_calls("cost", "m", "1", "1h", limit=5, as_of=TODAY, service="shop", environment="test")
    failed = ai.get_errors("m", "1", window="1h", as_of=TODAY, service="shop", environment="test")
    assert_type((dearest.window.start, len(failed.errors)), tuple[datetime, int])
    spent = ai.get_spending(
        by=["user", "model"], window="7d", limit=10, as_of=TODAY, service="shop", environment="test"
    )
    assert_type(spent.total_usd, float)
    assert_type(ai.get_evaluations(window="7d", as_of=TODAY, service="shop", environment="test").total_evaluations, int)
    seen = ai.get_agents(window="7d", as_of=TODAY, service="shop", environment="test")
    assert_type(seen.agents[0].cost_per_run_usd.p95 if seen.agents else seen.loops.cost_usd, float)
    either = ai.get_version_comparison("churn", "3", "2", "24h", as_of=TODAY, service="shop", environment="test")
    assert_type(either.numbers[0].change, float)
    ai.set_drift_reference("churn", "3", predictions=[n / 100 for n in range(100)], features={"age": range(100)})
    for n in range(60):
        ai.record_inference("churn", "3", 12.5, prediction=n / 60, timestamp=NOW)
    ai.set_drift_reference("churn", "3", window="7d")
    drift = ai.detect_model_drift("churn", "3", environment="production")
    assert_type(drift, Drift | None)
    if drift is not None:
        assert_type(drift.drift_status, DriftStatus)


def model_reports_between() -> None:
    """Ask what the models did between two times."""
    ai = get_ai_model_service()
    assert_type(ai.get_latency_metrics("churn", "3", start=HOUR, end=NOW).p95_ms, float)
    assert_type(ai.get_cost_metrics("churn", "3", start=HOUR, end=NOW).total_usd, float)
    assert_type(ai.get_accuracy_metrics("churn", "3", start=HOUR, end=NOW).f1_macro, float)
    assert_type(ai.get_regression_metrics("churn", "3", start=HOUR, end=NOW).mae, float)
    assert_type(ai.get_fairness_metrics("churn", "3", start=HOUR, end=NOW).positive, str)
    assert_type(ai.get_model_performance_snapshot("churn", "3", start=HOUR, end=NOW).health_score, float)
    assert_type(ai.get_version_comparison("churn", "3", "2", start=HOUR, end=NOW).model_name, str)
    assert_type(ai.get_models_summary(start=HOUR, end=NOW).inference_count, int)
    assert_type(ai.list_models(start=HOUR, end=NOW).total_inferences, int)
    assert_type(ai.get_calls(start=HOUR, end=NOW).window.start, datetime)
    assert_type(ai.get_errors(start=HOUR, end=NOW).window.start, datetime)
    assert_type(ai.get_spending(start=HOUR, end=NOW).total_usd, float)
    assert_type(ai.get_evaluations(start=HOUR, end=NOW).total_evaluations, int)
    assert_type(ai.get_agents(start=HOUR, end=NOW).window.start, datetime)


def user_reports() -> None:
    """Ask what users did."""
    users = get_user_analytics_service()
    engagement = users.get_engagement_metrics(window="30d", as_of=TODAY, service="shop", environment="test")
    assert_type(engagement.dau, int)
    assert_type(engagement.bounce_rate, float)
    over_time = users.get_user_series(
        window="7d", step="1d", compare="previous", conversion_event="purchase", as_of=TODAY, service="shop",
        environment="test",
    )  # fmt: skip
    assert_type(over_time.window.start, datetime)
    assert_type(users.get_user_series("7d", group_by="cohort").groups, tuple[SeriesGroup, ...])
    conversion = users.get_conversion_metrics(
        conversion_event="purchase", window="30d", as_of=TODAY, service="shop", environment="test"
    )
    assert_type(conversion.conversion_rate, float)
    users.get_conversion_metrics(EventType.SIGNUP)
    retention = users.get_retention_metrics(window="90d", as_of=TODAY, service="shop", environment="test")
    assert_type(retention.day_7_retention, float)
    nps = users.get_nps_metrics(window="90d", survey="spring", as_of=TODAY, service="shop", environment="test")
    assert_type(nps.nps_score, float)
    segments = users.segment_users(window="30d", as_of=TODAY, service="shop", environment="test")
    assert_type(segments.at_risk, int)
    summary = users.get_users_summary(window="30d", as_of=TODAY, service="shop", environment="test")
    assert_type(summary.total_events, int)
    assert_type(list(UserSegment), list[UserSegment])
    assert_type(list(HealthStatus), list[HealthStatus])
