"""What is stored of a person in ClickHouse is what a store in SQLite has of the same facts."""

from __future__ import annotations

import pytest

from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.kinds import EvaluationResult, GroundTruth, Maintenance, Record, ServiceState
from otel_measure.store.clickhouse.exporting import export
from otel_measure.store.sqlite import SqliteStore
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import HERE, MINUTE, NOON, event, inference, one_of_each
from tests.store.clickhouse.storing import DEFINITIONS, new_store, writer, written_by

pytestmark = pytest.mark.e2e
LINKS = (("phone", "ann"), ("laptop", "phone"), ("other", "bob"))
FACTS: tuple[Record, ...] = (
    *(fact for fact in one_of_each() if not isinstance(fact, ServiceState | Maintenance)),
    event("p", "phone", type="purchase", value=2.5, currency="EUR"),
    event("l", "laptop", NOON + 2 * MINUTE, page_url="/x"),
    event("a", "ann", NOON + MINUTE),
    inference("call", user_id="laptop", ts=NOON + MINUTE),
    GroundTruth(id="truth", ts=NOON, origin=HERE, inference_id="call", value=1),
    EvaluationResult(id="e", ts=NOON, origin=HERE, name="fine", score=1.0, inference_id="call"),
    EvaluationResult(id="other", ts=NOON, origin=HERE, name="fine", score=1.0, inference_id="of nobody"),
    GroundTruth(id="truth of told", ts=NOON, origin=HERE, inference_id="told", value=1),
    event("b", "bob"),
)


def test_an_export_is_that_of_sqlite(clickhouse: ClickHouseServer) -> None:
    """Of a person with several ids, of one with a single id that was never linked, and of nobody."""
    database = new_store(clickhouse)
    state, whole = (closed_later(SqliteStore(":memory:", definitions=DEFINITIONS)) for _ in range(2))
    told = inference("told", user_id="ann")
    for store in (state, whole):
        for link in LINKS:
            store.identify(*link)
        store.take_tellings([telling_of_fact(told, "process")])
    whole.accept(FACTS)
    writer(database).accept(FACTS)
    by = written_by(database)
    for user in ("ann", "laptop", "u", "bob", "nobody"):
        assert export(database, by, state.export(user)) == whole.export(user)
