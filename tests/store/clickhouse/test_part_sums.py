"""What facts add to running totals, by the parts of their tables: equal to the definition, and read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse import part_sums, parts
from otel_measure.store.clickhouse.columns import columns_of, id_number, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.measured import LeftOut, sums_of
from otel_measure.store.clickhouse.part_sums import PartSums, Removed
from otel_measure.store.clickhouse.parts import PartName, Piece
from otel_measure.store.clickhouse.tables import INFERENCE
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, NOON, event, inference, records
from tests.store.clickhouse.storing import HISTORIES, new_store, on_a_server, writer, written_by

pytestmark = pytest.mark.e2e
RECORDED = 2**63  # a rank as the time of receipt gives it


def shown(sums: Mapping[TotalKey, Sum]) -> dict[TotalKey, tuple[int, int, list[int] | None]]:
    """Return sums that can be compared; those of nothing are left out."""
    return {key: (s.value, s.count, s.buckets) for key, s in sums.items() if s.count}


def by_definition(given: Iterable[Record]) -> dict[TotalKey, tuple[int, int, list[int] | None]]:
    """Return what the definition adds up of records, the first of each kind and id."""
    firsts: dict[tuple[type[Record], str], Record] = {}
    for record in given:
        firsts.setdefault((type(record), record.id), record)
    return shown(summed(firsts.values()))


def merge(database: ClickHouseDatabase) -> None:
    """Have the server merge what facts it has, day by day."""
    for table in ("event", "inference", "evaluation"):
        database.run(f"OPTIMIZE TABLE {{db}}.{table} FINAL")


class RowsRead:
    """Counts the rows that are read.

    Attributes:
        is_of_another_replica: the next time one is asked that has them in other parts, and so none in these.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        self.is_of_another_replica = False

        def counting(
            database: ClickHouseDatabase, piece: Piece, doubled: LeftOut
        ) -> list[tuple[PartName, int, dict[TotalKey, Sum]]]:
            read = [] if self.is_of_another_replica else list(sums_of(database, piece, doubled))
            self.is_of_another_replica = False
            self.rows += sum(n for _, n, _ in read)
            return read

        monkeypatch.setattr(part_sums, "sums_of", counting)

    def taken(self) -> int:
        """Return how many were read since it was asked last."""
        rows, self.rows = self.rows, 0
        return rows


@on_a_server(2 * HISTORIES)
@given(given=st.lists(records, max_size=25), data=st.data())
def test_sums_are_those_of_the_definition(
    clickhouse: ClickHouseServer, given: list[Record], data: st.DataObject
) -> None:
    """Of any records in any batches, some given again, merged in between: each adds what `measurements` says, once."""
    database = new_store(clickhouse)
    mine, kept = writer(database), PartSums(database)
    given = [msgspec.structs.replace(each, id=f"{n}-{each.id}"[:512]) for n, each in enumerate(given)]
    done = 0
    while done < len(given):
        size = data.draw(st.integers(1, 12))
        mine.accept(given[max(done - 2, 0) : done + size])
        done += size
        if data.draw(st.booleans()):
            merge(database)
        if data.draw(st.booleans()):
            assert shown(kept.sums()) == by_definition(given[:done])
    assert shown(kept.sums()) == shown(PartSums(database).sums()) == by_definition(given)


