"""Whether a disk will be full soon."""

from __future__ import annotations

from math import isnan

from otel_measure.definitions.alerting.disk_fit import judge_disk
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.definitions.alerting.judging import MINUTE, NOW

RULE = next(rule for rule in ALERT_RULES if rule.key == "host_disk_fills")
WEB = AlertSubject("host", "web-1", "")


def readings(*, until_percent: float, an_hour: float, steps: int = 72) -> list[tuple[int, float]]:
    """Return a disk that grows steadily until now, by five minutes."""
    return [(NOW - k * 5 * MINUTE, until_percent - an_hour * k / 12) for k in reversed(range(steps))]


def judged(of: list[tuple[int, float]]) -> Judgement:
    """Return what the rule says now."""
    return judge_disk(RULE, WEB, of, NOW)


def test_a_disk_that_is_full_within_a_day() -> None:
    """At 88 % and 1 % an hour it is full in twelve hours; a rotated log and a reading that is off change nothing."""
    of = readings(until_percent=88.0, an_hour=1.0)
    first = of[0][0]
    sentence = "the fullest disk of web-1 is 88.0 % full and grows by 1 % an hour: it is full in 12.0 hours"
    assert judged(of) == Judgement("host_disk_fills", WEB, "beyond", 12.0, 24, 72, sentence, since_us=first)
    of[10:20] = [(at, 70.0) for at, _ in of[10:20]]
    of[40] = (of[40][0], 100.0)
    assert judged(of).outcome == "beyond"


def test_a_disk_that_is_not() -> None:
    """It is within while it grows slowly, shrinks, stands, or is not above 80 %, however fast it grows."""
    slow = judged(readings(until_percent=88.0, an_hour=0.25))
    assert (slow.outcome, round(slow.value)) == ("within", 48)
    assert isnan(judged(readings(until_percent=95.0, an_hour=0.0)).value)
    for until_percent, an_hour in ((95.0, 0.0), (95.0, -1.0), (80.0, 5.0)):
        assert judged(readings(until_percent=until_percent, an_hour=an_hour)).outcome == "within"


def test_what_is_not_known() -> None:
    """Without readings, and above 80 % with fewer than half of the window, nothing is said."""
    assert judged([]).outcome == "unknown"
    assert judged(readings(until_percent=95.0, an_hour=1.0, steps=35)).outcome == "unknown"
    assert judged(readings(until_percent=95.0, an_hour=1.0, steps=36)).outcome == "beyond"
