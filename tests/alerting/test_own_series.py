"""Rules of a user's own over series: read, judged, told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import ALL_USERS
from otel_measure.definitions.days import moment
from otel_measure.runtime import Runtime
from otel_measure.testing import Capture

MINUTE = timedelta(minutes=1)


def capture_with(**rules: Mapping[str, object]) -> Capture:
    """Return a process that has rules of its own beside those of the product."""
    return Capture(Settings(store=":memory:", alert_rules=rules))


def turn(runtime: Runtime) -> dict[tuple[str, str], tuple[str, int]]:
    """Evaluate once, and return of the user's own rules subject, state and evidence."""
    assert runtime.alerts is not None
    runtime.flush()
    runtime.alerts._evaluator.evaluate()
    return {
        (alert.rule, alert.subject.name): (alert.state, alert.evidence)
        for alert in runtime.rule_alerts().active
        if alert.rule.startswith("own")
    }


def test_a_rule_about_models_fires_is_told_and_resolves() -> None:
    """It fires of the slow model alone, with enough calls; it is over five minutes after the calls are fast again."""
    with capture_with(
        own_slow={"series": "ai.p95_ms", "above": 2000, "min_evidence": 5, "severity": "page"}
    ) as capture:
        runtime = capture.runtime
        for _ in range(4):
            capture.ai.record_inference("slow", "1", 3000.0)
            capture.ai.record_inference("fast", "1", 100.0)
        assert turn(runtime) == {}  # of four calls nothing is said
        capture.ai.record_inference("slow", "2", 3000.0)
        assert turn(runtime) == {("own_slow", "slow"): ("firing", 5)}
        (told,) = [alert for alert in runtime.rule_alerts().active if alert.rule == "own_slow"]
        assert (told.title, told.severity) == ("ai.p95_ms is above 2,000 ms", "page")
        assert told.sentence == "p95_ms of slow is 3,000 ms, above 2,000 ms, in the last 15 minutes"
        assert told.docs.endswith("#/rules/a-rule-over-any-series")
        states = []
        for _ in range(24):
            capture.clock.advance(MINUTE)
            for _ in range(5):
                capture.ai.record_inference("slow", "2", 100.0)
            states.append(bool(turn(runtime)))
        assert states == sorted(states, reverse=True)
        assert 15 <= sum(states) <= 21
        (over, *_) = [alert for alert in runtime.rule_alerts().recent if alert.rule == "own_slow"]
        assert (over.state, over.resolution) == ("resolved", "within")


def test_a_named_model_that_is_not_called_is_missed() -> None:
    """It is below once a window was watched in full, and not before; of other models the rule says nothing."""
    rule = {"series": "ai.requests", "below": 3, "window_s": 600, "subject": "m"}
    with capture_with(own_few=rule) as capture:
        capture.ai.record_inference("m", "1", 10.0)
        capture.ai.record_inference("other", "1", 10.0)
        seen = []
        for _ in range(12):
            seen.append(turn(capture.runtime))
            capture.clock.advance(MINUTE)
        assert seen[:10] == [{}] * 10
        assert seen[-1] == {("own_few", "m"): ("firing", 0)}


def test_a_rule_about_users_judges_days_that_are_over() -> None:
    """Two persons yesterday are fewer than five, and today does not count; of less than all days nothing is said."""
    rules = {
        "own_few": {"series": "users.active", "below": 5},
        "own_fewer": {"series": "users.active", "below": 5, "window_s": 7 * 86_400},
        "own_bounce": {"series": "users.bounce_rate", "above": 0.1},
    }
    with capture_with(**rules) as capture:
        yesterday = moment(capture.clock()) - timedelta(days=1)
        for user in ("a", "b"):
            capture.users.track_event(user, "click", "x", timestamp=yesterday)
        for n in range(9):
            capture.users.track_event(f"n{n}", "click", "x")
        seen = {}
        for _ in range(3):
            seen = turn(capture.runtime)
            capture.clock.advance(timedelta(minutes=2))
        assert seen == {}  # whoever has watched for minutes cannot say that a day was empty
        above = capture.runtime
        assert above.store is not None
    with capture_with(own_many={"series": "users.active", "above": 1}) as capture:
        yesterday = moment(capture.clock()) - timedelta(days=1)
        for user in ("a", "b"):
            capture.users.track_event(user, "click", "x", timestamp=yesterday)
        assert turn(capture.runtime) == {("own_many", ALL_USERS): ("firing", 2)}


def test_a_rule_about_the_machine_and_services() -> None:
    """Readings of nine tenths of a window decide of the machine; of a service what was seen of it."""
    rules = {
        "own_cpu": {"series": "infrastructure.cpu_percent_max", "above": 50, "window_s": 300},
        "own_load": {"series": "infrastructure.load_average_1m", "above": 50, "window_s": 300},
        "own_down": {"series": "availability.downtime_seconds", "above": 30, "window_s": 3600, "subject": "api"},
        "own_up": {"series": "availability.availability_percent", "below": 99, "window_s": 3600},
    }
    with capture_with(**rules) as capture:
        runtime = capture.runtime
        assert runtime.store is not None
        for name in ("api", "db"):
            capture.runtime.infrastructure.register_service(name)
            capture.runtime.infrastructure.record_service_down(name)
        for _ in range(30):
            runtime.store.note_machine({"cpu_percent": 75.0, "load_average_1m": 1.0}, capture.clock())
            capture.clock.advance(timedelta(seconds=10))
        assert turn(runtime) == {
            ("own_cpu", runtime.host): ("firing", 300),
            ("own_down", "api"): ("firing", 300),
        }
