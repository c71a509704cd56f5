"""Whether a service spends its allowed downtime too fast."""

from __future__ import annotations

from math import inf

import pytest

from otel_measure.definitions.alerting.burn import burn_rate, judge_burn
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.definitions.alerting.judging import API, NOW

FAST, SLOW = (
    next(rule for rule in ALERT_RULES if rule.key == key) for key in ("service_burn_fast", "service_burn_slow")
)


def test_how_fast_an_objective_is_spent() -> None:
    """Of an hour 99.9 % allow 3.6 s; of 100 % any downtime is too fast."""
    assert burn_rate(36.0, 3600, 99.9) == pytest.approx(10.0)
    assert burn_rate(0.0, 3600, 100.0) == 0.0
    assert burn_rate(0.1, 3600, 100.0) == inf


def test_both_windows_have_to_be_beyond() -> None:
    """One minute of the last hour burns 16.7 times too fast while it goes on; what is over for 5 minutes is within."""
    sentence = "api was down for 60 s of the last hour, 16.7 times what its objective of 99.9 % allows: disk"
    beyond = judge_burn(FAST, API, 99.9, 60.0, 60.0, reason="disk", since_us=NOW)
    assert beyond == Judgement(
        "service_burn_fast", API, "beyond", burn_rate(60.0, 3600, 99.9), 14.4, 1, sentence, "disk", NOW
    )
    assert judge_burn(FAST, API, 99.9, 0.0, 60.0).outcome == "within"
    assert judge_burn(FAST, API, 99.9, 50.0, 50.0).outcome == "within"


def test_the_services_own_objective_decides() -> None:
    """What is too fast for 99.9 % is not for 99 %; six hours tell of what is slower."""
    assert judge_burn(FAST, API, 99.0, 60.0, 60.0).outcome == "within"
    slow = judge_burn(SLOW, API, 99.9, 60.0, 150.0)
    assert (slow.outcome, slow.sentence) == (
        "beyond",
        "api was down for 150 s of the last 6 hours, 6.94 times what its objective of 99.9 % allows",
    )
    never = judge_burn(FAST, API, 100.0, 1.0, 1.0)
    assert never.sentence == "api was down for 1 s of the last hour, and its objective of 100 % allows none"
