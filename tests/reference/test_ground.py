"""Time and identity, worked out by hand: limits, clocks that change, links that are refused."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tests.reference import ground, outcomes, users
from tests.reference.ground import SECOND, Identify, NpsAnswer, Unlink, day_start, micros, views

UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


@pytest.mark.parametrize(
    ("original_s", "sent_s", "expected"),
    [
        (0, None, (0, False)),
        (1300, None, (1300, False)),
        (1301, None, (1000, True)),
        (900, 1100, (800, False)),
        (5000, 5000, (1000, False)),
        (5301, 5000, (1000, True)),
    ],
)
def test_time_of_an_event(original_s: int, sent_s: int | None, expected: tuple[int, bool]) -> None:
    """Received at 1000 s: the client's clock is corrected, and more than 300 s ahead of us is clamped."""
    sent = None if sent_s is None else sent_s * SECOND
    ts, clamped = ground.corrected_ts(original_s * SECOND, 1000 * SECOND, sent)
    assert (ts / SECOND, clamped) == expected


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-08", NEW_YORK, 23),
        ("2026-11-01", NEW_YORK, 25),
        ("2026-04-05", LORD_HOWE, 24.5),
        ("2026-10-04", LORD_HOWE, 23.5),
        ("2026-01-15", UTC, 24),
    ],
)
def test_length_of_a_day(day: str, zone: ZoneInfo, hours: float) -> None:
    """A local day lasts as long as its clock changes say, and holds its first and last microsecond only."""
    here = date.fromisoformat(day)
    start, end = ground.days_window(here, 1, zone)
    assert (end - start) / (3600 * SECOND) == hours
    assert [(ground.day_of(ts, zone) - here).days for ts in (start - 1, start, end - 1, end)] == [-1, 0, 0, 1]


def test_day_whose_midnight_does_not_exist() -> None:
    """In Beirut 29 March 2026 begins at 01:00, the instant of the change."""
    beirut = ZoneInfo("Asia/Beirut")
    start = day_start(date(2026, 3, 29), beirut)
    assert start == micros("2026-03-28T22:00+00:00")
    assert [ground.day_of(ts, beirut).day for ts in (start - 1, start)] == [28, 29]


@pytest.mark.parametrize(("now", "expected"), [("2026-11-02T04:59:59", 31), ("2026-11-02T05:00:00", 1)])
def test_last_complete_day_of_25_hours(now: str, expected: int) -> None:
    """1 November in New York is complete at 05:00 UTC and not an instant earlier."""
    assert ground.last_complete_day(date(2026, 11, 1), NEW_YORK, micros(now)).day == expected


def test_identify_links_repeats_and_is_refused() -> None:
    """The first link of an anonymous id stays, a repetition changes nothing, a link to another user is refused."""
    person = ground.persons([Identify("a", "u"), Identify("a", "u"), Identify("a", "v"), Identify("u", "u")])
    assert [person(i) for i in ("a", "u", "v", "x")] == ["u", "u", "v", "x"]


def test_two_users_are_never_one() -> None:
    """What was ever named as a user is merged into nobody, also when it was named in vain or is linked no more."""
    said: list[Identify | Unlink] = [
        Identify("a", "u"),
        Identify("u", "v"),
        Identify("v", "w"),
        Unlink("a"),
        Identify("u", "v"),
    ]
    person = ground.persons(said)
    assert [person(i) for i in "auvw"] == ["a", "u", "v", "w"]


def test_an_id_goes_along_with_the_one_that_it_was_identified_as() -> None:
    """Into the person of that one, and out of it again; a link that closes a circle is a no-op."""
    links = [Identify("b", "c"), Identify("a", "b"), Identify("c", "a")]
    person = ground.persons(links)
    assert {person(i) for i in "abc"} == {"c"}
    person = ground.persons([*links, Unlink("b")])
    assert [person(i) for i in "abc"] == ["b", "b", "c"]


def test_a_link_is_taken_back() -> None:
    """The id may be linked anew; of one without a link there is nothing to take back."""
    person = ground.persons([Unlink("a"), Identify("a", "u"), Unlink("u"), Unlink("a"), Identify("a", "v")])
    assert [person(i) for i in "auv"] == ["v", "u", "v"]


def test_merging_joins_sessions_and_days() -> None:
    """Two ids that become one person have one session, one user, one answer."""
    events = [*views(micros("2026-01-01T10:00"), user="a"), *views(micros("2026-01-01T10:30"), user="u")]
    answers = [NpsAnswer("a", "s", 0, 1, "n0"), NpsAnswer("u", "s", 10, 2, "n1")]
    link = [Identify("a", "u")]
    assert [len(users.sessions(events, aliases)) for aliases in ([], link)] == [2, 1]
    assert [users.active_users(events, UTC, date(2026, 1, 1), 1, aliases) for aliases in ([], link)] == [2, 1]
    assert outcomes.nps(answers, 0, 9, aliases=link)["nps_score"] == 100
    assert ground.erased(events, link, "a") == []
