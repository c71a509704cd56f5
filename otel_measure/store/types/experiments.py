"""Definitions of experiments, and how many users and conversions each hour adds to an arm."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Experiment:
    """The definition of a test, of which only the coverage may be raised, and whether it was stopped.

    Attributes:
        key: names the test everywhere and is the seed of its hash.
        variants: the first is the control.
        weights: the share of each variant.
        coverage: the share of the users that take part.
        created: microseconds.
        stopped: from when on nothing is counted any more, microseconds; `None` while it runs.
        served: the variant that everybody gets of a test that was stopped.
    """

    key: str
    name: str
    variants: tuple[str, ...]
    weights: tuple[float, ...]
    coverage: float
    created: int = field(default=0, compare=False)
    stopped: int | None = field(default=None, compare=False)
    served: str | None = field(default=None, compare=False)

    def raised_to(self, wanted: Experiment) -> Experiment:
        """Return the definition with the coverage of one that differs in nothing else, where that is higher."""
        is_same = replace(self, coverage=wanted.coverage) == wanted
        return replace(self, coverage=wanted.coverage) if is_same and wanted.coverage > self.coverage else self


class PersonInTest(NamedTuple):
    """A person, as a test knows them.

    Attributes:
        unit: the id of the person, the same for every id that was linked to it.
        variant: the one that the person met first; `None` for who has met none.
    """

    unit: str
    variant: str | None


class ArmHour(NamedTuple):
    """What the users first exposed in one hour add to an arm; the arm "" are those who met a second variant in it.

    Attributes:
        hour: of the first exposure, hours since 1970 UTC.
        users: how many they are; told where `within_hours` is 0.
        conversions: those of them whose first conversion, at or after the exposure, came within `within_hours` and not
            within the age before it.
        within_hours: one of `definitions.contributions.AGES_HOURS`, or `LATER`.
    """

    hour: int
    variant: str
    users: int
    conversions: int
    within_hours: int = 0
