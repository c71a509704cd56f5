"""The outcomes of the demo: a drift that is found, an experiment, answers and an outage."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from exporter.demo.outcomes import FAILING, MODEL, SERVICES, USERS, Outcomes
from otel_measure.config import Settings
from otel_measure.records.enums import DriftStatus
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock

NOW = datetime(2026, 3, 18, 15, 0, tzinfo=UTC)


def test_a_day_of_outcomes_is_what_the_reports_show() -> None:
    """The real services find the drift and the wrong answers of the past, and every user in the experiment."""
    clock = Clock(NOW)
    runtime = Runtime(Settings(store=":memory:"), clock=clock, raise_faults=True)
    try:
        outcomes = Outcomes(
            runtime.ai,
            runtime.users,
            runtime.infrastructure,
            random.Random(1),
            start=NOW - timedelta(days=20),
            tickets_from=NOW - timedelta(hours=6),
            begins=NOW,
        )
        outcomes.advance(NOW)
        drift = runtime.ai.detect_model_drift(*MODEL)
        snapshot = runtime.ai.get_model_performance_snapshot(*MODEL)
        assert drift is not None
        assert (drift.drift_status, drift.evidence.drifted) == (DriftStatus.SEVERE_DRIFT, ("message_chars",))
        assert snapshot.accuracy is not None
        assert snapshot.accuracy.labelled == 6 * 3600 // 9
        assert snapshot.accuracy.accuracy == pytest.approx(0.935, abs=0.02)
        assert runtime.users.get_nps_metrics().responses > 100
        (test,) = runtime.experiments.list_ab_tests().experiments
        assert (test.users, test.sample_ratio_mismatch) == (USERS, False)
        assert 0 < test.control_conversion_rate < test.variant_conversion_rates["short_form"]
    finally:
        runtime.shutdown()


def test_one_service_fails_and_comes_back() -> None:
    """A service is down from 15 s after the beginning until 27 s, the other never."""
    clock, down = Clock(NOW), []
    runtime = Runtime(Settings(store=":memory:"), clock=clock, raise_faults=True)
    try:
        outcomes = Outcomes(
            runtime.ai, runtime.users, runtime.infrastructure, random.Random(1), start=NOW, tickets_from=NOW, begins=NOW
        )
        for second in range(1, 40):
            now = NOW + timedelta(seconds=second)
            clock.set(now)
            outcomes.advance(now)
            if runtime.infrastructure.list_services().services_down:
                down.append(second)
        assert down == list(range(16, 28))
        percents = [runtime.infrastructure.get_availability_metrics(name).availability_percent for name in SERVICES]
        assert percents == [100, pytest.approx(100 * (1 - 12 / 39))]
        assert SERVICES[1] == FAILING
    finally:
        runtime.shutdown()
