"""How long calls took lately, judged."""

from __future__ import annotations

from datetime import timedelta

from otel_measure.alerting.in_force import BY_KEY
from otel_measure.alerting.latencies import models_slow
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.testing import Capture
from tests.facts import inference

MINUTE = timedelta(minutes=1)
MINUTE_US = 60_000_000
RULE = BY_KEY["model_latency"]


def test_slow_calls_are_told_of_all_versions_of_a_model_together() -> None:
    """Calls that take 20 s under two versions are one model's, whose p95 is told; a model beside it is well."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        slow = [
            inference(f"s{k}", now - k * MINUTE_US, version=str(k % 2), latency_ms=20_000.0 if k <= 10 else 120.0)
            for k in range(1, 60)
        ]
        well = [inference(f"w{k}", now - k * MINUTE_US, model="other", latency_ms=120.0) for k in range(1, 60)]
        store.accept([*slow, *well, inference("old", now - 90 * MINUTE_US, model="gone", latency_ms=20_000.0)])
        judged = {one.subject: one for one in models_slow(store, [RULE], now)}
    slow_model, other = AlertSubject("model", "m", "test"), AlertSubject("model", "other", "test")
    assert {subject: one.outcome for subject, one in judged.items()} == {slow_model: "beyond", other: "within"}
    told = judged[slow_model]
    assert told.sentence == "10 of the last 15 calls of m took over 500 ms, 5 % may; since 11:50 UTC"
    assert (round(told.value), told.threshold, told.severity) == (20_000, 500, "ticket")


def test_a_target_of_its_own_moves_the_threshold() -> None:
    """A model that is slow by its nature is within, and its rule pages."""
    with Capture() as capture:
        ai, runtime = capture.ai, capture.runtime
        ai.register_model("m", "1", targets={"latency_p95_ms": 10_000})
        for _ in range(20):
            ai.record_inference("m", "1", 9_000.0)
        runtime.flush()
        assert runtime.store is not None
        (judgement,) = models_slow(runtime.store, [RULE], capture.clock.now_us)
    assert (judgement.outcome, judgement.threshold, judgement.severity) == ("within", 25_000, "page")


def test_an_outage_of_45_minutes_is_told_of_in_time_and_is_over() -> None:
    """At a call a minute, 20 s instead of 120 ms are beyond within ten minutes, and no longer than 15 after the end."""
    with Capture() as capture:
        ai, runtime = capture.ai, capture.runtime
        assert runtime.store is not None
        beyond: list[int] = []
        for minute in range(150):
            ai.record_inference("m", "1", 20_000.0 if 60 <= minute < 105 else 120.0)
            capture.clock.advance(MINUTE)
            runtime.flush()
            (judgement,) = models_slow(runtime.store, [RULE], capture.clock.now_us)
            beyond += [minute] if judgement.outcome == "beyond" else []
    assert beyond == list(range(beyond[0], beyond[-1] + 1))
    assert 60 <= beyond[0] < 70
    assert 105 <= beyond[-1] <= 120


def test_a_server_tells_of_a_model_that_is_slow() -> None:
    """Calls that are slow are an alert in `/alerts` after the next turn."""
    with Capture() as capture:
        ai, runtime = capture.ai, capture.runtime
        assert runtime.alerts is not None
        for _ in range(10):
            capture.clock.advance(MINUTE)
            ai.record_inference("m", "1", 20_000.0)
        runtime.flush()
        runtime.alerts.run_due()
        alerts = {alert.rule: (alert.title, alert.state, alert.severity) for alert in runtime.rule_alerts().active}
    assert alerts["model_latency"] == ("A model is slow", "firing", "ticket")
