"""Errors and latency of models, by the minute."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from otel_measure.definitions.alerting.calls import (
    CallHistory,
    CallMinute,
    CallsInWindow,
    judge_errors,
    judge_latency,
    may_be_beyond,
    own_threshold,
    with_error_types,
)
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
    return judge(RULES[key], CallHistory(CHURN, minutes[:k]), START + k * MINUTE)


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
        since_us=START + OUTAGE.start * MINUTE,
        severity="page",
    )
    slow = Judgement(
        "model_latency",
        CHURN,
        "beyond",
        threshold=500.0,
        evidence=15,
        sentence="15 of the last 15 calls of churn took over 500 ms, 5 % may; since 18:00 UTC",
        since_us=START + OUTAGE.start * MINUTE,
        severity="ticket",
    )
    assert comparable(judged("model_latency", outage(slow=1), 375)) == comparable(slow)


def test_what_most_failures_are_is_the_cause() -> None:
    """It is in the sentence with how many it was; of equally many the first by name; nothing where it is not known."""
    failing = judged("model_errors", outage(errors=1), 370)
    told = with_error_types(failing, {"Timeout": 3, "RateLimit": 3, "Refused": 1})
    assert (told.cause, told.sentence) == (
        "RateLimit",
        "5 of the last 5 calls of churn failed, 5 % may; since 18:00 UTC; 3 of 7 with RateLimit",
    )
    assert with_error_types(failing, {}) == failing


@pytest.mark.parametrize("key", ["model_errors", "model_errors_sustained"])
def test_what_sums_leave_out_is_not_beyond(key: str) -> None:
    """A model that sums rule out is not beyond minute by minute either, whatever its traffic, and however it fails."""
    random, rule, ruled_out, beyond = Random(7), RULES[key], 0, 0
    for _ in range(200):
        per_minute, rate, since = (
            random.choice((0.01, 0.1, 1, 5)),
            random.choice((0.0, 0.03, 0.1, 0.6)),
            random.randrange(360),
        )
        minutes = []
        for k in range(360):
            calls = int(per_minute) if per_minute >= 1 else int(random.random() < per_minute)
            failing = rate if k >= since else 0.01
            minutes.append(CallMinute(START + k * MINUTE, calls, sum(random.random() < failing for _ in range(calls))))
        now = START + 360 * MINUTE
        reach, long = (
            CallsInWindow(sum(m.calls for m in of_window), sum(m.errors for m in of_window))
            for of_window in (minutes, minutes[-rule.long_window_s // 60 :])
        )
        outcome = judge_errors(rule, CallHistory(CHURN, minutes), now).outcome
        beyond += outcome == "beyond"
        if not may_be_beyond(rule.threshold, reach, long):
            ruled_out += 1
            assert outcome != "beyond"
    assert ruled_out > 60
    assert beyond > 10


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
