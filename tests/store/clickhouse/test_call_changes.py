"""Of which times calls among the facts changed: whatever is kept of all other times is what is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.days import day_start
from otel_measure.records.ids import id_keys
from otel_measure.store.clickhouse import call_changes
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.columns import columns_of, id_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.parts import DataPart, active_parts
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.types.models import SLOT_US, CallChanges
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, new_store, on_a_server, writer, written_by

pytestmark = pytest.mark.e2e
AGES = (0, MINUTE, 7 * MINUTE, HOUR, 11 * HOUR, DAY, 2 * DAY + HOUR)
SLOT = NOON - NOON % SLOT_US


def calls_by_slot(database: ClickHouseDatabase) -> dict[int, list[tuple[int, int]]]:
    """Return what answers are made of: the calls of each five minutes, as they count."""
    rows = database.rows(
        f"SELECT intDiv(toUnixTimestamp64Micro(ts), {SLOT_US}) * {SLOT_US} AS slot, arraySort(groupArray((id, rank)))"
        " FROM {db}.inference FINAL GROUP BY slot"
    )
    return {slot: [tuple(call) for call in calls] for slot, calls in rows}


class Keeper:
    """Keeps what it was told of each five minutes, and asks again for what changed alone."""

    def __init__(self, database: ClickHouseDatabase, changes: CallPartChanges) -> None:
        self._database = database
        self._changes = changes
        self._last: int | None = None
        self.kept: dict[int, list[tuple[int, int]]] = {}

    def look(self) -> None:
        """Bring what is kept to what is stored."""
        changes = self._changes.changes(self._last)
        stored = calls_by_slot(self._database)
        if self._last is None or changes.slots is None:
            self.kept = stored
        else:
            for slot in changes.slots:
                self.kept.pop(slot, None)
                if slot in stored:
                    self.kept[slot] = stored[slot]
        self._last = changes.last


def insert_twice(database: ClickHouseDatabase, record_id: str, ts: int) -> None:
    """Store a call as two writers do who see nothing of each other."""
    (number,) = map(id_number, id_keys([record_id]))
    columns = columns_of(INFERENCE, [inference(record_id, ts)], [number], written_by(database))
    for rank in (2**63, 2**63 + 1):
        database.insert(INFERENCE.name, columns | {"rank": [rank]})


def happen(database: ClickHouseDatabase, what: str, n: int, ages: Iterable[int]) -> None:
    """Have something happen to the calls."""
    match what:
        case "calls":
            writer(database).accept([inference(f"{n}-{age}", NOON - age) for age in ages])
        case "twice":
            for age in ages:
                insert_twice(database, f"twice {n}-{age}", NOON - age)
        case "delete":
            database.delete(INFERENCE.name, f"id % 3 = {n % 3}")
        case "merge":
            database.run("OPTIMIZE TABLE {db}.inference FINAL")
        case "clear":
            database.alter(INFERENCE.name, "APPLY DELETED MASK SETTINGS mutations_sync = 2")
        case "drop":
            database.alter(INFERENCE.name, f"DROP PARTITION ID '{('20260115', '20260114')[n % 2]}'")


HAPPENINGS = st.tuples(
    st.sampled_from(("calls", "calls", "calls", "twice", "delete", "merge", "merge", "clear", "drop")),
    st.sets(st.sampled_from(AGES), min_size=1, max_size=4),
    st.sets(st.integers(0, 2)),
)


@on_a_server(HISTORIES)
@given(story=st.lists(HAPPENINGS, min_size=4, max_size=10))
def test_what_is_kept_of_other_times_is_what_is_stored(
    clickhouse: ClickHouseServer, story: list[tuple[str, set[int], set[int]]]
) -> None:
    """Calls come late and twice, are removed and merged; three keepers of two processes look now and then."""
    database = new_store(clickhouse)
    mine, others = CallPartChanges(database, DEFINITIONS), CallPartChanges(database, DEFINITIONS)
    keepers = [Keeper(database, mine), Keeper(database, mine), Keeper(database, others)]
    for n, (what, ages, looking) in enumerate(story):
        happen(database, what, n, ages)
        for each in looking:
            keepers[each].look()
            assert keepers[each].kept == calls_by_slot(database)


def test_nothing_is_missed_of_what_is_written_meanwhile(clickhouse: ClickHouseServer) -> None:
    """While others write, remove and merge: what is kept in the end is what is stored."""
    database = new_store(clickhouse)
    keeper = Keeper(database, CallPartChanges(database, DEFINITIONS))

    def write() -> None:
        for n in range(12):
            writer(database).accept([inference(f"{n}-{age}", NOON - age - n) for age in AGES[:4]])
            happen(database, "delete" if n % 5 == 4 else "merge", n, ())

    writing = threading.Thread(target=write)
    writing.start()
    while writing.is_alive():
        keeper.look()
    writing.join()
    keeper.look()
    assert keeper.kept == calls_by_slot(database)


def test_only_what_changed_is_told(clickhouse: ClickHouseServer) -> None:
    """A merge changes nothing, nor a delete that finds nothing; a late call and a removed one change their time."""
    database = new_store(clickhouse)
    told = CallPartChanges(database, DEFINITIONS)
    mine = writer(database)
    for n in range(3):
        mine.accept([inference(f"i{n}-{age}", NOON - age) for age in (0, HOUR, DAY)])
    assert told.changes(None) == CallChanges(0, [])
    database.run("OPTIMIZE TABLE {db}.inference FINAL")
    database.delete(INFERENCE.name, "model = 'nobody'")
    assert told.changes(0) == CallChanges(0, [])
    mine.accept([inference("late", NOON - 3 * HOUR)])
    database.run("OPTIMIZE TABLE {db}.inference FINAL")
    assert told.changes(0) == CallChanges(1, [SLOT - 3 * HOUR])
    database.delete(INFERENCE.name, f"id = '{id_number(next(iter(id_keys(['i0-0']))))}'")
    assert told.changes(1) == CallChanges(2, [SLOT])
    happen(database, "drop", 1, ())
    assert told.changes(2) == CallChanges(3, [SLOT - DAY])
    assert told.changes(0) == CallChanges(3, [SLOT - DAY, SLOT - 3 * HOUR, SLOT])


def test_what_went_while_it_was_read_is_not_taken_for_empty(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server puts a part with the same content in its place: its rows are not known by the one that was missed."""
    database = new_store(clickhouse)
    changes, read = CallPartChanges(database, DEFINITIONS), database.rows
    assert changes.changes(None) == CallChanges(0, [])
    writer(database).accept([inference("i", NOON)])
    missed: list[str] = []

    def rows(sql: str, **given: Any) -> Sequence[Sequence[Any]]:
        if "cityHash64" in sql and not missed:
            missed.append(sql)
            return []
        return read(sql, **given)

    monkeypatch.setattr(database, "rows", rows)
    assert (changes.changes(0), len(missed)) == (CallChanges(1, [SLOT]), 1)


