"""How late calls usually become known."""

from __future__ import annotations

import pytest

from otel_measure.definitions.alerting.lateness import usual_lateness_us
from tests.facts import DAY, HOUR, NOON

TODAY = NOON // DAY


@pytest.mark.parametrize(
    ("late_by_day", "first_us", "usual"),
    [
        pytest.param({}, None, 0, id="who tells at once"),
        pytest.param({0: 8, 1: 8}, None, 0, id="two outages are no habit"),
        pytest.param({0: 8, 1: 16, 3: 24}, None, 9, id="the third longest, and an eighth"),
        pytest.param({0: 8, 1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 24}, None, 9, id="one outage among batches"),
        pytest.param({0: 8, 1: 8, 8: 8}, None, 0, id="only the last week"),
        pytest.param({0: 8}, NOON - HOUR, 9, id="on its first day once is enough"),
        pytest.param({1: 8}, NOON - DAY, 9, id="and on the second"),
        pytest.param({0: 8}, NOON - 2 * DAY, 0, id="on the third it takes two"),
        pytest.param({-1: 8, -2: 8, -3: 8}, None, 0, id="what a clock that was ahead said"),
    ],
)
def test_what_is_usual(late_by_day: dict[int, int], first_us: int | None, usual: int) -> None:
    """So late as on three days of the last week (given as days ago), of a younger one fewer, and an eighth later."""
    days = {TODAY - ago: late * HOUR for ago, late in late_by_day.items()}
    assert usual_lateness_us(days, first_us, NOON) == usual * HOUR
