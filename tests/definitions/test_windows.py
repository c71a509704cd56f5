from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from otel_measure.definitions.days import day_number, micros
from otel_measure.definitions.windows import (
    MODEL_LEVELS_S,
    TimeSpan,
    Window,
    cell_ranges,
    day_span,
    minutes,
    time_span,
)
from tests.facts import HOUR, MINUTE, NOON

NOW = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "expected"), [("1m", 1), ("24h", 1440), ("30d", 43_200), ("2w", 20_160), ("3660d", 5_270_400)]
)
def test_a_window_is_a_number_and_a_unit(window: str, expected: int) -> None:
    """Minutes, hours, days, weeks."""
    assert minutes(window) == expected


@pytest.mark.parametrize(
    "window",
    ["", "h", "24", "24 h", "-1h", "0d", "1.5h", "24H", "1y", "24h ", "24h\n", "3661d", "9999999m", None, 24, b"1h"],
)  # fmt: skip
def test_another_form_is_refused(window: object) -> None:
    """The message shows the value, the rule and an example."""
    with pytest.raises(ValueError, match="window must be a number and a unit") as raised:
        minutes(window)
    assert str(raised.value) == (
        f'window must be a number and a unit (m, h, d, w) such as "24h", at most 10 years, not {window!r}'
    )


def test_a_window_ends_now() -> None:
    """Half-open: the record made this very microsecond is in it."""
    now = micros(NOW)
    found = time_span("24h", now, "UTC")
    assert found == TimeSpan(now + 1 - 86_400_000_000, now + 1, day_number(NOW.date()), True, "UTC")
    assert found.window == Window(
        datetime(2026, 3, 28, 12, 30, 0, 1, tzinfo=UTC), datetime(2026, 3, 29, 12, 30, 0, 1, tzinfo=UTC), "UTC"
    )


def test_a_window_as_of_a_day_ends_with_the_local_day() -> None:
    """28 March 2026 in Paris ends at 23:00 UTC."""
    found = time_span("1d", micros(NOW), "Europe/Paris", date(2026, 3, 28))
    assert (found.window, found.day, found.is_today) == (
        Window(datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC), "Europe/Paris"),
        day_number(date(2026, 3, 28)),
        False,
    )


def test_today_is_the_day_of_the_zone() -> None:
    """At 23:30 UTC it is tomorrow in Paris, which therefore does not lie in the future."""
    late = micros(datetime(2026, 3, 28, 23, 30, tzinfo=UTC))
    assert time_span("1d", late, "Europe/Paris", date(2026, 3, 29)).is_today


def test_a_window_does_not_begin_before_1970() -> None:
    """A long window of an early clock is cut, not negative."""
    assert time_span("30d", 5, "UTC").start == 0


@pytest.mark.parametrize("span", [time_span, day_span])
def test_a_day_before_1970_is_refused(span: Callable[[object, int, str, date], object]) -> None:
    """No record is of such a day, and its window would end before it begins."""
    for day in (date(1, 1, 1), date(1969, 12, 31)):
        with pytest.raises(ValueError, match=f"as_of must be a day from 1970-01-01 on, not {day}"):
            span("1d", micros(NOW), "UTC", day)


def test_a_day_in_the_future_is_refused() -> None:
    """Nobody knows."""
    with pytest.raises(ValueError, match="as_of must not lie in the future, not 2026-03-30"):
        time_span("1d", micros(NOW), "UTC", date(2026, 3, 30))


@pytest.mark.parametrize("as_of", ["2026-03-28", 20_000])
def test_a_day_that_is_no_date_is_refused(as_of: Any) -> None:
    """The message names the argument, the rule and the value."""
    with pytest.raises(ValueError, match=f"as_of must be a date, not {as_of!r}"):
        time_span("1d", micros(NOW), "UTC", as_of)


@pytest.mark.parametrize(
    ("start", "end", "ranges"),
    [
        (NOON + 1, NOON + 2, [(60, NOON, NOON + MINUTE)]),
        (NOON, NOON + HOUR, [(3600, NOON, NOON + HOUR)]),
        (NOON + MINUTE, NOON + HOUR, [(60, NOON + MINUTE, NOON + HOUR)]),
        (
            NOON - MINUTE,
            NOON + HOUR + 1,
            [(60, NOON - MINUTE, NOON), (3600, NOON, NOON + HOUR), (60, NOON + HOUR, NOON + HOUR + MINUTE)],
        ),
        (NOON, NOON, []),
    ],
)
def test_a_window_is_covered_by_as_few_cells_as_can_be(
    start: int, end: int, ranges: list[tuple[int, int, int]]
) -> None:
    """Whole hours inside, minutes at both ends; a part of a minute is a whole one."""
    assert cell_ranges(start, end) == ranges


def test_the_longest_cells_are_inside() -> None:
    """With cells of five minutes, minutes remain at both ends only, and hours in the middle where there are any."""
    start, end = NOON - 7 * MINUTE, NOON + HOUR + 6 * MINUTE
    assert [(c.seconds, (c.end - c.start) // MINUTE) for c in cell_ranges(start, end, MODEL_LEVELS_S)] == [
        (60, 2), (300, 5), (3600, 60), (300, 5), (60, 1),
    ]  # fmt: skip
    assert cell_ranges(NOON + MINUTE, NOON + 4 * MINUTE, MODEL_LEVELS_S) == [
        (60, NOON + MINUTE, NOON + 4 * MINUTE)
    ]  # fmt: skip
