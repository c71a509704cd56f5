"""What A/B tests say while they run, of conversions that come at once or long after the exposure.

python -m tests.stats.simulated_ab_test [tests] prints the table of figures.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_measure.definitions.contributions import AGES_HOURS, LATER
from otel_measure.definitions.windows import HOUR_US
from otel_measure.experiments.analyse import analyse
from otel_measure.stats.ab_test import AbTest
from otel_measure.stats.intervals import wilson_interval
from otel_measure.store.types.experiments import ArmHour, Experiment

A: Final = "control"
B: Final = "variant"
TEST: Final = Experiment("t", "T", (A, B), (0.5, 0.5), 1.0)
LONGEST_LAG: Final = 2000
ENDS: Final = (*AGES_HOURS, LATER)


@dataclass(frozen=True, slots=True)
class Course:
    """How a test runs.

    Attributes:
        control, treatment: rates of conversion, of the treatment by hour of exposure (the last one goes on).
        lag_hours: mean of the exponential time to conversion; 0 is at once.
        hours, users: how long it runs, and how many users an hour each arm gets.
    """

    control: float
    treatment: Sequence[float]
    lag_hours: float
    hours: int = 336
    users: int = 100

    def rate(self, arm: str, hour: int) -> float:
        """Return the rate of those exposed in an hour."""
        return self.control if arm == A else self.treatment[min(hour, len(self.treatment) - 1)]

    def effect_within(self, age: int, until: int) -> float:
        """Return the effect on conversions by the end of so many hours after that of the exposure, over its hours."""
        effects = [self.rate(B, hour) - self.rate(A, hour) for hour in range(max(1, until))]
        return math.fsum(effects) / len(effects) * self.share_within(age)

    def share_within(self, age: int) -> float:
        """Return the share of conversions that have come by then, of exposures at any time of their hour."""
        if not self.lag_hours:
            return 1.0
        m = self.lag_hours
        return 1.0 - m * (math.exp(-age / m) - math.exp(-(age + 1) / m))


class Simulated:
    """One test, as it is seen at any time."""

    def __init__(self, course: Course, generator: np.random.Generator) -> None:
        self._course = course
        self._converted = {arm: self._draw(arm, generator) for arm in (A, B)}

    def _draw(self, arm: str, generator: np.random.Generator) -> NDArray[np.int64]:
        """Return, by hour of exposure and hours after it, how many have converted until then."""
        course = self._course
        rates = [course.rate(arm, hour) for hour in range(course.hours)]
        converting = generator.binomial(course.users, rates)
        hour = np.repeat(np.arange(course.hours), converting)
        lag = generator.random(len(hour)) + generator.exponential(course.lag_hours or 1e-12, len(hour))
        if not course.lag_hours:
            lag[:] = 0.0
        counts = np.zeros((course.hours, LONGEST_LAG + 1), dtype=np.int64)
        np.add.at(counts, (hour, np.minimum(lag.astype(int), LONGEST_LAG)), 1)
        return counts.cumsum(axis=1)

    def seen(self, now_hour: int) -> AbTest:
        """Return what the test says at the end of an hour."""
        cells = [cell for hour in range(min(now_hour + 1, self._course.hours)) for cell in self._cells(hour, now_hour)]
        return analyse(TEST, cells, now=now_hour * HOUR_US)

    def _cells(self, hour: int, now_hour: int) -> Iterator[ArmHour]:
        for arm, converted in self._converted.items():
            before = 0
            for end in ENDS:
                until = int(converted[hour, min(end, now_hour - hour, LONGEST_LAG)])
                users = self._course.users if end == 0 else 0
                if users or until > before:
                    yield ArmHour(hour, arm, users, until - before, end)
                before = until


@dataclass(slots=True)
class LooksOutcome:
    """How often, of all tests of one course, something ever happened at a look, or stood at the end."""

    ever_missed: int = 0
    ever_changed: int = 0
    ever_winner: int = 0
    at_end_winner: int = 0
    at_end_changed: int = 0
    relative_missed: int = 0
    winner_hours: float = 0.0


def simulate(course: Course, tests: int, look_every: int, seed: int) -> LooksOutcome:
    """Look at tests again and again."""
    generator = np.random.default_rng(seed)
    outcome = LooksOutcome()
    first_wins = []
    for _ in range(tests):
        simulated = Simulated(course, generator)
        results = [(t, simulated.seen(t)) for t in range(look_every - 1, course.hours, look_every)]
        outcome.ever_missed += any(misses(course, t, result) for t, result in results)
        outcome.relative_missed += any(misses_relative(course, result) for _, result in results)
        outcome.ever_changed += any(result.verdict == "effect_changed" for _, result in results)
        wins = [t for t, result in results if result.verdict == "winner"]
        outcome.ever_winner += bool(wins)
        first_wins += wins[:1]
        outcome.at_end_winner += results[-1][1].verdict == "winner"
        outcome.at_end_changed += results[-1][1].verdict == "effect_changed"
    outcome.winner_hours = float(np.median(first_wins)) if first_wins else math.nan
    return outcome


def misses(course: Course, now_hour: int, result: AbTest) -> bool:
    """Tell whether the interval is not around the effect within its age."""
    low, high = result.effects[B].absolute_ci
    effect = course.effect_within(result.compared_within_hours, now_hour + 1 - result.compared_within_hours)
    return not math.isnan(low) and not low <= effect <= high


def misses_relative(course: Course, result: AbTest) -> bool:
    """Tell whether the relative interval is not around the effect, of a course whose rates do not change."""
    low, high = result.effects[B].relative_ci
    return not math.isnan(low) and not low <= course.treatment[0] / course.control - 1.0 <= high


def percent(n: int, tests: int) -> str:
    """Write a share with its interval."""
    low, high = wilson_interval(n, tests)
    return f"{n / tests:.1%} ({low:.1%}-{high:.1%})"


COURSES: Final = {
    **{f"A/A 10 %, lag {lag} h": Course(0.10, [0.10], lag) for lag in (0.0, 6.0, 24.0, 72.0)},
    **{f"10 % and 11.5 %, lag {lag} h": Course(0.10, [0.115], lag) for lag in (0.0, 6.0, 24.0, 72.0)},
    **{f"10 % and 13 %, lag {lag} h": Course(0.10, [0.13], lag) for lag in (0.0, 24.0, 72.0)},
    **{f"1 % and 1.3 %, lag {lag} h": Course(0.01, [0.013], lag) for lag in (0.0, 24.0)},
    **{f"0.2 % and 0.2 %, lag {lag} h": Course(0.002, [0.002], lag) for lag in (0.0, 24.0)},
    **{
        f"+4 points for a quarter of {hours} h, then -1, lag {lag} h": Course(
            0.10, [0.14] * (hours // 4) + [0.09], lag, hours, 400
        )
        for hours in (100, 336)
        for lag in (0.0, 6.0)
    },
}


def main() -> None:
    """Print the figures with their 95 % intervals."""
    tests = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name, course in COURSES.items():
        found = simulate(course, tests, look_every=12 if course.hours > 100 else 4, seed=1)
        print(
            f"{name}: ever a winner {percent(found.ever_winner, tests)} (median hour {found.winner_hours:.0f}), at the"
            f" end {found.at_end_winner / tests:.1%}; ever effect_changed {percent(found.ever_changed, tests)}, at the"
            f" end {found.at_end_changed / tests:.1%}; ever missed {percent(found.ever_missed, tests)}, relative"
            f" {found.relative_missed / tests:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
