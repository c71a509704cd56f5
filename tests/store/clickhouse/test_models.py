"""What models did, from calls in ClickHouse and from what others told: equal to what SQLite says of the same calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.conventions.model_names import PROVIDER_BY_MODEL_PREFIX
from otel_measure.definitions.steps import SeriesWindow, Steps, series_span, steps
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.types.models import ALL_MODELS, GroupBy, ModelChoice, ServiceModel
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.calling import Question, calls, named, two_stores
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, on_a_server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all examples, each of which has an environment of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


def series(start: int, end: int, step: str) -> Steps:
    """Return the steps of a window."""
    window = SeriesWindow(None, *(datetime.fromtimestamp(at / 1e6, UTC) for at in (start, end)))
    return steps(series_span(window, NOON + 3 * DAY, "Asia/Kolkata", "24h"), NOON + 3 * DAY, step)


def questions(start: int, end: int, only: ModelChoice, by: GroupBy, made: Steps) -> dict[str, Question[Any]]:
    """Return every question about calls, by name."""
    called, half = ServiceModel("shop", "m"), start + HOUR // 2
    one = ("m", "1") if only.version else None
    return {
        "use": lambda m: m.models.model_use(start, end, one),
        "use within a minute": lambda m: m.models.model_use(start + 1, end + 1),
        "in steps": lambda m: m.models.use_by_step(made, by, only),
        "of some groups": lambda m: m.models.use_by_step(made, "version", only, {("m", "1"), ("n", "2")}),
        "all in steps": lambda m: m.models.use_by_step(made),
        "requests": lambda m: m.models.requests_by_step(made, by, only),
        "sums": lambda m: m.calls.call_sums(start, end),
        "counts": lambda m: m.calls.call_counts(start, half, end, {"m", "other"}),
        "slow": lambda m: m.calls.timed_counts(start, half, end, {"m": 100.0, "n": 3.0}),
        "types of errors": lambda m: m.calls.error_types("m", start, end, 100),
        "active": lambda m: m.call_times.active(start, end),
        "totals": lambda m: m.call_times.totals(start + 1, end),
        "since": lambda m: m.call_times.called_since(start),
        "last minute": lambda m: m.call_times.last_minute(called, start),
        "by hour": lambda m: m.call_times.by_hour(called, start, end),
        "by minute": lambda m: m.call_times.by_minute(called, start, end),
        "slowest": lambda m: m.call_facts.largest("latency", start, end, only, 3),
        "dearest": lambda m: m.call_facts.largest("cost", start, end, only, 30),
        "failed": lambda m: m.call_facts.failed(start, end, only, 10),
        "moments": lambda m: repr(m.call_facts.moments(start, end, only)),
        "failed by step": lambda m: m.call_facts.failed_by_step(made, only),
        "spent": lambda m: m.spending.spent(start, end, ("user", "model")),
        "spent on repositories": lambda m: m.spending.spent(start, end, ("repository", "version")),
    }


@on_a_server(HISTORIES)
@given(given=calls, data=st.data())
def test_every_question_is_answered_as_by_sqlite(
    database: ClickHouseDatabase, given: list[Inference], data: st.DataObject
) -> None:
    """Of any calls, recorded in any batches and some twice, or told by others: each answer is that of SQLite."""
    start = data.draw(st.sampled_from((NOON - HOUR, NOON, NOON + HOUR)))
    end = start + data.draw(st.sampled_from((HOUR, 2 * DAY)))
    only = data.draw(st.sampled_from((ALL_MODELS, ALL_MODELS, ModelChoice("m"), ModelChoice("m", "1"))))
    by: GroupBy = data.draw(st.sampled_from(("model", "version", "provider", "service")))
    made = series(start, end - MINUTE + 1, data.draw(st.sampled_from(("15m", "1h", "6h"))))
    if data.draw(st.booleans()):
        made = made.only(frozenset({0, len(made.edges) - 2}))
    service = data.draw(st.sampled_from((None, None, "shop")))
    cut, told_from = sorted(data.draw(st.tuples(*[st.integers(0, len(given))] * 2)))
    with two_stores(database) as stores:
        given = named(given, stores.environment)
        stores.accept(given[:cut])
        stores.accept([*given[cut:told_from], *given[: cut // 2]], given[told_from:])
        for name, question in questions(start, end, only, by, made).items():
            ours, sqlites = stores.both(question, service)
            assert ours == sqlites, name


def test_a_provider_that_nobody_told_is_that_of_the_name(database: ClickHouseDatabase) -> None:
    """By the same prefixes as in SQLite, of names in any case, and no longer word."""
    names = (prefix + rest for prefix, _ in PROVIDER_BY_MODEL_PREFIX for rest in ("", "x", "-x", "9"))
    with two_stores(database) as stores:
        given = [inference("", model=name) for name in (*names, "GPT-4o", "my-gpt-4o", "us_meta.llama")]
        stores.accept(named(given, stores.environment))
        made = series(NOON - HOUR, NOON + HOUR, "1h")
        ours, sqlites = stores.both(lambda m: m.models.requests_by_step(made, "provider", ALL_MODELS))
        assert ours == sqlites
        assert len(sqlites[1]) > 9


def test_calls_of_two_models(database: ClickHouseDatabase) -> None:
    """Of calls that fail, that nobody timed, that read from a cache and that cost something, all is as in SQLite."""
    told: list[dict[str, Any]] = [
        {"latency_ms": 0.2, "cost_usd": 0.1, "cost_source": "table", "input_tokens": 5, "output_tokens": 2},
        {"latency_ms": 120_000.0, "cost_usd": 0.2, "error_type": "Timeout", "time_to_first_chunk_ms": 3.5},
        {"latency_ms": 0.0, "untimed": True, "input_tokens": 3, "cached_input_tokens": 4, "user_id": "u"},
        {"model": "n", "latency_ms": 3.3, "cached_input_tokens": 0, "cache_savings_usd": 0.5, "ts": NOON + HOUR},
        {"model": "n", "error_type": "RateLimit", "trace_id": "a" * 32, "origin": Origin("api"), "user_id": "u"},
        {"model": "n", "error_type": "RateLimit", "ts": NOON + 1, "repository": "r"},
    ]
    for told_from in (0, 2, 6):
        with two_stores(database) as stores:
            given = named([inference("", **fields) for fields in told], stores.environment)
            stores.accept(given[:told_from], given[told_from:])
            made = series(NOON - HOUR, NOON + 2 * HOUR - 1, "15m")
            for name, question in questions(NOON - HOUR, NOON + 2 * HOUR, ALL_MODELS, "service", made).items():
                ours, sqlites = stores.both(question)
                assert ours == sqlites, name
