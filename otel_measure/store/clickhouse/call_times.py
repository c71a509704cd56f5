"""When models were called by which services: from the calls, and from what others told of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.clickhouse.chosen_calls import US, CallTable, ChosenCalls, cell_start
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.model_questions import CallTimeQuestions
from otel_measure.store.types.models import ServiceModel

_EVER: Final = 2**62
_K = TypeVar("_K")


class ClickHouseCallTimeQuestions:
    """Satisfies `otel_measure.store.model_questions.CallTimeQuestions`.

    Args:
        database: of the store.
        calls: of an environment, of all its services.
        told: the same questions of calls that others told of.
    """

    def __init__(self, database: ClickHouseDatabase, calls: CallTable, told: CallTimeQuestions) -> None:
        self._database = database
        self._calls = calls
        self._told = told

    def active(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return when the last hour of [start, end) begins that had calls, of whatever had any."""
        last = dict(self._told.active(start, end))
        for called, at in self._by_called(f"max({cell_start(HOUR_US)})", HOUR_US, start, end).items():
            last[called] = max(at, last.get(called, at))
        return last

    def totals(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return how many calls the hours of [start, end) held, of whatever had any."""
        return _added(self._told.totals(start, end), self._by_called("count()", HOUR_US, start, end))

    def called_since(self, start: int) -> set[ServiceModel]:
        """Return what had calls in a minute that begins then or later."""
        return self._told.called_since(start) | self._by_called("count()", MINUTE_US, start, _EVER).keys()

    def last_minute(self, called: ServiceModel, since: int) -> int | None:
        """Return when the last minute begins, from `since` on, that had calls; `None` where none had."""
        calls = self._of(called, MINUTE_US, since, _EVER)
        ((n, last),) = self._database.rows(f"SELECT count(), max({US}) {calls.source}", **calls.parameters)
        told = self._told.last_minute(called, since)
        known = [at for at in (last - last % MINUTE_US if n else None, told) if at is not None]
        return max(known, default=None)

    def by_hour(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each hour that had any."""
        return _added(self._told.by_hour(called, start, end), self._counts(called, HOUR_US, start, end))

    def by_minute(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each minute that had any."""
        return _added(self._told.by_minute(called, start, end), self._counts(called, MINUTE_US, start, end))

    def _by_called(self, column: str, length_us: int, start: int, end: int) -> dict[ServiceModel, int]:
        calls = self._beginning(length_us, start, end)
        rows = self._database.rows(
            f"SELECT service, model, {column} {calls.source} GROUP BY service, model", **calls.parameters
        )
        return {ServiceModel(service, model): n for service, model, n in rows}

    def _counts(self, called: ServiceModel, length_us: int, start: int, end: int) -> dict[int, int]:
        calls = self._of(called, length_us, start, end)
        rows = self._database.rows(
            f"SELECT {cell_start(length_us)}, count() {calls.source} GROUP BY 1", **calls.parameters
        )
        return {int(at): int(n) for at, n in rows}

    def _of(self, called: ServiceModel, length_us: int, start: int, end: int) -> ChosenCalls:
        calls = self._beginning(length_us, start, end).that("service = {service:String} AND model = {model:String}")
        return calls.with_parameters(service=called.service, model=called.model)

    def _beginning(self, length_us: int, start: int, end: int) -> ChosenCalls:
        """Return the calls of the cells that begin in [start, end)."""
        return self._calls.chosen(start + -start % length_us, end + -end % length_us)


def _added(one: Mapping[_K, int], other: Mapping[_K, int]) -> dict[_K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
