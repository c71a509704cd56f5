"""How often a healthy day is said to have dropped, and how often one that lost half of its users is found.

python -m tests.stats.simulated_drops [histories] prints the table of figures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_measure.stats.drops import BASELINE_WEEKS, WEEK, weekday_drop

Days = npt.NDArray[Any]
SEASON: Final = np.array([1.2, 1.25, 1.2, 1.15, 1.0, 0.6, 0.6])
TINY_WEEKENDS: Final = np.array([1.2, 1.25, 1.2, 1.15, 1.0, 0.002, 0.002])


def histories(users: int, spread: float, days: int, number: int, seed: int, season: Days = SEASON) -> Days:
    """Active users per day: a weekly season, each day off by its own factor, each person there or not.

    The last day is a Monday where the number of days is a multiple of seven and one more.
    """
    generator = np.random.default_rng(seed)
    factors = np.exp(generator.normal(0.0, spread, size=(number, days)))
    return generator.poisson(np.resize(season, days) * users * factors)


def without_collecting(days: Days, ago: int) -> Days:
    """The same histories, with nothing collected on one day."""
    days = days.copy()
    days[:, -1 - ago] = 0
    return days


def halved(days: Days) -> Days:
    """The same histories, with half of the users gone on the last day."""
    days = days.copy()
    days[:, -1] //= 2
    return days


def alerts(days: Days) -> float:
    """The share of these histories whose last day is said to have dropped by over 20 %."""
    # What it is compared with is no more than the largest of the same weekdays: of the others no question is needed.
    weekdays = days[:, -1 - WEEK :: -WEEK][:, :BASELINE_WEEKS]
    may_have = days[days[:, -1] < 0.8 * weekdays.max(axis=1)]
    drops = [weekday_drop(row) for row in may_have.tolist()]
    return sum(drop.share > 0.2 and drop.p_value < 0.001 for drop in drops) / len(days)


def healthy(number: int) -> Iterator[tuple[str, float]]:
    """Yield false alarms by users, spread, length of the history, and what is odd about it."""
    for users, spread, days in product((100, 300, 1_000, 10_000), (0.0, 0.02, 0.05, 0.1, 0.15), (15, 22, 29, 43)):
        name = f"{users} users, spread {spread:.0%}, {days - 1} days of history"
        yield name, alerts(histories(users, spread, days, number, seed=users + days))
    for users, spread, ago in product((100, 1_000), (0.0, 0.05, 0.15), (1, 6, 7, 8, 14, 21, 28, 35)):
        gap = without_collecting(histories(users, spread, 43, number, seed=ago), ago)
        yield f"{users} users, spread {spread:.0%}, nothing collected {ago} days ago", alerts(gap)
    for users, spread in product((1_000, 10_000), (0.0, 0.05, 0.15)):
        tiny = histories(users, spread, 43, number, seed=9, season=TINY_WEEKENDS)
        yield f"{users} users, spread {spread:.0%}, hardly any on weekends", alerts(tiny)


def hurt(number: int) -> Iterator[tuple[str, float]]:
    """Yield how often half of the users gone is found on the first day, with six weeks of history and 1,000 users."""
    for spread in (0.05, 0.10, 0.15):
        days = halved(histories(1_000, spread, 43, number, seed=3))
        yield f"halved, spread {spread:.0%}", alerts(days)
        for ago in (1, 7, 8, 14, 28, 35):
            name = f"halved, spread {spread:.0%}, nothing collected {ago} days ago"
            yield name, alerts(without_collecting(days, ago))
        tiny = halved(histories(1_000, spread, 43, number, seed=3, season=TINY_WEEKENDS))
        yield f"halved, spread {spread:.0%}, hardly any on weekends", alerts(tiny)


def main() -> None:
    """Print the figures: the worst false alarms, and the finds."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    worst = sorted(healthy(number), key=lambda one: -one[1])
    for name, share in worst[:10]:
        print(f"{share:.3%} false alarms: {name}", flush=True)
    for name, share in hurt(max(200, number // 10)):
        print(f"{share:.1%} found: {name}", flush=True)


if __name__ == "__main__":
    main()
