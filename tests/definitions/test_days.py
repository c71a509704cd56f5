from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.days import day_date, day_finder, day_number, day_start, micros, moment

ZONES = ("UTC", "Etc/UTC", "Europe/Paris", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia")


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)), st.sampled_from(ZONES))
def test_a_day_is_the_local_calendar_day(at: datetime, name: str) -> None:
    """What a clock on the wall of the zone shows."""
    zone = ZoneInfo(name)
    assert day_date(day_finder(zone)(micros(at))) == at.astimezone(zone).date()


@given(st.dates(date(1971, 1, 1), date(2100, 1, 1)), st.sampled_from(ZONES))
def test_a_day_begins_where_the_day_before_ends(day: date, name: str) -> None:
    """The microsecond before the start belongs to an earlier day, the start to the day: no gap, no overlap."""
    zone = ZoneInfo(name)
    if (name, day) == ("Pacific/Apia", date(2011, 12, 30)):
        return  # Samoa skipped this day
    start = day_start(day_number(day), zone)
    day_of = day_finder(zone)
    assert (day_of(start), day_of(start - 1) < day_number(day)) == (day_number(day), True)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", ["America/St_Johns", "America/Goose_Bay", "America/Moncton", "Antarctica/Casey"])
def test_days_follow_each_other(name: str) -> None:
    """Also where clocks went back from 00:01 to 23:01: a day that has begun has begun."""
    day_of = day_finder(ZoneInfo(name))
    offset_us = round(
        (datetime(2000, 1, 1, tzinfo=ZoneInfo(name)).utcoffset() or timedelta()) / timedelta(microseconds=1)
    )
    for year in range(1987, 2012):
        nights = range(
            micros(datetime(year, 3, 1, tzinfo=UTC)), micros(datetime(year, 12, 1, tzinfo=UTC)), 86_400_000_000
        )
        minutes = range(-14_400_000_000, 14_400_000_000, 600_000_000)  # four hours before and after midnight
        days = [day_of(night - offset_us + minute) for night in nights for minute in minutes]
        assert days == sorted(days)
    # The night in which the minute from 00:00 to 00:01 came twice.
    if name == "America/St_Johns":
        back = 1_289_097_060_000_000
        assert [day_of(back + s * 1_000_000) - 14919 for s in (-600, -30, 600, 7200)] == [0, 1, 1, 1]


def test_a_skipped_day_is_empty() -> None:
    """Samoa had no 30 December 2011: it begins where the 31st does."""
    zone = ZoneInfo("Pacific/Apia")
    day = day_number(date(2011, 12, 30))
    assert day_start(day, zone) == day_start(day + 1, zone)


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 29), 23),
        ("Europe/Paris", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight itself was skipped
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_days_have_the_hours_the_zone_gives_them(name: str, day: date, hours: int) -> None:
    """Never `seconds / 86400`."""
    zone, number = ZoneInfo(name), day_number(day)
    assert day_start(number + 1, zone) - day_start(number, zone) == hours * 3_600_000_000


@given(st.integers(0, 2**52))
def test_micros_and_moment_are_inverse(ts_us: int) -> None:
    """Not a microsecond is lost to a float."""
    assert micros(moment(ts_us)) == ts_us
    assert moment(ts_us).utcoffset() == timedelta(0)
