"""Alerts, from a scorecard."""

from __future__ import annotations

from dataclasses import replace

from otel_measure.judging.alerts import Alert, Alerts, alerts
from otel_measure.judging.scorecard import scorecard
from tests.judging.test_scorecard import NOW, models, overview


def test_an_alert_is_a_sentence() -> None:
    """What fires says what it is, of what, its value and the threshold."""
    card = scorecard(replace(overview(), models=models(slow=600)))
    assert alerts(card) == Alerts(
        (
            Alert("disk_usage_percent", "infrastructure", "", 95.0, 90.0, "Disk > 90 %",
                  "Disk usage is 95 %, above 90 %"),
            Alert("latency_p95_ms", "ai", "slow 1", 600, 500.0, "P95 latency > 500 ms",
                  "Inference latency p95 of slow 1 is 600 ms, above 500 ms"),
        ),
        len(card.kpis),
        sum(reading.verdict == "unknown" for reading in card.kpis),
        NOW,
    )  # fmt: skip