def test_what_was_counted_is_not_read_again(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge of known parts adds what they did; a delete has the part that it touches read."""
    database, reading = new_store(clickhouse), RowsRead(monkeypatch)
    mine, kept = writer(database), PartSums(database)
    given = [inference(f"i{n}", NOON + n % 2 * DAY, latency_ms=n + 0.5, input_tokens=n) for n in range(60)]
    for first in range(0, 60, 20):
        mine.accept(given[first : first + 20])
    assert (shown(kept.sums()), reading.taken()) == (by_definition(given), 60)
    merge(database)
    assert (shown(kept.sums()), reading.taken()) == (by_definition(given), 0)
    mine.accept([inference("late", NOON)])
    merge(database)
    assert (shown(kept.sums()), reading.taken()) == (by_definition([*given, inference("late", NOON)]), 31)
    database.run("DELETE FROM {db}.inference WHERE input_tokens = 1")
    left = [call for call in given if call.input_tokens != 1]
    assert shown(kept.sums()) == by_definition([*left, inference("late", NOON)])
    database.run("TRUNCATE TABLE {db}.inference")
    assert shown(kept.sums()) == {}


def test_the_child_of_a_process_that_is_adding_up_begins_anew(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for nobody: whoever is adding up in the parent is not there."""
    database = new_store(clickhouse)
    writer(database).accept([event("e")])
    kept, ask, in_child = PartSums(database), ClickHouseDatabase.rows, []

    def copied_meanwhile(asked: ClickHouseDatabase, *question: Any, **parameters: Any) -> Sequence[Sequence[Any]]:
        monkeypatch.setattr(ClickHouseDatabase, "rows", ask)
        kept.after_fork_in_child()
        in_child.append(shown(kept.sums()))
        return ask(asked, *question, **parameters)

    monkeypatch.setattr(ClickHouseDatabase, "rows", copied_meanwhile)
    assert (shown(kept.sums()), in_child) == (by_definition([event("e")]), [by_definition([event("e")])])


def test_what_another_replica_has_not_is_read_again(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part has as many rows as its list says; where fewer are read they are not taken for all."""
    database, reading = new_store(clickhouse), RowsRead(monkeypatch)
    given = [event(f"e{n}") for n in range(5)]
    writer(database).accept(given)
    reading.is_of_another_replica = True
    assert (shown(PartSums(database).sums()), reading.taken()) == (by_definition(given), 5)


def test_large_parts_are_read_in_pieces(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows a part has, no query returns more than some; small parts are read together."""
    monkeypatch.setattr(part_sums, "ROWS_AT_ONCE", 7)
    database = new_store(clickhouse)
    given: list[Record] = [inference(f"i{n}", NOON, latency_ms=n) for n in range(20)]
    given += [event(f"e{n}", ts=NOON + n * DAY) for n in range(20)]
    writer(database).accept(given)
    assert shown(PartSums(database).sums()) == by_definition(given)


def write_at_once(database: ClickHouseDatabase, given: Sequence[Record], rank: int) -> None:
    """Insert calls as a writer does that saw none of them, and died before it looked again."""
    by = written_by(database)
    columns = columns_of(INFERENCE, given, [id_number(key) for key in id_keys([each.id for each in given])], by)
    database.insert("inference", columns | {"rank": [RECORDED + rank] * len(given)})


def test_an_id_that_two_writers_wrote_at_once_adds_once(clickhouse: ClickHouseServer) -> None:
    """The first received counts, before and after the others are removed, and also where it becomes visible last."""
    database = new_store(clickhouse)
    kept = PartSums(database)
    call = inference("twice", NOON, latency_ms=1.0)
    later = inference("twice", NOON + DAY, latency_ms=3.0, version="2")
    latest = inference("twice", NOON + 2 * DAY, latency_ms=4.0)
    write_at_once(database, [later, inference("other", NOON + DAY)], rank=5)
    assert shown(kept.sums()) == by_definition([later, inference("other")])
    write_at_once(database, [latest], rank=4)
    write_at_once(database, [call], rank=9)
    expected = by_definition([call, inference("other")])
    assert shown(kept.sums()) == expected
    merge(database)
    assert shown(kept.sums()) == expected
    assert writer(database).remove_doubles(0, 2**16 - 1) == 1
    assert shown(kept.sums()) == shown(PartSums(database).sums()) == expected


def test_whoever_starts_later_reads_what_lasts_from_the_store(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts at rest are counted once for all processes; what is kept of parts that are gone is removed."""
    database, reading = new_store(clickhouse), RowsRead(monkeypatch)
    mine = writer(database)
    mine.accept([inference("a", latency_ms=1.0, input_tokens=2**60), event("e")])
    expected = by_definition([inference("a", latency_ms=1.0, input_tokens=2**60), event("e")])
    PartSums(database).sums()
    assert database.rows("SELECT count() FROM {db}.settled_total") == [(0,)]
    monkeypatch.setattr(parts, "_AT_REST_S", -1)
    assert shown(PartSums(database, is_written=False).sums()) == expected
    assert database.rows("SELECT count() FROM {db}.settled_total") == [(0,)]
    assert shown(PartSums(database).sums()) == expected
    assert database.rows("SELECT of_table, counted FROM {db}.settled_total ORDER BY 1") == [
        ("event", 1),
        ("inference", 1),
    ]
    reading.taken()
    again = PartSums(database)
    assert (shown(again.sums()), shown(again.sums()), reading.taken()) == (expected, expected, 0)
    database.run("TRUNCATE TABLE {db}.inference")
    mine.accept([event("f", ts=NOON + DAY)])
    again.sums()
    assert database.rows("SELECT of_table FROM {db}.settled_total ORDER BY 1") == [("event",), ("event",)]


def test_what_is_being_removed_adds_nothing(clickhouse: ClickHouseServer) -> None:
    """Days and persons whose sums are kept elsewhere do not count, while their rows are there and afterwards."""
    database = new_store(clickhouse)
    kept = PartSums(database)
    old = event("old", "u", NOON - 9 * DAY)
    erased: list[Record] = [event(f"e{n}", "gone", NOON + n * DAY) for n in range(2)]
    stay: list[Record] = [event("s", "stays"), inference("i")]
    writer(database).accept([old, *erased, *stay])
    assert shown(kept.sums()) == by_definition([old, *erased, *stay])
    partition = str(database.rows("SELECT partition_id FROM system.parts WHERE database = '{db}' ORDER BY 1")[0][0])
    of_day = Removed(frozenset({("event", partition)}))
    number = user_number(written_by(database), "gone")
    both = of_day._replace(users=frozenset({number}))
    assert shown(kept.sums(of_day)) == by_definition([*erased, *stay])
    assert shown(kept.sums(both)) == by_definition(stay)
    database.run(f"DELETE FROM {{db}}.event WHERE user = '{number}'")
    assert shown(kept.sums(both)) == shown(kept.sums(of_day)) == by_definition(stay)
    database.run(f"ALTER TABLE {{db}}.event DROP PARTITION ID '{partition}'")
    assert shown(kept.sums(of_day)) == shown(kept.sums()) == by_definition(stay)
    merge(database)
    assert shown(PartSums(database).sums()) == by_definition(stay)
