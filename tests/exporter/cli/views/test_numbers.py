"""How numbers are written."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf, nan
from zoneinfo import ZoneInfo

import pytest

from exporter.cli.views import numbers


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (numbers.whole, 1234567.0, "1,234,567"),
        (numbers.one, 38.0, "38"),
        (numbers.one, -38.25, "−38.2"),
        (numbers.two, 1.5, "1.5"),
        (numbers.percent, 99.96, "99.96 %"),
        (numbers.percent, 100.0, "100 %"),
        (numbers.percent, 0.0, "0 %"),
        (numbers.percent, 0.004, "0.004 %"),
        (numbers.share, 0.1234, "12.3 %"),
        (numbers.milliseconds, 42.25, "42.2 ms"),
        (numbers.milliseconds, 999.4, "999 ms"),
        (numbers.milliseconds, 1234.5, "1.23 s"),
        (numbers.usd, 0.0, "$0.00"),
        (numbers.usd, 0.3, "$0.30"),
        (numbers.usd, 23.784, "$23.78"),
        (numbers.usd, 0.011849, "$0.0118"),
        (numbers.usd, 0.0000000012, "$0.0000000012"),
        (numbers.usd, 1234.5, "$1,234.50"),
        (numbers.size, 512.0, "512 B"),
        (numbers.size, 3.5 * 2**30, "3.5 GiB"),
        (numbers.size, 2.0**70, "1,048,576 PiB"),
        (numbers.rate, 2048.0, "2 KiB/s"),
        (numbers.duration, 0.0, "0 s"),
        (numbers.duration, 85.0, "1 min 25 s"),
        (numbers.duration, 3600.0, "1 h"),
        (numbers.duration, -90061.0, "−1 d 1 h"),
        (numbers.p_value, 0.0004, "< 0.001"),
        (numbers.p_value, 0.1804, "0.18"),
        (numbers.points, 0.17, "+17"),
        (numbers.points, -0.048, "−4.8"),
        (numbers.points, 0.0, "0"),
    ],
)
def test_a_number_is_written_with_its_unit(write: numbers.Write, value: float, text: str) -> None:
    """A value never reads as another that means something else, such as 99.96 as 100."""
    assert write(value) == text


@pytest.mark.parametrize("unknown", [None, nan, inf])
def test_what_is_unknown_is_a_dash(unknown: float | None) -> None:
    """Nothing that is unknown reads as zero."""
    assert [write(unknown) for write in (numbers.whole, numbers.usd, numbers.duration)] == ["–"] * 3


def test_the_rest() -> None:
    """Intervals need both ends, identifiers are words, times are in the zone of the store."""
    assert numbers.interval((0.1, 0.2), numbers.share) == "10 % to 20 %"
    assert numbers.interval((nan, 0.2), numbers.share) == numbers.interval(None, numbers.share) == ""
    assert (numbers.words("no_winner_yet"), numbers.counted(1, "user")) == ("no winner yet", "1 user")
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert numbers.moment(noon, ZoneInfo("Europe/Paris")) == "2026-01-31 13:00"
