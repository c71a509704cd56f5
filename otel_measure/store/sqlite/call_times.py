"""When models were called by which services: read from the cells, without what else those hold."""

from __future__ import annotations

import sqlite3
from typing import Final

from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.sqlite.models import CELLS
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ServiceModel

# By the index of the model: of most stores few models are asked about.
_OF_ONE: Final = (
    " FROM model m JOIN {cells} c INDEXED BY {cells}_of_model ON c.model = m.id JOIN origin o ON o.id = c.origin"
    " WHERE m.name = :model AND c.seconds = :seconds AND c.start >= :start AND c.start < :end AND c.requests > 0"
    " AND o.service = :service AND o.environment = :environment"
)
_EVER: Final = 2**62


class SqliteCallTimeQuestions:
    """Satisfies `otel_measure.store.model_questions.CallTimeQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._environment = where.environment or UNNAMED

    def active(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return when the last hour of [start, end) begins that had calls, of whatever had any."""
        return self._last_of(3600, start, end)

    def totals(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return how many calls the hours of [start, end) held, of whatever had any."""
        totals: dict[ServiceModel, int] = {}
        for cells in CELLS:
            rows = self._connection.execute(
                f"SELECT o.service, m.name, c.calls FROM (SELECT model, origin, sum(requests) AS calls FROM {cells}"
                " WHERE seconds = ? AND start >= ? AND start < ? AND requests > 0 GROUP BY model, origin) c"
                " JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin WHERE o.environment = ?",
                (HOUR_US // 1_000_000, start, end, self._environment),
            )
            for service, model, calls in rows:
                called = ServiceModel(service, model)
                totals[called] = totals.get(called, 0) + calls
        return totals

    def called_since(self, start: int) -> set[ServiceModel]:
        """Return what had calls in a minute that begins then or later."""
        return set(self._last_of(60, start, _EVER))

    def _last_of(self, seconds: int, start: int, end: int) -> dict[ServiceModel, int]:
        last: dict[ServiceModel, int] = {}
        for cells in CELLS:
            rows = self._connection.execute(
                f"SELECT o.service, m.name, c.last FROM (SELECT model, origin, max(start) AS last FROM {cells}"
                " WHERE seconds = ? AND start >= ? AND start < ? AND requests > 0 GROUP BY model, origin) c"
                " JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin WHERE o.environment = ?",
                (seconds, start, end, self._environment),
            )
            for service, model, at in rows:
                called = ServiceModel(service, model)
                last[called] = max(at, last.get(called, at))
        return last

    def last_minute(self, called: ServiceModel, since: int) -> int | None:
        """Return when the last minute begins, from `since` on, that had calls; `None` where none had."""
        return max(self._counts(called, MINUTE_US, since, _EVER), default=None)

    def by_hour(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each hour that had any."""
        return self._counts(called, HOUR_US, start, end)

    def by_minute(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each minute that had any."""
        return self._counts(called, MINUTE_US, start, end)

    def _counts(self, called: ServiceModel, length_us: int, start: int, end: int) -> dict[int, int]:
        counts: dict[int, int] = {}
        for cells in CELLS:
            rows = self._connection.execute(
                f"SELECT c.start, sum(c.requests) {_OF_ONE.format(cells=cells)} GROUP BY c.start",
                self._given(called, length_us, start, end),
            )
            for at, calls in rows:
                counts[at] = counts.get(at, 0) + calls
        return counts

    def _given(self, called: ServiceModel, length_us: int, start: int, end: int) -> dict[str, str | int]:
        return {
            "service": called.service,
            "model": called.model,
            "environment": self._environment,
            "seconds": length_us // 1_000_000,
            "start": start,
            "end": end,
        }
