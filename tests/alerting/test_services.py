from __future__ import annotations

from datetime import timedelta

from otel_measure.alerting.in_force import BY_KEY, rules_in_force
from otel_measure.alerting.services import services_burning, services_down
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rules import rules_digest
from otel_measure.definitions.days import moment
from otel_measure.testing import Capture

MINUTE = timedelta(minutes=1)


def test_a_service_that_is_down_for_more_than_a_minute() -> None:
    """It is beyond with its reason, in whatever environment; one that came up, or that is down for less, is within."""
    with Capture(Settings(store=":memory:", environment="prod")) as capture:
        infrastructure, store = capture.infrastructure, capture.runtime.store
        assert store is not None
        start = moment(capture.clock.now_us)
        for name in ("api", "db", "new"):
            infrastructure.register_service(name)
        store.register_service("staging", "old", 99.9, capture.clock.now_us)
        capture.clock.advance(10 * MINUTE)
        now_us = capture.clock.now_us
        infrastructure.record_service_down("api", at=start + 8 * MINUTE, reason="disk")
        infrastructure.record_service_down("db", at=start + 2 * MINUTE)
        infrastructure.record_service_up("db", at=start + 9 * MINUTE)
        infrastructure.record_service_down("new", at=start + 9 * MINUTE)
        capture.runtime.flush()
        judged = {judgement.subject: judgement for judgement in services_down(store, [BY_KEY["service_down"]], now_us)}
    since = capture.clock.now_us - 120_000_000
    api = AlertSubject("service", "api", "prod")
    assert judged[api] == Judgement(
        *("service_down", api, "beyond", 120.0, 60, 1),
        *("api is down since 2026-01-15 12:08:00 UTC: disk", "disk", since),
    )
    assert {(one.name, one.environment): judged[one].outcome for one in judged if one != api} == {
        ("db", "prod"): "within",
        ("new", "prod"): "within",
        ("old", "staging"): "within",
    }


def test_a_service_that_spends_its_downtime_too_fast() -> None:
    """Ten outages of 10 s in an hour are beyond for 99.9 %, and within for 99 %; planned time counts for nothing."""
    with Capture(Settings(store=":memory:", environment="prod")) as capture:
        infrastructure, store = capture.infrastructure, capture.runtime.store
        assert store is not None
        start = moment(capture.clock.now_us)
        for name, objective in (("api", 99.9), ("batch", 99.0), ("planned", 99.9)):
            infrastructure.register_service(name, sla_target=objective)
        capture.clock.advance(60 * MINUTE)
        for name in ("api", "batch", "planned"):
            for outage in range(10):
                went_down = start + (5 + 6 * outage) * MINUTE - timedelta(seconds=20)
                infrastructure.record_service_down(name, at=went_down, reason="restart")
                infrastructure.record_service_up(name, at=went_down + timedelta(seconds=10))
        infrastructure.record_maintenance("planned", start, start + 58 * MINUTE)
        capture.runtime.flush()
        rules = [BY_KEY["service_burn_fast"], BY_KEY["service_burn_slow"]]
        judged = {(one.subject.name, one.rule): one for one in services_burning(store, rules, capture.clock.now_us)}
    fast = judged["api", "service_burn_fast"]
    assert (fast.outcome, fast.cause, fast.sentence) == (
        *("beyond", "restart"),
        "api was down for 100 s of the last hour, 27.8 times what its objective of 99.9 % allows: restart",
    )
    assert {key: one.outcome for key, one in judged.items() if one is not fast} == {
        ("api", "service_burn_slow"): "within",
        ("batch", "service_burn_fast"): "within",
        ("batch", "service_burn_slow"): "within",
        ("planned", "service_burn_fast"): "within",
        ("planned", "service_burn_slow"): "within",
    }


def test_a_server_judges_by_the_rules_in_force() -> None:
    """An outage is in `/alerts` after the next turn, under the digest of the rules."""
    with Capture() as capture:
        infrastructure, runtime = capture.infrastructure, capture.runtime
        infrastructure.register_service("api")
        capture.clock.advance(5 * MINUTE)
        infrastructure.record_service_down("api", at=moment(capture.clock.now_us) - 2 * MINUTE)
        runtime.flush()
        assert runtime.alerts is not None
        assert runtime.store is not None
        runtime.alerts.run_due()
        alerts = [one for one in runtime.rule_alerts().active if one.subject.kind == "service"]
        assert [(one.rule, one.title, one.state, one.severity) for one in alerts] == [
            ("service_burn_fast", "A service spends its allowed downtime within two days", "firing", "page"),
            ("service_down", "A service is down", "firing", "page"),
            ("service_availability", "A service misses its objective", "firing", "ticket"),
        ]
        with runtime.store.asking() as known:
            last = known.alerts.last_evaluation()
        assert last is not None
        assert (
            last.digest == rules_digest(BY_KEY.values()) == rules_in_force(runtime.store, "web-1", lambda _: []).digest
        )
