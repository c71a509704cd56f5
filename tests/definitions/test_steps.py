"""Steps of a series cover its window, each begins where people expect it, and cells fit into them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.days import day_finder, micros
from otel_measure.definitions.steps import LADDER, MAX_POINTS, SeriesWindow, Steps, series_span, step_for, steps
from otel_measure.definitions.windows import LEVELS_S, MODEL_LEVELS_S, CellRange, TimeSpan
from tests.facts import HOUR, MINUTE

NOW = micros(datetime(2026, 3, 29, 12, 30, 20, tzinfo=UTC))
PARIS = "Europe/Paris"


def asked(window: str, step: str | None = None, zone: str = "UTC", now: int = NOW) -> Steps:
    """Return the steps of a window that ends now."""
    span = series_span(SeriesWindow(window), now, zone, "24h")
    return steps(span, now, step or step_for(span))


def starts(of: Steps) -> list[str]:
    """Return when steps begin, for people."""
    return [start.strftime("%d %H:%M") for start in of.starts]


@pytest.mark.parametrize(
    ("window", "seconds"),
    [("1h", 60), ("4h", 60), ("24h", 300), ("2d", 900), ("7d", 3600), ("30d", 21_600), ("90d", 86_400), ("6w", 21_600),
     ("365d", 604_800), ("3650d", 604_800)],
)  # fmt: skip
def test_without_a_step_there_are_at_most_300(window: str, seconds: int) -> None:
    """The shortest step of the ladder of which there are not more; a cut one at either end may be beside them."""
    chosen = asked(window)
    assert chosen.seconds == seconds
    assert len(chosen.starts) <= 301 or seconds == 604_800


def test_steps_begin_with_the_clock() -> None:
    """Five minutes begin on the clock; the last is running, and the first is cut where the window begins within it."""
    whole, cut = asked("15m", "5m"), asked("15m", "5m", now=NOW + 2 * MINUTE)
    assert (starts(whole), whole.partial) == (["29 12:15", "29 12:20", "29 12:25", "29 12:30"], (3,))
    assert (starts(cut), cut.partial) == (["29 12:17", "29 12:20", "29 12:25", "29 12:30"], (0, 3))


def test_days_are_local() -> None:
    """On the day on which clocks are set ahead a step is 23 hours long, and its quarters are 6, 6, 6 and 5."""
    days = asked("3d", "1d", PARIS)
    assert starts(days) == ["26 12:30", "26 23:00", "27 23:00", "28 23:00"]
    later = asked("2d", "6h", PARIS, NOW + 24 * HOUR)
    assert starts(later)[2:] == ["28 23:00", "29 05:00", "29 11:00", "29 17:00", "29 22:00", "30 04:00", "30 10:00"]


def test_weeks_begin_on_monday() -> None:
    """22 March 2026 is a Sunday."""
    assert starts(asked("2w", "1w")) == ["15 12:30", "16 00:00", "23 00:00"]


def test_whole_steps_are_not_partial() -> None:
    """A window that ends on an hour of the past has whole hours only."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    span = series_span(SeriesWindow(None, day, day.replace(hour=3)), NOW, "UTC", "24h")
    assert steps(span, NOW, "1h") == Steps(tuple(micros(day) + k * HOUR for k in range(4)), 3600, ())


def test_cells_fit_into_steps() -> None:
    """Hours where a step has whole ones; where a local day begins at half past, minutes around it."""
    cut = NOW + 1 - 24 * HOUR
    first = cut - cut % MINUTE
    end = NOW - NOW % MINUTE + MINUTE
    assert asked("24h").cells(LEVELS_S) == [CellRange(60, first, end)]
    in_fives = [(300, first, end - MINUTE), (60, end - MINUTE, end)]
    assert asked("24h").cells(MODEL_LEVELS_S) == in_fives
    kolkata = asked("2d", "1d", "Asia/Kolkata")
    midnight = micros(datetime(2026, 3, 27, 18, 30, tzinfo=UTC))
    assert kolkata.edges[1:3] == (midnight, midnight + 24 * HOUR)
    assert [(c.seconds, (c.end - c.start) // MINUTE) for c in kolkata.cells(LEVELS_S)] == [
        (60, 30), (3600, 5 * 60), (60, 60), (3600, 23 * 60), (60, 60), (3600, 17 * 60), (60, 31),
    ]  # fmt: skip


@given(
    start=st.integers(0, 4 * 10**15),
    length=st.integers(1, 400 * 24 * HOUR),
    step=st.sampled_from([None, *LADDER]),
    zone=st.sampled_from(["UTC", PARIS, "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_steps_cover_the_window(start: int, length: int, step: str | None, zone: str) -> None:
    """They follow each other without a hole, cells cover each exactly, and no local day is cut by days or weeks."""
    span = TimeSpan(start, start + length, 0, False, zone)
    try:
        made = steps(span, start + length, step or step_for(span))
    except ValueError:
        assert step is not None
        assert length > MAX_POINTS * LADDER[step] * 1_000_000
        return
    assert (made.edges[0], made.edges[-1]) == (start - start % MINUTE, start + length + -(start + length) % MINUTE)
    assert all(a < b for a, b in pairwise(made.edges))
    covered = [(cells.start, cells.end) for cells in made.cells(MODEL_LEVELS_S)]
    assert covered[0][0] == made.edges[0]
    assert covered[-1][1] == made.edges[-1]
    assert all(a[1] == b[0] for a, b in pairwise(covered))
    for cells in made.cells(MODEL_LEVELS_S):
        inside = {made.step_of(at) for at in (cells.start, cells.start + cells.seconds * 1_000_000 - 1)}
        assert len(inside) == 1
    if made.seconds >= LADDER["1d"]:
        day_of = day_finder(ZoneInfo(zone))
        assert all(day_of(edge - 1) < day_of(edge) for edge in made.edges[1:-1])


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (SeriesWindow("24h", datetime(2026, 3, 1, tzinfo=UTC)), "exclude each other"),
        (SeriesWindow(end=datetime(2026, 3, 1, tzinfo=UTC)), "end needs a start"),
        (SeriesWindow(start=datetime(2026, 3, 1)), "start must say its zone"),
        (SeriesWindow(start=datetime(2026, 4, 1, tzinfo=UTC)), "start must lie before end, and before now"),
        (SeriesWindow("1y"), "window must be a number and a unit"),
    ],
)
def test_what_is_no_window_is_refused(window: SeriesWindow, message: str) -> None:
    """The message says which argument breaks which rule."""
    with pytest.raises(ValueError, match=message):
        series_span(window, NOW, "UTC", "24h")


def test_what_is_no_step_is_refused() -> None:
    """The message lists the steps, or says that there would be too many points."""
    with pytest.raises(ValueError, match="step must be one of 1m, 5m, 15m, 1h, 6h, 1d, 1w, not '2m'"):
        asked("24h", "2m")
    with pytest.raises(ValueError, match="over 1,500 points"):
        asked("30d", "1m")


def test_nothing_lies_in_the_future() -> None:
    """An end ahead of the clock, as of a browser that is a minute ahead, is now."""
    start = datetime(2026, 3, 29, 12, tzinfo=UTC)
    span = series_span(SeriesWindow(None, start, datetime(2027, 1, 1, tzinfo=UTC)), NOW, "UTC", "24h")
    assert (span.start, span.end, span.is_today) == (micros(start), NOW + 1, True)
