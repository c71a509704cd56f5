from __future__ import annotations

import pytest

from otel_measure.definitions.alerting.silences import Silence
from tests.definitions.alerting.judging import API, CHURN, NOW


def test_a_silence_covers_what_it_names() -> None:
    """What it does not name may be anything; it begins with its first and ends before its last moment."""
    of_model = Silence("1", None, "churn", None, NOW, NOW + 10, "a release")
    assert [of_model.covers("errors", CHURN, NOW + at) for at in (-1, 0, 9, 10)] == [False, True, True, False]
    assert not of_model.covers("errors", API, NOW)
    of_rule = Silence("2", "errors", None, "prod", NOW, NOW + 10, "known")
    assert (of_rule.covers("errors", API, NOW), of_rule.covers("latency", API, NOW)) == (True, False)
    unnamed = Silence("3", None, None, "", NOW, NOW + 10, "known")
    assert (unnamed.covers("errors", API, NOW), unnamed.covers("errors", API._replace(environment=""), NOW)) == (
        False,
        True,
    )


@pytest.mark.parametrize(
    ("rule", "ends_us", "reason", "complaint"),
    [
        (None, NOW + 1, "why", "one of everything would hide all"),
        ("errors", NOW + 1, " ", "needs a reason"),
        ("errors", NOW, "why", "must end after it begins"),
    ],
)
def test_a_silence_that_means_nothing_is_refused(rule: str | None, ends_us: int, reason: str, complaint: str) -> None:
    """It needs something that it is about, a reason, and an end that comes after its beginning."""
    with pytest.raises(ValueError, match=complaint):
        Silence("1", rule, None, None, NOW, ends_us, reason)
