"""Users over time: each step equals the report of its own days."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

import pytest

from otel_measure.testing import START, Capture

DAY = timedelta(days=1)
MIDNIGHT = START.replace(hour=0)


@pytest.fixture
def measured() -> Iterator[Capture]:
    """A runtime on an empty store in memory, whose clock stands."""
    with Capture() as capture:
        yield capture


def track(measured: Capture, user: object, days_ago: int, kind: str = "page_view", **fields: Any) -> None:
    """Track something at noon of a day."""
    measured.users.track_event(user, kind, "x", timestamp=START - days_ago * DAY, **fields)


def known(column: tuple[float, ...]) -> list[float | None]:
    """Return a column with `None` where it is unknown."""
    return [None if isnan(number) else number for number in column]


def test_the_series_whole(measured: Capture) -> None:
    """What happened before the first day is unknown, who came back needs a day before, and today is still running."""
    for user, days_ago in [("a", 3), ("b", 3), ("a", 2), ("c", 2), ("a", 0)]:
        track(measured, user, days_ago)
    track(measured, "a", 2, "conversion", value=5.0, currency="EUR")
    measured.users.record_nps_response("a", 9, timestamp=START - 2 * DAY)
    series = measured.users.get_user_series("5d")
    assert series.start == tuple(MIDNIGHT - n * DAY for n in (4, 3, 2, 1, 0))
    assert (series.step_seconds, series.partial, series.groups, series.previous) == (86_400, (4,), (), None)
    assert {name: known(column) for name, column in series.columns.items()} == {
        "active": [None, 2, 2, 0, 1],
        "new": [None, 2, 1, 0, 0],
        "returning": [None, None, 1, 0, 0],
        "resurrecting": [None, None, 0, 0, 1],
        "dormant": [None, None, 1, 2, 0],
        "sessions": [None, 2, 2, 0, 1],
        "avg_session_duration_seconds": [None, 0, 0, None, 0],
        "bounce_rate": [None, 1, 0.5, None, None],
        "converted_users": [None, 0, 1, 0, 0],
        "conversion_rate": [None, 0, 0.5, None, 0],
        "total_conversions": [None, 0, 1, 0, 0],
        "conversion_value": [None, None, 5, None, None],
        "nps_score": [None, None, 100, None, None],
        "nps_responses": [None, 0, 1, 0, 0],
    }


def test_each_step_is_the_report_of_its_days(measured: Capture) -> None:
    """Of a random history, in days and in weeks: distinct persons, rates and NPS equal those of the reports."""
    chance = random.Random(5)
    for _ in range(300):
        kind = "conversion" if chance.random() < 0.2 else "page_view"
        track(measured, f"u{chance.randrange(40)}", chance.randrange(1, 40), kind)
    for n in range(30):
        measured.users.record_nps_response(
            f"u{n}", chance.randrange(11), timestamp=START - chance.randrange(1, 20) * DAY
        )
    now = START
    for step, length in (("1d", 1), ("1w", 7)):
        series = measured.users.get_user_series("3w", step=step, as_of=(now - 4 * DAY).date())
        for k, start in enumerate(series.start):
            if k in series.partial:
                continue
            last = (start + (length - 1) * DAY).date()
            engagement = measured.users.get_engagement_metrics(f"{length}d", as_of=last)
            conversion = measured.users.get_conversion_metrics(window=f"{length}d", as_of=last)
            nps = measured.users.get_nps_metrics(f"{length}d", as_of=last)
            told = {name: column[k] for name, column in series.columns.items()}
            assert told["active"] == (engagement.dau if length == 1 else engagement.wau)
            assert (told["sessions"], told["bounce_rate"]) == pytest.approx(
                (engagement.sessions, engagement.bounce_rate), nan_ok=True
            )
            assert (told["converted_users"], told["conversion_rate"]) == pytest.approx(
                (conversion.converted_users, conversion.conversion_rate), nan_ok=True
            )
            assert (told["nps_score"], told["nps_responses"]) == pytest.approx(
                (nps.nps_score, nps.responses), nan_ok=True
            )


def test_weeks_begin_on_monday(measured: Capture) -> None:
    """15 January 2026 is a Thursday: two weeks are two whole ones less what the window cuts, and the running one."""
    track(measured, "a", 20)
    series = measured.users.get_user_series("2w", step="1w", compare="previous")
    assert [start.date().isoformat() for start in series.start] == ["2026-01-02", "2026-01-05", "2026-01-12"]
    assert (series.step_seconds, series.partial) == (604_800, (0, 2))
    assert series.previous is not None
    assert [start.date().isoformat() for start in series.previous.start] == ["2025-12-19", "2025-12-22", "2025-12-29"]
    assert series.previous.window.end == series.window.start == datetime(2026, 1, 2, tzinfo=UTC)


def test_without_anybody_all_is_unknown(measured: Capture) -> None:
    """An empty store knows nothing of any day."""
    series = measured.users.get_user_series("2d")
    assert {tuple(known(column)) for column in series.columns.values()} == {(None, None)}


def test_steps_follow_the_window(measured: Capture) -> None:
    """Up to 92 days are days, more are weeks."""
    assert [measured.users.get_user_series(window).step_seconds for window in ("92d", "93d")] == [86_400, 604_800]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"step": "1h"}, "step must be one of 1d, 1w, not '1h': persons are counted by local days"),
        ({"window": "500d", "step": "1d"}, "step='1d' would make over 400 points"),
        ({"compare": "next"}, "compare must be 'previous', not 'next'"),
    ],
)
def test_what_is_no_question_is_refused(measured: Capture, asked: dict[str, Any], message: str) -> None:
    """The message names the argument, its rule and the value."""
    with pytest.raises(ValueError, match=message):
        measured.users.get_user_series(**asked)


def test_cohorts_are_a_triangle(measured: Capture) -> None:
    """Each first day is a group, which is unknown before it and for the day that is still running."""
    for user, days_ago in [("a", 3), ("b", 3), ("a", 2), ("c", 2), ("a", 1), ("c", 0), ("d", 0)]:
        track(measured, user, days_ago)
    groups = measured.users.get_user_series("5d", group_by="cohort").groups
    told = {
        group.key["first_day"]: (known(group.columns["active"]), known(group.columns["retention"])) for group in groups
    }
    days = [(START - n * DAY).date().isoformat() for n in (3, 2, 0)]
    assert told == {
        days[0]: ([None, 2, 1, 1, None], [None, 1, 0.5, 0.5, None]),
        days[1]: ([None, None, 1, 0, None], [None, None, 1, 0, None]),
        days[2]: ([None] * 5, [None] * 5),
    }
    assert [group.other for group in groups] == [False] * 3


@pytest.mark.parametrize("service", [None, "unknown_service"])
def test_cohorts_equal_the_retention_report(measured: Capture, service: str | None) -> None:
    """Day n of a cohort in the series is day n of the report, in any history, also of one service by its facts."""
    chance = random.Random(7)
    for user in range(40):
        first = chance.randrange(36)
        track(measured, user, first)
        for ago in range(first):
            if chance.random() < 0.3:
                track(measured, user, ago)
    report = measured.users.get_retention_metrics("36d", service=service)
    series = measured.users.get_user_series("36d", group_by="cohort", service=service)
    assert len(report.cohorts) > 20
    for cohort, group in zip(report.cohorts, series.groups, strict=True):
        assert group.key == {"first_day": str(cohort.day)}
        begins = next(k for k, start in enumerate(series.start) if start.date() == cohort.day)
        shares = [*known(group.columns["retention"]), *([None] * 31)]
        report_of_it = known((cohort.day_1_retention, cohort.day_7_retention, cohort.day_30_retention))
        assert [shares[begins + n] for n in (1, 7, 30)] == report_of_it


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"group_by": "day"}, "group_by must be 'cohort', not 'day'"),
        ({"group_by": "cohort", "step": "1w"}, "group_by='cohort' needs days: step='1d' and a window of at most 92"),
        ({"group_by": "cohort", "window": "93d", "step": "1d"}, "a window of at most 92 of them"),
    ],
)
def test_cohorts_that_cannot_be(measured: Capture, asked: dict[str, Any], message: str) -> None:
    """What is no group, and cohorts of weeks or of more than a quarter, are refused."""
    with pytest.raises(ValueError, match=message):
        measured.users.get_user_series(**asked)
