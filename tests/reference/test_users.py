"""Sessions, engagement, retention and segments, worked out by hand at their limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.reference import ground, users
from tests.reference.ground import DAY, SECOND, Ev, day_start, micros, views

UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")


def days_after(first: str, *offsets: int) -> list[Ev]:
    """Page views of `u` at noon UTC of these days after `first`."""
    return views(*(micros(f"{date.fromisoformat(first) + timedelta(days=k)}T12:00") for k in offsets))


def test_gap_of_one_microsecond_too_many() -> None:
    """Half an hour to the microsecond continues a session; one more begins another."""
    half_hour = 1800 * SECOND
    assert len(users.sessions(views(0, half_hour, 2 * half_hour))) == 1
    assert len(users.sessions(views(0, half_hour + 1, 2 * half_hour + 2))) == 3


def test_client_session_belongs_to_one_person_and_has_no_gap() -> None:
    """A client's session id holds over hours, is one session per person, and leaves the gaps of the rest alone."""
    rest = views(0, 3600 * SECOND)
    named = [
        Ev("u", "s0", 1800 * SECOND, session="s"),
        Ev("u", "s1", 9000 * SECOND, session="s"),
        Ev("v", "s2", 0, session="s"),
    ]
    found = users.sessions(rest + named)
    assert [(s.person, s.client_id, s.start // SECOND, s.end // SECOND) for s in found] == [
        ("u", None, 0, 0),
        ("v", "s", 0, 0),
        ("u", "s", 1800, 9000),
        ("u", None, 3600, 3600),
    ]


def test_markers_stretch_a_session_and_background_does_not() -> None:
    """A session runs from session.start to session.end, which are no activity; background and flags are no part."""
    events = [
        Ev("u", "e0", 0, "session.start", session="s"),
        Ev("u", "e1", 5 * SECOND, session="s"),
        Ev("u", "e2", 60 * SECOND, "session.end", session="s"),
        Ev("u", "e3", 90 * SECOND, "purchase", session="s", background=True),
        Ev("u", "e4", 90 * SECOND, "feature_flag.evaluation", session="s"),
        Ev("v", "e5", 0, "session.start", session="t"),
        Ev("v", "e6", 0, "nps"),
    ]
    assert users.sessions(events) == [
        users.Session("u", "s", 0, 60 * SECOND, events=1, views=1, key_events=0),
        users.Session("v", "t", 0, 0, events=0, views=0, key_events=0),
    ]
    assert users.totals(events) == {"total_users": 1, "total_events": 2, "total_sessions": 2}


@pytest.mark.parametrize(
    ("last_s", "kind", "engaged"),
    [(9.999999, "click", False), (10, "click", True), (1, "page_view", True), (1, "signup", True), (0, "click", False)],
)
def test_engaged(last_s: float, kind: str, engaged: bool) -> None:
    """A view followed by one event is engaged from 10 s on, or if that is a view or a key event."""
    (session,) = users.sessions([*views(0), Ev("u", "e", round(last_s * SECOND), kind)])
    assert session.engaged is engaged


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [(1799, {"bounced": 0, "viewed": 0, "bounce_rate": None}), (1800, {"bounced": 1, "viewed": 1, "bounce_rate": 1})],
)
def test_open_session_is_no_bounce_yet(now_s: int, expected: dict[str, object]) -> None:
    """Bounce leaves out a session until half an hour after its last event, and sessions without a view for good."""
    found = users.sessions([*views(0), Ev("v", "e", -DAY, "click")])
    assert users.bounce(found, now_s * SECOND) == expected


def test_window_takes_sessions_by_their_start_and_persons_by_their_first_activity() -> None:
    """A session that starts before the window is not in it; who is first seen at its first instant is not back."""
    events = [*views(-SECOND, SECOND, user="a"), *views(0, user="b"), *views(DAY - 1, DAY + SECOND, user="c")]
    assert [(s.person, s.start) for s in users.sessions_in(events, 0, DAY)] == [("b", 0), ("c", DAY - 1)]
    assert users.return_rate(events, 0, DAY) == {"returning": 1, "active": 3, "return_rate": 1 / 3}


