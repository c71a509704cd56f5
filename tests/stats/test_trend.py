"""The trend of readings."""

from __future__ import annotations

import pytest

from otel_measure.stats.trend import Trend, theil_sen


def test_points_of_a_line_are_on_it() -> None:
    """Level and slope come back, whatever the order and however often a place is named."""
    points = [(x, 3.0 - 0.5 * x) for x in (4.0, -2.0, 0.0, 4.0, 10.0)]
    assert theil_sen(points) == Trend(3.0, -0.5)
    assert theil_sen(points).at(2.0) == pytest.approx(2.0)


def test_a_quarter_of_the_points_may_be_anywhere() -> None:
    """Readings that are far off do not take the line with them."""
    points = [(float(x), 80.0 + x) for x in range(12)]
    for wrong in (1, 6, 11):
        points[wrong] = (float(wrong), 0.0)
    trend = theil_sen(points)
    assert trend.slope == pytest.approx(1.0)
    assert trend.level == pytest.approx(80.0)
