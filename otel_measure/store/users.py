"""What a store answers about users, and what it does to them: link, erase."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

from otel_measure.store.base import EVERYTHING, Filter

Link: TypeAlias = Literal["linked", "known", "refused"]


class Days(NamedTuple):
    """Local days, both ends included, as days since 1970-01-01."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def before(self) -> Days:
        """Return as many days, just before these."""
        return Days(self.first - self.length, self.first - 1)


class SessionTotals(NamedTuple):
    """What the sessions that start on some days add up to.

    Attributes:
        viewed: sessions that are over and have a view.
        bounced: those of them that are not engaged.
    """

    sessions: int
    duration_us: int
    events: int
    viewed: int
    bounced: int


class ConversionTotals(NamedTuple):
    """Who converted in a window.

    Attributes:
        entered: persons active in it.
        converted: those with a conversion at or after their first activity in it.
        conversions: all of those.
        wait_us: from first activity to first conversion, summed over the converted.
        value: of the conversions; `None` when none has one, or they are in several currencies.
    """

    entered: int
    converted: int
    conversions: int
    wait_us: int
    value: float | None


class Cohort(NamedTuple):
    """Persons first seen on one day, and how many of them were active so many days later."""

    day: int
    size: int
    returned: dict[int, int]


class Totals(NamedTuple):
    """What the whole store holds."""

    users: int
    events: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """The receipt of an erasure: what was removed for good, and what was made anonymous.

    Attributes:
        user_id: as it was asked for.
        erased_at: a later replay of anything from before is dropped.
        ids: distinct ids of the person, each erased.
        events, nps_responses, exposures: facts that were removed.
        inferences: facts that stay, without user and session.
    """

    user_id: str
    erased_at: datetime
    ids: int
    events: int
    nps_responses: int
    exposures: int
    inferences: int


class UserQuestions(Protocol):
    """What reports about users ask; counts are of persons, exact, and as of the moment of the question."""

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to."""

    def conversions(self, days: Days, event: str) -> ConversionTotals:
        """Return who converted; `event` is the type or the name of what counts."""

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""

    def totals(self) -> Totals:
        """Return what the whole store holds."""


class Users(Protocol):
    """The users of a store."""

    def asking(self, where: Filter = EVERYTHING) -> AbstractContextManager[UserQuestions]:
        """Yield what answers questions, all of one moment; narrowed, it reads the facts first and is slower."""

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is another person's."""

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped."""