def test_engagement_by_hand() -> None:
    """Every number of the report over a month with a returning user, a new one, and a running day."""
    events = [
        *views(micros("2026-02-27T12:00")),
        Ev("u", "e0", micros("2026-03-30T23:50")),
        Ev("u", "e1", micros("2026-03-31T00:10"), "click"),
        Ev("v", "e2", micros("2026-03-31T09:00")),
    ]
    old = [*views(micros("2026-01-01"), user="old"), *views(micros("2026-01-01"), user="older")]
    report = users.engagement([*events, *old], UTC, micros("2026-03-31T12:00"), date(2026, 3, 31))
    assert report.pop("bounce_rate_ci") == report.pop("return_rate_ci") == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert report == {
        "dau": 2,
        "wau": 2,
        "mau": 2,
        "mau_window_days": 28,
        "stickiness": 1 / 28,
        "sessions": 2,
        "avg_session_duration_seconds": 600.0,
        "avg_sessions_per_user": 1.0,
        "avg_events_per_session": 1.5,
        "bounce_rate": 0.5,
        "bounce_rate_n": 2,
        "return_rate": 0.5,
        "return_rate_n": 2,
        "provisional": True,
    }
    young = users.engagement(events, UTC, micros("2026-03-31T12:00"), date(2026, 3, 31))
    assert (young["stickiness"], young["return_rate"], young["return_rate_ci"]) == (None, None, None)


def test_engagement_of_nothing() -> None:
    """Without events counts are 0 and everything else is unknown."""
    empty = users.engagement([], UTC, micros("2026-02-01"), date(2026, 1, 31))
    assert {k: v for k, v in empty.items() if v is not None} == {
        "dau": 0,
        "wau": 0,
        "mau": 0,
        "mau_window_days": 28,
        "sessions": 0,
        "bounce_rate_n": 0,
        "return_rate_n": 0,
        "provisional": False,
    }


def test_dau_against_the_same_weekday() -> None:
    """The last complete day is set against the one a week before, if that one has enough users."""
    events = [Ev(u, f"{u}{d}", micros(f"2026-01-{d:02}T12:00")) for d, who in ((1, "abcd"), (8, "abc")) for u in who]
    now, as_of = micros("2026-01-09T12:00"), date(2026, 1, 9)
    assert users.dau_change(events, UTC, now, as_of, floor=4) == -0.25
    assert users.dau_change(events, UTC, now, as_of, floor=5) is None


def test_sixteen_minutes_over_midnight_are_no_return_after_24_hours() -> None:
    """The case of D12 is 0 of 1 in mode rolling_24h, as its note demands."""
    events = views(micros("2026-01-01T23:45"), micros("2026-01-02T00:01"))
    table = users.retention(events, UTC, micros("2026-01-05"), date(2026, 1, 5), (1,), "rolling_24h")
    assert table == {date(2026, 1, 1): {1: (0, 1)}}


def test_retention_modes_part_ways() -> None:
    """The same history has another day 1 by calendar, open-ended, and by 24-hour days over a change of clocks."""
    # 23:30 before New York loses an hour; 24 h later it is 00:30 on the day after next.
    events = [*views(micros("2026-03-07T23:30", NEW_YORK), micros("2026-03-09T00:30", NEW_YORK))]
    ask = date(2026, 3, 20)
    tables = {
        mode: users.retention(events, NEW_YORK, day_start(ask, NEW_YORK), ask, (0, 1, 2), mode)[date(2026, 3, 7)]
        for mode in ("on", "on_or_after", "rolling_24h")
    }
    assert tables == {
        "on": {0: (1, 1), 1: (0, 1), 2: (1, 1)},
        "on_or_after": {0: (1, 1), 1: (1, 1), 2: (1, 1)},
        "rolling_24h": {0: (1, 1), 1: (1, 1), 2: (0, 1)},
    }


def test_rolling_retention_waits_for_its_last_member() -> None:
    """A 24-hour cell is unknown until the day of the member that came last has passed."""
    events = [*views(micros("2026-01-01T01:00"), user="a"), *views(micros("2026-01-01T23:00"), user="b")]
    cells = [
        users.retention(events, UTC, micros(now), date(2026, 1, 3), (1,), "rolling_24h")[date(2026, 1, 1)][1]
        for now in ("2026-01-03T00:00", "2026-01-03T22:59:59", "2026-01-03T23:00")
    ]
    assert cells == [None, None, (0, 2)]


