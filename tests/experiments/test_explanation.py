from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import nan
from typing import Any

import pytest

from otel_measure.experiments.analyse import analyse
from otel_measure.experiments.explanation import explanation, reasons, signed_points
from otel_measure.experiments.still_needed import AS_IT_SEEMS
from otel_measure.stats.ab_test import AbTest, Effect, StillNeeded
from otel_measure.store.types.experiments import ArmHour, Experiment

EXPERIMENT = Experiment("form", "Form", ("old", "new"), (0.5, 0.5), 1.0)
NEEDS = StillNeeded(480, 40.0, (32.0, 48.0), 12.0, (10.0, 15.0), "", "")
LEAVES_ZERO = Effect(0.1, (0.02, 0.18), nan, (nan, nan), 0.01, 0.01)
SO_FAR = (
    "Not enough data: looks count from 100 compared users in each variant and 10 conversions together on. "
    "So far old has 1,200 and 12, new has 121 and 24."
)
HOLDS_ZERO = (
    "No winner yet: new converts +10 points against old (95 % interval −2 to +22 points). "
    "The interval still holds zero; more people make it narrower."
)


def report(**changes: Any) -> AbTest:
    """A test without a winner, as it is after its first hour."""
    test = analyse(EXPERIMENT, [ArmHour(0, "old", 150, 15), ArmHour(0, "new", 151, 30)])
    told: dict[str, Any] = {
        "effects": {"new": Effect(0.1, (-0.02, 0.22), nan, (nan, nan), 0.2, 0.2)},
        "compared_users": {"old": 1200, "new": 121},
        "compared_conversions": {"old": 12, "new": 24},
        "needs": None,
    }
    return replace(test, **(told | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"verdict": "no_winner_yet"}, HOLDS_ZERO),
        (
            {"verdict": "no_winner_yet", "needs": replace(NEEDS, provided_that=AS_IT_SEEMS)},
            f"{HOLDS_ZERO} At 40 people a day it takes some 12 days more (10 to 15), if the variants differ by what "
            "they do so far; if they do not, no number of days is enough.",
        ),
        (
            {"verdict": "winner", "winner": "new", "effects": {"new": LEAVES_ZERO}},
            "new wins: new converts +10 points against old (95 % interval +2 to +18 points). "
            "The interval leaves out zero, at every look.",
        ),
        (
            {"verdict": "not_enough_data", "needs": replace(NEEDS, days=0.4, days_ci=(0.3, nan))},
            f"{SO_FAR} At 40 people a day it takes some 1 day more (at least 1; at most: not known).",
        ),
        (
            {"verdict": "not_enough_data", "needs": replace(NEEDS, days_ci=(nan, nan))},
            f"{SO_FAR} At 40 people a day it takes some 12 days more (between which bounds is not known).",
        ),
        (
            {"verdict": "not_enough_data", "needs": replace(NEEDS, unknown_because="nobody met it")},
            f"{SO_FAR} How long that takes is not known: nobody met it.",
        ),
        (
            {"verdict": "sample_ratio_mismatch", "sample_ratio_p_value": 0.00001},
            "Do not trust the comparison: people did not fall into the variants as the weights say (p = 0.00001). "
            "Look for who is assigned and not recorded, or the other way round.",
        ),
        (
            {"verdict": "effect_changed"},
            "The effect changed: no single effect agrees with all looks. "
            "Something happened while the test ran; what it says holds for no time of it.",
        ),
    ],
)
def test_a_verdict_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    """The verdict of a test is said with its reasons, and with how long it still needs."""
    assert explanation(report(**changes)) == sentence


def test_what_a_verdict_rests_on() -> None:
    """Who is compared, who is not, and that nobody is counted any more."""
    test = report(
        compared_within_hours=24, sample_ratio_p_value=1e-9, sample_ratio_mismatch=True, crossed_over=3,
        excluded_users=2, coverage=0.125, stopped_at=datetime(2026, 1, 1, tzinfo=UTC), served_variant="old",
    )  # fmt: skip
    assert reasons(test) == (
        "Compared is what people did within 24 hours of meeting the test. 1,321 of 301 have reached that age.",
        "People did not fall into the variants as the weights say (p below 0.000001).",
        "3 met a second variant later; they count for the first.",
        "2 met a variant that the test does not have; they count nowhere.",
        "12.5 % of the users take part.",
        "It was stopped, and counts no more: everybody gets old.",
    )


def test_an_answer_has_its_sentence() -> None:
    """The report of a test carries what is said of it, and a variant that nobody met cannot be compared."""
    test = analyse(EXPERIMENT, [ArmHour(0, "old", 150, 15)])
    assert (test.explanation, test.reasons) == (explanation(test), reasons(test))
    unknown = replace(test, verdict="no_winner_yet", needs=None)
    assert explanation(unknown).startswith("No winner yet: new cannot be compared yet. ")


@pytest.mark.parametrize(("ratio", "text"), [(0.1, "+10"), (-0.0123, "−1.2"), (0.0, "0"), (12.0, "+1,200")])
def test_points_have_their_sign(ratio: float, text: str) -> None:
    """A difference of shares is written in points with a sign, to one decimal."""
    assert signed_points(ratio) == text
