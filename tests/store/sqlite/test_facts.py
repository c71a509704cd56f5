from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import Record, UserEvent
from otel_measure.store.sqlite import SqliteStore, facts
from tests.closing import closed_later
from tests.facts import DAY, NOON, event, one_of_each, predictions, records
from tests.facts import inference as call
from tests.store.asking import asking_users


def stored(found: Iterable[Record]) -> list[Record]:
    """Store records and read them back, in the order of their tables and ids."""
    store = closed_later(SqliteStore(":memory:"))
    try:
        store.accept(list(found))
        with store._database.read() as connection:
            return [record for table in facts.TABLES for record in facts.read(connection, table, "ORDER BY f.id")]
    finally:
        store.close()


@given(st.lists(records, max_size=5, unique_by=lambda record: (type(record), record.id)))
def test_facts_come_back_as_the_records_they_were(found: list[Record]) -> None:
    """Every field of every kind, types included; ids as they were given."""
    key = lambda record: (type(record).__name__, record.id)  # noqa: E731
    back = sorted(stored(found), key=key)
    assert back == sorted(found, key=key)
    assert msgspec.json.encode(back) == msgspec.json.encode(sorted(found, key=key))


def test_every_field_is_stored() -> None:
    """None is forgotten in the table of columns."""
    for record in one_of_each():
        assert stored([record]) == [record]


@given(predictions)
def test_predictions_keep_their_type(prediction: float | bool | str) -> None:
    """False, 0 and "" are told apart, and apart from none."""
    (back,) = stored([call("i", prediction=prediction)])
    assert msgspec.json.encode(back) == msgspec.json.encode(call("i", prediction=prediction))


@pytest.mark.parametrize(
    ("fields", "active"),
    [
        ({}, True),
        ({"type": "page_view"}, True),
        ({"type": "session.start"}, False),
        ({"type": "session.end"}, False),
        ({"background": True}, False),
    ],
)
def test_passive_events_are_no_activity(fields: dict[str, Any], active: bool) -> None:
    """Nor is what is marked as background."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept([event("e", **fields)])
    with asking_users(store) as ask:
        assert ask.active(Days(NOON // DAY, NOON // DAY)) == active


def test_more_duplicates_than_a_statement_takes() -> None:
    """2,000 known ids among 2,001 are found, in chunks."""
    store = closed_later(SqliteStore(":memory:"))
    known = [event(str(n)) for n in range(2000)]
    store.accept(known)
    receipts = store.accept([*known, event("new")])
    assert [receipt.outcome for receipt in receipts] == ["duplicate"] * 2000 + ["accepted"]
    store.close()


def test_every_kind_has_a_table() -> None:
    """And each column is a field of its record, or one of the three in another form."""
    assert {table.record for table in facts.TABLES} == {type(record) for record in one_of_each()}
    for table in facts.TABLES:
        fields = set(table.record.__struct_fields__)
        in_other_form = {"uid", "extra"} | ({"model"} if table.name == "inference" else set())
        assert set(table.columns) - in_other_form <= fields
        read_back = set(table.columns) | set(table.extra) | {"user_id", "version", "model"}
        assert fields <= read_back
    assert facts.TABLE_OF[UserEvent] is facts.EVENT