def test_retention_does_not_look_past_its_day() -> None:
    """Asked for a past day, nothing later is known: neither events nor complete days."""
    events = days_after("2026-01-01", 0, 1, 2)
    table = users.retention(events, UTC, micros("2026-06-01"), date(2026, 1, 2), (1, 2))
    assert table == {date(2026, 1, 1): {1: (1, 1), 2: None}}


def test_headline_retention_adds_mature_cohorts_of_90_days() -> None:
    """Day 1 is pooled over persons; the cohort of yesterday and the one of 90 days ago are not part of it."""
    first = {"a": (0, 1), "b": (0,), "c": (3,), "d": (59,), "old": (-31, -30)}
    events = [
        replace(e, user=who, id=who + e.id) for who, days in first.items() for e in days_after("2026-01-01", *days)
    ]
    report = users.headline_retention(events, UTC, micros("2026-03-01T12:00"), date(2026, 3, 1), 1)
    assert report.pop("ci") == pytest.approx((0.0614919, 0.7923404), abs=1e-7)
    assert report == {"rate": 1 / 3, "returned": 1, "n": 3, "cohorts": 2}
    nothing = users.headline_retention([], UTC, 0, date(1970, 1, 1), 1)
    assert nothing == {"rate": None, "returned": 0, "n": 0, "cohorts": 0, "ci": None}


def test_lifecycle_at_the_edges_of_its_periods() -> None:
    """The first instant of a period belongs to it, the first of the next does not."""
    events = views(micros("2026-01-08T00:00"), micros("2026-01-15T00:00"))
    weeks = [users.lifecycle(events, UTC, date(2026, 1, day), 7) for day in (7, 14, 21, 28)]
    assert [{kind for kind, n in week.items() if n} for week in weeks] == [set(), {"new"}, {"returning"}, {"dormant"}]


def test_churn_over_28_complete_days() -> None:
    """Of three persons active in the 28 days before the last 28, one came back."""
    first = {"a": (0, 28), "b": (1,), "c": (27, 56), "new": (30,)}
    events = [
        replace(e, user=who, id=who + e.id) for who, days in first.items() for e in days_after("2026-01-01", *days)
    ]
    old = [*views(micros("2025-12-01"), user="old"), *views(micros("2025-12-01"), user="older")]
    asked = (UTC, micros("2026-02-26T12:00"), date(2026, 2, 26))
    churn = users.churn_rate([*events, *old], *asked)
    assert churn.pop("churn_rate_ci") == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert churn == {"churn_rate": 2 / 3, "churn_rate_n": 3}
    assert users.churn_rate(events, *asked) == {"churn_rate": None, "churn_rate_n": 3, "churn_rate_ci": None}
    assert users.churn_rate([], *asked) == {"churn_rate": None, "churn_rate_n": 0, "churn_rate_ci": None}


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [
        ([0], "new"),
        ([6], "new"),
        ([7], "at_risk"),
        ([7, 0], "active"),
        ([29], "at_risk"),
        ([30], "churned"),
        ([35, 6], "active"),
        ([36, 6], "resurrected"),
        ([35, 6, 0], "active"),
        ([36, 6, 0], "resurrected"),
        ([36, 7, 0], "active"),
        ([30, 0], "resurrected"),
        ([60, *range(12)], "power"),
        ([60, *range(11)], "active"),
        ([27, *range(11)], "power"),
        ([28, *range(11)], "active"),
        ([40, *range(7)], "resurrected"),
        ([18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7], "at_risk"),
    ],
)
def test_segment(days_ago: list[int], expected: str) -> None:
    """Each limit of L, F, A28 and the gap decides on its own day."""
    events = days_after("2026-04-01", *(-k for k in days_ago), 1)
    events = [e for e in events if ground.day_of(e.ts, UTC) != date(2026, 4, 2)] + views(
        micros("2026-04-02"), user="later"
    )
    assert {k: n for k, n in users.segments(events, UTC, date(2026, 4, 1)).items() if n} == {expected: 1}
