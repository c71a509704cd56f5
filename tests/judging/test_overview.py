"""What is read of the domains, over a real runtime."""

from __future__ import annotations

from datetime import timedelta

from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.records.kinds import Origin, ServiceState
from otel_measure.testing import Capture
from tests.comparing import comparable


def test_an_overview_is_what_the_services_answer() -> None:
    """Each report is that of its service, and the complete weeks are those that end yesterday and 7 days before."""
    with Capture() as capture:
        for days, visitors in ((-8, 3), (-1, 2), (0, 1)):
            at = moment(capture.clock.now_us) + timedelta(days=days)
            for visitor in range(visitors):
                capture.users.track_event(f"{days} {visitor}", "page_view", "home", timestamp=at)
                capture.users.track_event(f"{days} {visitor}", "conversion", "buy", timestamp=at)
        capture.ai.record_inference("m", "1", 5.0)
        capture.infrastructure.register_service("api")
        overview = capture.runtime.overview()
        yesterday = moment(capture.clock.now_us).date() - timedelta(days=1)
        assert overview.timestamp == moment(capture.clock.now_us)
        assert set(overview.machine) == set(capture.infrastructure.get_metrics_summary())
        latency = capture.ai.get_latency_metrics("m", "1")
        judged_by = overview.models.models[0].latency
        assert (judged_by.p95_ms, judged_by.p95_ms_ci, judged_by.sample_count) == (
            *(latency.p95_ms, latency.p95_ms_ci, latency.sample_count),
        )
        assert [service.service_name for service in overview.services] == ["api"]
        assert overview.users is not None
        assert comparable(overview.users.summary.engagement) == comparable(capture.users.get_engagement_metrics())
        for week, end in ((overview.users.last_week, yesterday),
                          (overview.users.week_before, yesterday - timedelta(days=7))):  # fmt: skip
            engagement = capture.users.get_engagement_metrics(as_of=end)
            assert (week.dau, week.wau, week.mau) == (engagement.dau, engagement.wau, engagement.mau)
            conversion = capture.users.get_conversion_metrics(window="7d", as_of=end)
            assert comparable(week.conversion) == comparable(conversion)
        assert (overview.users.last_week.dau, overview.users.week_before.dau) == (2, 3)


def test_an_overview_is_of_the_environment_asked_for() -> None:
    """Services with the count of those that are down, models and users; it says which, and so does each report."""
    with Capture(Settings(store=":memory:", environment="production")) as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        capture.infrastructure.register_service("api")
        for name in ("db", "queue"):
            store.register_service("staging", name, 99.9, now)
        fallen = ServiceState(id="d", ts=now, origin=Origin("shop", "staging"), service="db", state="down")
        store.accept([fallen])
        told = {}
        for asked_for in (None, "staging"):
            overview = capture.runtime.overview(environment=asked_for)
            told[overview.environment] = (
                [(one.service_name, one.window.environment) for one in overview.services],
                overview.machine["services_down"],
            )
    assert told == {
        "production": ([("api", "production")], 0),
        "staging": ([("db", "staging"), ("queue", "staging")], 1),
    }


def test_without_a_store_there_are_no_services_and_no_users() -> None:
    """The machine and the models of this process are there."""
    with Capture(Settings(store=None)) as capture:
        capture.ai.record_inference("m", "1", 5.0)
        overview = capture.runtime.overview()
        assert (overview.services, overview.users, len(overview.models.models)) == ((), None, 1)
