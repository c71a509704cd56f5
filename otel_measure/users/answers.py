"""From a caller's arguments to an answer to a survey."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.kinds import NpsResponse, Origin
from otel_measure.records.limits import MAX_TEXT_CHARS


class AnswerBuilder:
    """Makes answers of one process.

    Args:
        origin: of every record.
        now_us, new_id: clock and ids.
    """

    def __init__(self, origin: Origin, now_us: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._origin = origin
        self._now_us = now_us
        self._new_id = new_id

    def build(
        self,
        user_id: object,
        score: int,
        comment: str = "",
        *,
        survey: str = "default",
        timestamp: datetime | None = None,
        response_id: str | None = None,
        sent_at: datetime | None = None,
    ) -> NpsResponse:
        """Return the record of an answer; the arguments are those of `record_nps_response`.

        `sent_at` is when the client sent it, by its own clock: a difference of 60 s or more to ours corrects
        `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        caller = current_caller()
        ts, clamped = checks.settled_timestamp("timestamp", timestamp, self._now_us(), sent_at)
        return NpsResponse(
            id=self._new_id() if response_id is None else checks.id_text("response_id", response_id),
            ts=ts,
            origin=self._origin,
            user_id=caller.user(user_id),
            score=checks.nps_score("score", score),
            survey=checks.id_text("survey", survey),
            comment=checks.optional_text("comment", comment, MAX_TEXT_CHARS) or "",
            clamped=clamped,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )
