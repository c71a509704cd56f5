"""From a caller's arguments to an answer to a survey."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from otel_measure.records import checks
from otel_measure.records.caller import caller
from otel_measure.records.kinds import NpsResponse, Origin
from otel_measure.records.limits import MAX_TEXT_CHARS
from otel_measure.users.track import settled_us, user_of

HIGHEST_SCORE: Final = 10


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

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        who = caller()
        ts, clamped = settled_us(timestamp, sent_at, self._now_us())
        return NpsResponse(
            id=self._new_id() if response_id is None else checks.text("response_id", response_id, checks.MAX_ID_CHARS),
            ts=ts,
            origin=self._origin,
            user_id=user_of(user_id, who.user_id),
            score=_score(score),
            survey=checks.text("survey", survey, checks.MAX_ID_CHARS),
            comment=checks.optional_text("comment", comment, MAX_TEXT_CHARS) or "",
            clamped=clamped,
            trace_id=who.trace_id,
            span_id=who.span_id,
        )


def _score(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) <= HIGHEST_SCORE:
        raise ValueError(f"score must be a whole number from 0 to {HIGHEST_SCORE}, not {value!r}")
    return int(value)
