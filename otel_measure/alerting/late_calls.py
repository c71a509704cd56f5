"""Learns how late the calls of models and services become known, from what the evaluation sees turn by turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.definitions.alerting.lateness import usual_lateness_us
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.store.types.alerts import LateDay

_LONGEST_BETWEEN_TURNS_US: Final = 3 * MINUTE_US  # what came while nobody looked may have been there for long
_LONGEST_US: Final = 8 * DAY_US  # what is older was imported


class LateCalls:
    """Knows how late each subject of an environment is.

    Args:
        least_us: what comes sooner than this after a call is not late.
    """

    def __init__(self, least_us: int) -> None:
        self._least_us = least_us
        self._by_day: dict[AlertSubject, dict[int, int]] = {}
        self._known_until: dict[AlertSubject, int] = {}
        self._turn_us: int | None = None
        self._noted: list[LateDay] = []

    def read(self, days: Iterable[LateDay]) -> None:
        """Replace what is known by what a store has kept."""
        self._by_day = {}
        for subject, day, late_us in days:
            self._by_day.setdefault(subject, {})[day] = late_us

    def begin(self, now_us: int) -> dict[AlertSubject, int]:
        """Begin a turn; return until when subjects were heard of that were silent at the turn before.

        It is empty where that was too long ago for anybody to say when something came.
        """
        before, self._known_until = self._known_until, {}
        is_next = self._turn_us is not None and 0 <= now_us - self._turn_us <= _LONGEST_BETWEEN_TURNS_US
        self._turn_us = now_us
        return before if is_next else {}

    def is_silent(self, subject: AlertSubject, until_us: int) -> None:
        """Note that a subject is silent now, and until when it was heard of."""
        self._known_until[subject] = until_us

    def came(self, subject: AlertSubject, first_us: int | None, now_us: int) -> None:
        """Note that calls of a subject came which was silent before; the first of them tells how late they are."""
        late_us, day = 0 if first_us is None else now_us - first_us, now_us // DAY_US
        if self._least_us < late_us <= _LONGEST_US and late_us > self._by_day.get(subject, {}).get(day, 0):
            self._by_day.setdefault(subject, {})[day] = late_us
            self._noted.append(LateDay(subject, day, late_us))

    def usual_us(self, subject: AlertSubject, first_us: int | None, now_us: int) -> int:
        """Return how late calls of a subject may become known, which was first called at a time."""
        return usual_lateness_us(self._by_day.get(subject, {}), first_us, now_us)

    def take_noted(self) -> list[LateDay]:
        """Return what is to be kept, once."""
        noted, self._noted = self._noted, []
        return noted
