"""What was called lately, judged."""

from __future__ import annotations

from datetime import timedelta

from otel_measure.alerting.histories import models_failing
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.testing import Capture
from tests.facts import inference

MINUTE = timedelta(minutes=1)
MINUTE_US = 60_000_000


def test_an_outage_is_told_of_all_versions_of_a_model_together() -> None:
    """Calls that fail under two versions are one model's; the model beside it, and the one of staging, are well."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        fails = [
            inference(f"f{k}", now - k * MINUTE_US, version=str(k % 2), error_type="Timeout") for k in range(1, 11)
        ]
        well = [inference(f"w{k}", now - k * MINUTE_US, model="other") for k in range(1, 11)]
        store.accept([*fails, *well, inference("old", now - 400 * MINUTE_US, model="gone", error_type="Timeout")])
        judged = {one.subject: one for one in models_failing(store, [BY_KEY["model_errors"]], now)}
    failing, other = AlertSubject("model", "m", "test"), AlertSubject("model", "other", "test")
    assert {subject: one.outcome for subject, one in judged.items()} == {failing: "beyond", other: "within"}
    assert judged[failing].sentence == (
        "5 of the last 5 calls of m failed, 5 % may; since 11:50 UTC; 10 of 10 with Timeout"
    )
    assert judged[failing].cause == "Timeout"


def test_a_model_has_the_loosest_target_of_its_versions() -> None:
    """A target that was registered moves the threshold as that of the KPI; of two versions the larger one counts."""
    with Capture() as capture:
        ai, runtime = capture.ai, capture.runtime
        ai.register_model("m", "1", targets={"error_rate": 0.02})
        ai.register_model("m", "2", targets={"error_rate": 0.04})
        for version in ("1", "2"):
            ai.record_inference("m", version, 10.0)
        runtime.flush()
        assert runtime.store is not None
        (judgement,) = models_failing(runtime.store, [BY_KEY["model_errors"]], capture.clock.now_us)
    assert (judgement.outcome, judgement.threshold, judgement.severity) == ("within", 0.2, "page")


def test_a_server_tells_of_a_model_that_fails() -> None:
    """Calls that fail are an alert in `/alerts` after the next turn."""
    with Capture() as capture:
        ai, runtime = capture.ai, capture.runtime
        assert runtime.alerts is not None
        for _ in range(10):
            capture.clock.advance(MINUTE)
            ai.record_inference("m", "1", 10.0, error_type="Timeout")
        runtime.flush()
        runtime.alerts.run_due()
        alerts = {alert.rule: (alert.title, alert.state, alert.severity) for alert in runtime.rule_alerts().active}
    assert alerts["model_errors"] == ("Calls of a model fail", "firing", "page")
