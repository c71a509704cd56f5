"""How rules about columns of series are judged."""

from __future__ import annotations

from math import nan

import pytest

from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rule import AlertUnit
from otel_measure.definitions.alerting.series_rule import SeriesValue, judge_series, length, shown
from tests.definitions.alerting.judging import CHURN


@pytest.mark.parametrize(
    ("given", "value", "evidence", "is_watched", "outcome"),
    [
        ({"series": "ai.p95_ms", "above": 2000}, 2500.0, 20, True, "beyond"),
        ({"series": "ai.p95_ms", "above": 2000}, 2500.0, 19, True, "unknown"),
        ({"series": "ai.p95_ms", "above": 2000, "min_evidence": 5}, 2500.0, 5, True, "beyond"),
        ({"series": "ai.p95_ms", "above": 2000}, 2000.0, 20, True, "within"),
        ({"series": "ai.p95_ms", "above": 2000}, nan, 20, True, "unknown"),
        # Of 40 calls 2 that failed are 5 %, which 2 % may well be; 12 are not.
        ({"series": "ai.error_rate", "above": 0.02}, 0.05, 40, True, "within"),
        ({"series": "ai.error_rate", "above": 0.02}, 0.3, 40, True, "beyond"),
        ({"series": "users.conversion_rate", "below": 0.1}, 0.08, 100, True, "within"),
        ({"series": "users.conversion_rate", "below": 0.1}, 0.01, 200, True, "beyond"),
        ({"series": "ai.requests", "below": 10}, 0.0, 0, True, "beyond"),
        ({"series": "ai.requests", "below": 10}, 0.0, 0, False, "unknown"),
        ({"series": "ai.requests", "above": 10}, 11.0, 11, False, "beyond"),
        # Of 15 minutes 810 s are nine tenths.
        ({"series": "infrastructure.cpu_percent", "above": 95}, 99.0, 810, True, "beyond"),
        ({"series": "infrastructure.cpu_percent", "above": 95}, 99.0, 800, True, "unknown"),
        ({"series": "availability.downtime_seconds", "above": 60}, 61.0, 0, False, "beyond"),
    ],
)  # fmt: skip
def test_outcomes(given: dict[str, object], value: float, evidence: int, is_watched: bool, outcome: str) -> None:
    """Strictly beyond, a share with its whole interval; never on little, and no fall while nobody watched."""
    rule = rules_with({"own": given})[-1]
    assert judge_series(rule, CHURN, SeriesValue(value, evidence), is_watched).outcome == outcome


def test_a_sentence_says_what_of_whom_and_how_long() -> None:
    """The column, the subject, value and threshold in its unit, and the window."""
    (*_, slow, errors) = rules_with(
        {
            "slow": {"series": "ai.p95_ms", "above": 2000, "window_s": 3600},
            "errors": {"series": "ai.error_rate", "above": 0.02, "window_s": 600},
        }
    )
    told = [judge_series(rule, CHURN, SeriesValue(value, 50), True).sentence for rule, value in
            ((slow, 2512.3), (errors, 0.4))]  # fmt: skip
    assert told == [
        "p95_ms of churn is 2,512 ms, above 2,000 ms, in the last hour",
        "error_rate of churn is 40 %, above 2 %, in the last 10 minutes",
    ]
    assert [length(s) for s in (60, 5400, 86_400, 604_800)] == ["minute", "90 minutes", "day", "7 days"]
    units: tuple[AlertUnit, ...] = ("usd", "percent", "seconds", "bytes", "bytes_per_second", "count")
    assert [shown(unit, 12.5) for unit in units] == [
        "$12.5", "12.5 %", "12.5 s", "12.5 bytes", "12.5 bytes/s", "12.5"
    ]  # fmt: skip