def test_what_was_there_for_hours_is_not_read(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge of it changes all of its day; what is added beside it changes its own time."""
    database = new_store(clickhouse)

    def all_at_rest(*args: object) -> list[DataPart]:
        return [part._replace(is_at_rest=True) for part in active_parts(database, (INFERENCE.name,))]

    mine, told = writer(database), CallPartChanges(database, DEFINITIONS)
    mine.accept([inference("i0", NOON), inference("i1", NOON - 3 * DAY)])
    with monkeypatch.context() as patched:
        patched.setattr(call_changes, "active_parts", all_at_rest)
        assert told.changes(None) == CallChanges(0, [])
    mine.accept([inference("i2", NOON)])
    assert told.changes(0) == CallChanges(1, [SLOT])
    mine.accept([inference("i3", NOON)])
    database.run("OPTIMIZE TABLE {db}.inference PARTITION ID '20260115' FINAL")
    today = DEFINITIONS.day_of(NOON)
    first, end = (day_start(day, DEFINITIONS.zone) for day in (today, today + 1))
    assert told.changes(1) == CallChanges(2, list(range(first, end, SLOT_US)))


def test_of_what_is_not_known_any_more_all_may_have_changed(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So of changes before the last so many times, and in the child of a process."""
    monkeypatch.setattr(call_changes, "MAX_SLOTS", 2)
    database = new_store(clickhouse)
    told = CallPartChanges(database, DEFINITIONS)
    assert told.changes(None) == CallChanges(0, [])
    for hours in (1, 2, 3):
        writer(database).accept([inference(f"i{hours}", NOON - hours * HOUR)])
        told.changes(None)
    assert told.changes(0) == CallChanges(3, None)
    assert told.changes(1) == CallChanges(3, [SLOT - 3 * HOUR, SLOT - 2 * HOUR])
    told.after_fork_in_child()
    assert told.changes(3) == CallChanges(4, None)
    assert told.changes(4) == CallChanges(4, [])
