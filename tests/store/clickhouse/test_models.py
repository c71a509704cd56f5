"""What models did, from calls in ClickHouse: equal to what the definition adds up, and to what SQLite says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.model_use import ModelUse, use_by_minute
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.models import ClickHouseModelQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelKey
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, on_a_server, writer

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())
_COUNT = st.none() | st.sampled_from((0, 1, 7, 1000, 10**15))
_TIME_MS = st.sampled_from((0.0, 0.05, 0.1, 0.2, 3.3, 100.0, 100.1, 812.5, 119_999.5, 3.6e6, 4e6, 1e12))
calls = st.lists(
    st.builds(
        inference,
        id=st.just(""),
        ts=st.sampled_from((NOON, NOON + 1, NOON + MINUTE, NOON + HOUR - 1, NOON + HOUR, NOON + DAY, NOON - 1)),
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
        error_type=st.sampled_from((None, None, "Timeout")),
        time_to_first_chunk_ms=st.none() | _TIME_MS,
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all examples, each of which has an environment of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


def by_definition(given: Sequence[Inference], start: int, end: int) -> list[ModelUse]:
    """Return what the definition adds up of the calls of a window."""
    uses: dict[ModelKey, ModelUse] = {}
    for key, use in use_by_minute(call for call in given if start <= call.ts < end).items():
        uses.setdefault((key.model, key.version), ModelUse(key.model, key.version)).add(use)
    return [_comparable(uses[key]) for key in sorted(uses)]


def _comparable(use: ModelUse) -> ModelUse:
    """Return a use with no histogram in the place of an empty one: it has no time either."""
    if use.latency is not None and not use.latency.count:
        use.latency = None
    return use


@on_a_server(2 * HISTORIES)
@given(given=calls, data=st.data())
def test_what_models_did(database: ClickHouseDatabase, given: list[Inference], data: st.DataObject) -> None:
    """Counts, tokens, money and histograms of any window of whole hours are those of the definition and of SQLite."""
    name = next(NAMES)
    given = [
        msgspec.structs.replace(call, id=f"{name}-{n}", origin=Origin("shop", name)) for n, call in enumerate(given)
    ]
    start = data.draw(st.sampled_from((NOON - HOUR, NOON, NOON + HOUR)))
    end = start + data.draw(st.sampled_from((HOUR, 2 * DAY)))
    only = data.draw(st.sampled_from((None, None, ("m", "1"))))
    cut = data.draw(st.integers(0, len(given)))
    mine = writer(database)
    for batch in (given[:cut], given[cut:], given[: cut // 2]):
        mine.accept(batch)
    answered = ClickHouseModelQuestions(database, name).model_use(start, end, only)
    expected = [use for use in by_definition(given, start, end) if only in (None, (use.model, use.version))]
    assert answered == expected
    sqlite = SqliteStore(":memory:", definitions=DEFINITIONS)
    sqlite.accept(given)
    with sqlite.asking(Filter(None, name)) as moment:
        assert list(map(_comparable, moment.models.model_use(start, end, only))) == answered
    sqlite.close()


def test_a_window_of_two_models(database: ClickHouseDatabase) -> None:
    """Of calls that fail, that nobody timed, that read from a cache and that cost something, all is added up."""
    name = next(NAMES)
    told: list[dict[str, Any]] = [
        {"latency_ms": 0.2, "cost_usd": 0.1, "cost_source": "table", "input_tokens": 5, "output_tokens": 2},
        {"latency_ms": 120_000.0, "cost_usd": 0.2, "error_type": "Timeout", "time_to_first_chunk_ms": 3.5},
        {"latency_ms": 0.0, "untimed": True, "input_tokens": 3, "cached_input_tokens": 4},
        {"model": "n", "latency_ms": 3.3, "cached_input_tokens": 0, "cache_savings_usd": 0.5},
    ]
    given = [inference(f"{name}-{n}", origin=Origin("shop", name), **fields) for n, fields in enumerate(told)]
    writer(database).accept(given)
    questions = ClickHouseModelQuestions(database, name)
    assert questions.model_use(NOON, NOON + HOUR) == by_definition(given, NOON, NOON + HOUR)
    assert questions.model_use(NOON + HOUR, NOON + DAY) == []
