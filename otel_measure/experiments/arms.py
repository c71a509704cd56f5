"""The arms of a test: who is in them, how many of them converted, and from how many on anything may be concluded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from otel_measure.stats.tests import SampleStatistics

MIN_USERS: Final = 100
MIN_CONVERSIONS: Final = 10
IMAGINED: Final = 3.0**2 / 2.0
"""z²/2 for the z of a confidence sequence, whose half-width is 3 standard errors where it is tightest."""


@dataclass(slots=True)
class Arm:
    """Users of one variant so far, and how many of them converted."""

    users: int = 0
    conversions: int = 0

    @property
    def sample(self) -> SampleStatistics:
        """The arm as a proportion."""
        return SampleStatistics.proportion(self.conversions, self.users)

    @property
    def cautious_sample(self) -> SampleStatistics:
        """The arm with the variance of z²/2 conversions and as many other users more (Agresti and Coull 1998).

        Its own variance is 0 while nobody has converted, as if the rate were known to be 0.
        """
        rate = (self.conversions + IMAGINED) / (self.users + 2.0 * IMAGINED)
        return replace(self.sample, variance=rate * (1.0 - rate))


def have_enough(*arms: Arm) -> bool:
    """Tell whether anything may be concluded from arms that are compared."""
    return all(arm.users >= MIN_USERS for arm in arms) and sum(arm.conversions for arm in arms) >= MIN_CONVERSIONS
