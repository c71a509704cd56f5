"""The trend of readings over time, of which single ones may be far off."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple


class Trend(NamedTuple):
    """A line: `level` is where it stands at 0, `slope` how much it rises in 1."""

    level: float
    slope: float

    def at(self, x: float) -> float:
        """Return where the line stands."""
        return self.level + self.slope * x


def theil_sen(points: Sequence[tuple[float, float]]) -> Trend:
    """Return the line whose slope is the median of those between all pairs of points (Theil 1950, Sen 1968).

    Of the points, 29 % may be anywhere without taking it with them. It takes the square of their number.

    Args:
        points: of two different x at least.
    """
    slope = median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    return Trend(median(y - slope * x for x, y in points), slope)
