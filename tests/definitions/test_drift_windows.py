"""Where windows of drift end; `tests/ai/test_drift.py` compares them with a walk through random records."""

from __future__ import annotations

import pytest

from otel_measure.definitions.drift_windows import Cut, HourCount, RecordRange, cut, window_rule
from otel_measure.definitions.parameters import Definitions
from tests.facts import DAY, HOUR, NOON

THURSDAY = NOON - 12 * HOUR  # 1970 began with one: so do stretches of seven days
DEFAULT = Definitions()


@pytest.mark.parametrize(
    ("definitions", "times", "expected"),
    [
        (DEFAULT, [], (1000, 200, DAY, 7 * DAY)),
        (DEFAULT, [1.0, 2.0], (1000, 400, DAY, 7 * DAY)),
        (DEFAULT, [5.5, 1.0], (1100, 1100, DAY, 7 * DAY)),
        (DEFAULT, [60.0], (10_000, 10_000, DAY, 7 * DAY)),
        (DEFAULT, [200.0, 3.0], (10_000, 10_000, DAY, 7 * DAY)),
        (DEFAULT, [201.0, 3.0], (1000, 600, DAY, 7 * DAY)),
        (Definitions(drift_window_records=60), [2.0], (120, 120, DAY, 7 * DAY)),
        (Definitions(drift_window_hours=6), [1.0], (1000, 200, 6 * HOUR, 7 * DAY)),
        (Definitions(drift_window_hours=300), [1.0], (1000, 200, 300 * HOUR, 300 * HOUR)),
    ],
)
def test_a_window_holds_what_200_independent_records_tell(
    definitions: Definitions, times: list[float], expected: tuple[int, int, int, int]
) -> None:
    """It grows to ten times its records for that, and not for a feature on which even these would be no verdict."""
    assert tuple(window_rule(definitions, times)) == expected


@pytest.mark.parametrize(
    ("counts", "skipped", "now", "expected"),
    [
        ([], 0, 9, Cut(None, RecordRange(0, 0))),
        ([(0, 1)], 0, 0, Cut(None, RecordRange(0, 1))),
        ([(0, 199), (1, 1)], 0, 1, Cut(None, RecordRange(0, 200))),
        ([(0, 200), (1, 1)], 0, 0, Cut(None, RecordRange(0, 201))),
        ([(0, 200), (1, 1)], 0, 1, Cut(RecordRange(0, 200), RecordRange(200, 1))),
        ([(0, 1200)], 0, 1, Cut(RecordRange(1000, 200), RecordRange(1200, 0))),
        ([(0, 2300)], 0, 0, Cut(RecordRange(1000, 1000), RecordRange(2000, 300))),
        ([(0, 150), (6, 49)], 150, 7, Cut(None, RecordRange(49, 0))),
        ([(0, 150), (6, 50)], 150, 7, Cut(RecordRange(0, 50), RecordRange(50, 0))),
        ([(0, 150), (6, 50)], 150, 6, Cut(None, RecordRange(0, 50))),
        ([(0, 1500)], 1000, 0, Cut(None, RecordRange(0, 500))),
        ([(0, 300)], 1000, 0, Cut(None, RecordRange(0, 0))),
    ],
)
def test_windows_end_when_they_hold_enough(
    counts: list[tuple[int, int]], skipped: int, now: int, expected: Cut
) -> None:
    """With 1,000 records, with a day that leaves 200, and after seven days; the reference is in none of them."""
    hours = [HourCount(THURSDAY + day * DAY + 5 * HOUR, n) for day, n in counts]
    assert cut(hours, skipped, window_rule(DEFAULT, ()), THURSDAY + now * DAY) == expected
