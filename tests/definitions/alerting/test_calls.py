"""Errors and latency of models, by the minute."""

from __future__ import annotations

from typing import Final

import pytest

from otel_measure.definitions.alerting.calls import CallHistory, CallMinute, judge_errors, judge_latency, own_threshold
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.comparing import comparable

MINUTE: Final = 60_000_000
START: Final = 1_768_478_400_000_000  # 2026-01-15, 12:00 UTC
CHURN: Final = AlertSubject("model", "churn", "production")
RULES: Final = {rule.key: rule for rule in ALERT_RULES}
OUTAGE: Final = range(360, 405)  # 45 minutes, after six good hours


def outage(**bad: int) -> list[CallMinute]:
    """Return nine hours of a call a minute, of which those of the outage are bad."""
    good = [CallMinute(START + k * MINUTE, 1, 0, 1, 0) for k in range(540)]
    return [minute._replace(**bad) if k in OUTAGE else minute for k, minute in enumerate(good)]


def judged(key: str, minutes: list[CallMinute], k: int) -> Judgement:
    """Return what a rule says when `k` minutes of a history are over; it sees nothing of later."""
    judge = judge_latency if key == "model_latency" else judge_errors
    return judge(RULES[key], CallHistory(CHURN, minutes[:k], 20_000.0, "timeout"), START + k * MINUTE)


@pytest.mark.parametrize(("key", "bad"), [("model_errors", {"errors": 1}), ("model_latency", {"slow": 1})])
def test_an_outage_at_a_call_a_minute_tells_within_ten_minutes_and_is_resolved(key: str, bad: dict[str, int]) -> None:
    """45 minutes are told of from the seventh on, and no longer than the window after their end."""
    minutes = outage(**bad)
    beyond = [k for k in range(300, 541) if judged(key, minutes, k).outcome == "beyond"]
    assert beyond == list(range(beyond[0], beyond[-1] + 1))
    assert beyond[0] - OUTAGE.start == 7
    assert 0 <= beyond[-1] - OUTAGE.stop <= RULES[key].window_s // 60


def test_who_is_woken_reads_what_of_whom_how_much_and_since_when() -> None:
    """The judgement of an outage says it whole."""
    assert judged("model_errors", outage(errors=1), 370) == Judgement(
        "model_errors",
        CHURN,
        "beyond",
        value=1.0,
        threshold=0.05,
        evidence=5,
        sentence="5 of the last 5 calls of churn failed, 5 % may; since 18:00 UTC",
        cause="timeout",
        since_us=START + OUTAGE.start * MINUTE,
        severity="page",
    )
    assert judged("model_latency", outage(slow=1), 375) == Judgement(
        "model_latency",
        CHURN,
        "beyond",
        value=20_000.0,
        threshold=500.0,
        evidence=15,
        sentence="15 of the last 15 calls of churn took over 500 ms, 5 % may; since 18:00 UTC",
        since_us=START + OUTAGE.start * MINUTE,
        severity="ticket",
    )


def test_at_a_call_an_hour_the_last_five_calls_tell() -> None:
    """Where the short window holds fewer, five failures in a row are beyond doubt, and three are not."""
    hourly = [CallMinute(START + hour * 60 * MINUTE, 1, int(hour >= 5)) for hour in range(11)]
    outcomes = [
        judge_errors(RULES["model_errors"], CallHistory(CHURN, hourly[: h + 1]), START + h * 60 * MINUTE).outcome
        for h in range(11)
    ]
    assert outcomes == [*(["within"] * 9), "beyond", "beyond"]


def test_without_a_call_in_six_hours_nothing_is_known() -> None:
    """Missing calls never mean that all is well, and calls told late of a window that is over do not alert."""
    late = [CallMinute(START, 50, 50)]
    judgement = judge_errors(RULES["model_errors"], CallHistory(CHURN, late), START + 361 * MINUTE)
    unknown = Judgement("model_errors", CHURN, "unknown", threshold=0.05, severity="page")
    assert comparable(judgement) == comparable(unknown)


def test_a_target_of_ones_own_moves_the_threshold_and_wakes() -> None:
    """The alert threshold moves with the registered target as that of the KPI, and the rule pages."""
    assert own_threshold(RULES["model_latency"], {"latency_p95_ms": 5_000.0}) == 12_500.0
    targeted = CallHistory(CHURN, outage(), targets={"latency_p95_ms": 5_000.0})
    assert judge_latency(RULES["model_latency"], targeted, START).severity == "page"
