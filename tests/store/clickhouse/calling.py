"""Calls of models for tests, and two stores that have to answer alike: SQLite, and ClickHouse beside its replica."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final, TypeVar

import msgspec
from hypothesis import strategies as st

from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.call_facts import ClickHouseCallFactQuestions
from otel_measure.store.clickhouse.call_times import ClickHouseCallTimeQuestions
from otel_measure.store.clickhouse.calls import ClickHouseCallQuestions
from otel_measure.store.clickhouse.chosen_calls import CallTable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.models import ClickHouseModelQuestions
from otel_measure.store.clickhouse.spending import ClickHouseSpendingQuestions
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.types.facts import Filter
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.storing import DEFINITIONS, writer

_NAMES: Final = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())
_COUNT = st.none() | st.sampled_from((0, 1, 7, 1000, 10**15))
_TIME_MS = st.sampled_from((0.0, 0.05, 0.1, 0.2, 3.3, 100.0, 100.1, 812.5, 119_999.5, 3.6e6, 4e6, 1e12))
_TIME = st.sampled_from((NOON, NOON + 1, NOON + MINUTE, NOON + HOUR - 1, NOON + HOUR, NOON + DAY, NOON - 1))
calls = st.lists(
    st.builds(
        inference,
        id=st.just(""),
        ts=_TIME,
        origin=st.builds(Origin, st.sampled_from(("shop", "api"))),
        model=st.sampled_from(("m", "n")),
        version=st.sampled_from(("1", "2")),
        latency_ms=_TIME_MS,
        untimed=st.sampled_from((False, False, False, True)),
        input_tokens=_COUNT,
        output_tokens=_COUNT,
        cached_input_tokens=_COUNT,
        cache_write_tokens=_COUNT,
        reasoning_tokens=_COUNT,
        cost_usd=st.none() | st.sampled_from((0.0, 1e-9, 0.1, 0.3, 12.345678901, 1e6)),
        cost_source=st.sampled_from((None, "table", "provider")),
        cache_savings_usd=st.none() | st.sampled_from((-0.5, 0.0, 0.1)),
        error_type=st.sampled_from((None, None, "Timeout", "RateLimit")),
        time_to_first_chunk_ms=st.none() | _TIME_MS,
        user_id=st.sampled_from((None, "u", "v")),
        provider=st.sampled_from((None, "openai", "azure.ai.openai")),
        repository=st.sampled_from((None, "github.com/acme/shop")),
        trace_id=st.sampled_from((None, "1" * 32, "2" * 32)),
    ),
    min_size=1,
    max_size=30,
)
"""Calls without ids, of no environment."""


def named(given: Sequence[Inference], environment: str) -> list[Inference]:
    """Return the calls with ids, some of them UUIDs, in an environment."""
    return [
        msgspec.structs.replace(
            call,
            id=f"{Random(f'{environment}{n}').getrandbits(128):032x}" if n % 2 else f"{environment}-{n}",
            origin=Origin(call.origin.service, environment),
        )
        for n, call in enumerate(given)
    ]


def new_environment() -> str:
    """Return a name that no test has used."""
    return next(_NAMES)


class ClickHouseCalls:
    """Every question about calls, of ClickHouse and of what the replica knows beside it."""

    def __init__(self, database: ClickHouseDatabase, where: Filter, replica: SqliteMoment) -> None:
        table = CallTable(DEFINITIONS, where, 0)
        changes = CallPartChanges(database, DEFINITIONS)
        self.models = ClickHouseModelQuestions(database, table, replica.models, changes)
        self.calls = ClickHouseCallQuestions(database, table, replica.calls)
        self.call_times = ClickHouseCallTimeQuestions(database, table.of_all_services(), replica.call_times)
        self.call_facts = ClickHouseCallFactQuestions(database, table, replica.call_facts)
        self.spending = ClickHouseSpendingQuestions(database, table, replica.spending)


_T = TypeVar("_T")
Question = Callable[[ClickHouseCalls | SqliteMoment], _T]


class TwoStores:
    """A database whose calls are in ClickHouse and, told by others, in its replica; and SQLite with all of them."""

    def __init__(self, database: ClickHouseDatabase, environment: str) -> None:
        self.environment = environment
        self._database = database
        self._replica = SqliteStore(":memory:", definitions=DEFINITIONS)
        self._sqlite = SqliteStore(":memory:", definitions=DEFINITIONS)

    def accept(self, recorded: Sequence[Inference], told: Sequence[Inference] = ()) -> None:
        """Take in calls that were recorded, and others that the replica alone knows."""
        writer(self._database).accept(recorded)
        self._replica.accept(told)
        self._sqlite.accept([*recorded, *told])

    def both(self, question: Question[_T], service: str | None = None) -> tuple[_T, _T]:
        """Return what ClickHouse answers, and what SQLite does."""
        where = Filter(service, self.environment)
        with self._replica.asking(where) as replica, self._sqlite.asking(where) as sqlite:
            return question(ClickHouseCalls(self._database, where, replica)), question(sqlite)

    def close(self) -> None:
        """Close what is in memory."""
        self._replica.close()
        self._sqlite.close()


@contextmanager
def two_stores(database: ClickHouseDatabase) -> Iterator[TwoStores]:
    """Yield stores with nothing in them, in an environment of their own."""
    stores = TwoStores(database, new_environment())
    try:
        yield stores
    finally:
        stores.close()
