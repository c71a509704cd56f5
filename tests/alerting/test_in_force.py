"""The rules that a server judges by."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from otel_measure.alerting.evaluator import Evaluator
from otel_measure.alerting.in_force import BY_KEY, rules_in_force
from otel_measure.alerting.messages import Messages
from otel_measure.alerting.report import rule_alerts
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.errors import ConfigurationError, StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.testing import Capture


def test_the_digest_follows_the_rules_of_the_settings() -> None:
    """A server with a threshold of its own has other rules than one without, and does not evaluate beside it."""
    with Capture() as capture:
        store = capture.runtime.store
        assert store is not None
        in_force = rules_in_force(store, "web-1", lambda _: [])
        own = rules_in_force(store, "web-1", lambda _: [], rules_with({"model_latency": {"threshold": 2000}}))
        less = rules_in_force(store, "web-1", lambda _: [], rules_with({"model_latency": {"enabled": False}}))
    assert len({in_force.digest, own.digest, less.digest}) == 3
    assert own.by_key["model_latency"].threshold == 2000.0
    assert in_force.by_key.keys() - less.by_key.keys() == {"model_latency"}


def test_a_rule_that_cannot_be_so_is_refused_before_anything_is_open(tmp_path: Path) -> None:
    """The error names the setting, and leaves no store behind."""
    path = tmp_path / "a.db"
    with pytest.raises(
        ConfigurationError, match=r"alert_rules\['host_cpu'\]\['severity'\] is 'loud'; it must be one of"
    ):
        Runtime(Settings(store=str(path), alert_rules={"host_cpu": {"severity": "loud"}}))
    assert not path.exists()


def test_the_cause_is_told_from_the_first_notification_to_the_history() -> None:
    """Why a service is down, and what most failures are, is in the state, in what is told, and in what happened."""
    with Capture(Settings(store=":memory:", environment="prod")) as capture:
        runtime, clock, store = capture.runtime, capture.clock, capture.runtime.store
        assert store is not None
        rules = rules_in_force(store, "web-1", lambda _: [], [BY_KEY["model_errors"], BY_KEY["service_down"]])
        evaluator = Evaluator(store, rules, receivers=["webhook"], holder=lambda: "one", clock=clock)
        capture.infrastructure.register_service("api")
        for minute in range(40):
            is_out = minute < 12
            if minute == 0:
                capture.infrastructure.record_service_down("api", reason="disk failed")
            if minute == 12:
                capture.infrastructure.record_service_up("api")
            if minute == 1:
                capture.infrastructure.record_service_down("api")  # said again, and not why
            for _ in range(10):
                capture.ai.record_inference("m", "1", 1.0, error_type="RateLimit" if is_out else None)
            clock.advance(timedelta(minutes=1))
            runtime.flush()
            assert evaluator.evaluate()
            if minute == 11:
                during = rule_alerts(store, Messages(rules.by_key, "http://page/"), None, clock.now_us)
        after = rule_alerts(store, Messages(rules.by_key, "http://page/"), None, clock.now_us)
        with store.asking() as known:
            told = [one.notification for one in known.alerts.waiting("webhook")]
    causes = {"service_down": "disk failed", "model_errors": "RateLimit"}
    assert {alert.rule: alert.cause for alert in during.active} == causes
    assert after.active == ()
    assert {(alert.rule, alert.state): alert.cause for alert in after.recent} == {
        (rule, state): cause for rule, cause in causes.items() for state in ("firing", "resolved")
    }
    assert {state.judgement.cause for one in told for state in one.firing} == set(causes.values())
    assert {change.judgement.cause for one in told for change in one.resolved} == set(causes.values())
    sentences = {alert.rule: alert.sentence for alert in during.active}
    assert sentences["service_down"] == "api is down since 2026-01-15 12:00:00 UTC: disk failed"
    assert sentences["model_errors"].endswith("; 120 of 120 with RateLimit")


def test_a_judge_that_fails_costs_its_own_rules_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The others are judged, somebody is told of the fault, and it is over when the judge works again."""
    faults = [KeyError("a fault of ours")]

    def by_kpis(now_us: int) -> list[Judgement]:
        if faults:
            raise faults[0]
        return []

    with Capture() as capture:
        runtime, clock, store = capture.runtime, capture.clock, capture.runtime.store
        assert store is not None
        rules = rules_in_force(store, "web-1", by_kpis)
        evaluator = Evaluator(store, rules, receivers=["webhook"], holder=lambda: "one", clock=clock)
        capture.infrastructure.register_service("api")
        capture.infrastructure.record_service_down("api")
        seen = []
        for _ in range(2):
            for _ in range(6):
                clock.advance(timedelta(minutes=1))
                runtime.flush()
                assert evaluator.evaluate()
            report = rule_alerts(store, Messages(rules.by_key, "http://page/"), None, clock.now_us)
            faults.clear()
            seen.append({(alert.rule, alert.subject.name): alert.sentence for alert in report.active})
    down = ("service_down", "api")
    fault = ("measure_no_evaluation", "otel-measure (kpi)")
    assert [seen[0].keys() & {down, fault}, seen[1].keys() & {down, fault}] == [{down, fault}, {down}]
    assert seen[0][fault] == (
        "the alert rules judged by kpi are not evaluated: KeyError: 'a fault of ours'; the log has the whole of it"
    )
    assert "the alert rules of kpi could not be judged; the others are" in caplog.text


def test_a_store_that_does_not_answer_fails_the_whole_turn() -> None:
    """Nothing is known then, and the heartbeat tells."""

    def by_kpis(now_us: int) -> list[Judgement]:
        raise StoreUnavailable("locked", "x.db is locked", "wait")

    with Capture() as capture:
        store = capture.runtime.store
        assert store is not None
        with pytest.raises(StoreUnavailable):
            rules_in_force(store, "web-1", by_kpis).judge(capture.clock())
