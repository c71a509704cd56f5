"""Calls by the minute over weeks, as judges of silence get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from otel_measure.definitions.alerting.absence import AbsenceHistory
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.definitions.alerting.past_calls import PastCalls, Span
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from tests.definitions.alerting.judging import CHURN

UTC: Final = ZoneInfo("UTC")


class CallTimeline:
    """Calls of one subject, how many of each minute from a whole hour on.

    Attributes:
        minutes: of which nothing is known at a time that comes later.
    """

    def __init__(self, start_us: int, minutes: Sequence[int]) -> None:
        self._start_us = start_us
        self.minutes = minutes
        self._hours = [sum(minutes[k : k + 60]) for k in range(0, len(minutes), 60)]
        self._last = [0, *accumulate((k if calls else 0 for k, calls in enumerate(minutes, 1)), max)]

    def minutes_of(self, hour_us: int) -> Mapping[int, int]:
        """Return the calls of each minute of an hour that had any."""
        first = (hour_us - self._start_us) // MINUTE_US
        hour = enumerate(self.minutes[max(first, 0) : max(first + 60, 0)], max(first, 0))
        return {self._start_us + k * MINUTE_US: calls for k, calls in hour if calls}

    def known_at(self, now_us: int) -> PastCalls:
        """Return what is known by the hour at a time."""
        whole, rest = divmod((now_us - self._start_us) // MINUTE_US, 60)
        running = sum(self.minutes[whole * 60 : whole * 60 + rest])
        return PastCalls(self._start_us, [*self._hours[:whole], running])

    def last_us(self, now_us: int) -> int:
        """Return when the last minute ended that held a call."""
        known = min((now_us - self._start_us) // MINUTE_US, len(self.minutes))
        return self._start_us + self._last[known] * MINUTE_US

    def history(
        self,
        now_us: int,
        *,
        subject: AlertSubject = CHURN,
        watched: Sequence[Span] | None = None,
        zone: ZoneInfo = UTC,
        sender: str = "shop",
    ) -> AbsenceHistory:
        """Return what is known of the subject at a time; it was always watched unless something else is given."""
        always = ((self._start_us - HOUR_US, now_us),)
        spans = always if watched is None else watched
        return AbsenceHistory(
            subject, self.known_at(now_us), self.minutes_of, self.last_us(now_us), spans, zone, sender
        )
