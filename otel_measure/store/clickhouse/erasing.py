"""The removal of persons from the tables of facts.

The rows of a person lie under the numbers of the ids, which are made of the tombstones of these ids: whoever knows
that there was an erasure can do what is left of it, and doing it again changes nothing. When `remove` returns the
server has been told which rows are to go, and no question sees them any more (`ClickHouseDatabase.hiding`); it masks
them by itself, as long as that takes. Their bytes go when the masks are applied and it lets go of the old parts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.anonymous import without_user
from otel_measure.records.ids import id_keys, id_text
from otel_measure.records.kinds import Inference, Record
from otel_measure.records.tombstones import fact_tombstone, user_tombstone
from otel_measure.store.clickhouse.columns import (
    WrittenBy,
    columns_of,
    erasable_number,
    id_key_of,
    id_number,
    record_of,
)
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.clickhouse.measured import sums_where
from otel_measure.store.clickhouse.reading import record_columns
from otel_measure.store.clickhouse.tables import (
    EVENT,
    FACT_TABLES,
    INFERENCE,
    LOG,
    PAST_TABLES,
    SNAPSHOT,
    STRETCH,
    FactTable,
)

OF_PERSONS: Final = tuple(t for t in FACT_TABLES if "user_id" in t.columns and t is not INFERENCE)
"""What goes with a person; the calls that models answered for them stay without their user."""
NAMING_USERS: Final = (*OF_PERSONS, INFERENCE)
_MADE_OF_FACTS: Final = (STRETCH.name, *(table.name for table in PAST_TABLES))
_HOLDING_PERSONS: Final = (*(table.name for table in NAMING_USERS), *_MADE_OF_FACTS, LOG.name, SNAPSHOT.name)
_CLOCKS_S: Final = 60  # by which the clocks of the servers of a cluster may differ
_AT_ONCE_S: Final = 2.0  # whoever erases in a small store has it done when it returns
_LOOK_AGAIN_S: Final = 0.02
Mutations: TypeAlias = set[tuple[str, str]]
"""Tables and what the server changes in them, by its names."""


def epochs_of(erasures: Iterable[Sequence[bytes]]) -> Counter[bytes]:
    """Return how often each id was erased, by its tombstone.

    Args:
        erasures: the tombstones of the ids of each erasure.
    """
    return Counter(tombstone for erased in erasures for tombstone in erased)


def numbers_of(erasures: Iterable[tuple[int, Sequence[bytes]]], receipts: Collection[int]) -> set[int]:
    """Return under which numbers the rows lie of those whom some erasures were of.

    Args:
        erasures: all of the store in their order, as the number of the receipt and the tombstones of the ids.
        receipts: of the erasures that are asked about.
    """
    before, numbers = Counter[bytes](), set[int]()
    for receipt, erased in erasures:
        if receipt in receipts:
            numbers.update(erasable_number(tombstone, before[tombstone]) for tombstone in erased)
        before.update(erased)
    return numbers


def of_users(numbers: Collection[int]) -> str:
    """Return the condition that a row lies under one of these numbers."""
    return f"user IN {in_ids(sorted(numbers))}"


class PersonRemover:
    """Removes persons from the tables of facts.

    Args:
        database: of the store.
        by: what decides how rows are written.
    """

    def __init__(self, database: ClickHouseDatabase, by: WrittenBy) -> None:
        self._database = database
        self._by = by

    def counts(self, numbers: Collection[int]) -> dict[str, int]:
        """Return how many facts there are under some numbers that are not to go already, by the table."""
        return {table.name: _count(self._database.hiding, table, numbers) for table in NAMING_USERS}

    def are_removed(self, numbers: Collection[int]) -> bool:
        """Tell whether no row lies under some numbers."""
        tables = (*(table.name for table in NAMING_USERS), *_MADE_OF_FACTS)
        return not any(_has(self._database, table, numbers) for table in tables)

    def are_remembered(self, numbers: Collection[int]) -> bool:
        """Tell whether there is anything that facts under some numbers have said, which may be gone themselves."""
        return any(_has(self._database.hiding, table, numbers) for table in _MADE_OF_FACTS)

    def totals(self, numbers: Collection[int]) -> dict[TotalKey, Sum]:
        """Return what the facts that would be removed have added to running totals, which never fall."""
        return sums_where(self._database, EVENT, of_users(numbers))

    def remove(self, numbers: Collection[int]) -> None:
        """Have the server remove what lies under some numbers; calls of models stay without their user.

        Raises:
            StoreUnavailable: the server was not told all of it; to do it again completes it.
        """
        # What was made of facts goes before them: whoever ends in between leaves facts, by which it is done again.
        for name in _MADE_OF_FACTS:
            self._mask(name, numbers)
        for table in OF_PERSONS:
            self._bury(table, numbers)
            self._mask(table.name, numbers)
        self._make_calls_anonymous(numbers)
        self._mask(INFERENCE.name, numbers)

    def refused(self, records: Sequence[Record], erased: Collection[bytes]) -> set[int]:
        """Return the indexes of the records that were themselves erased, whatever time they say now.

        Args:
            records: that come.
            erased: the tombstones of ids that were erased.
        """
        buried: dict[int, int] = {}
        for i, record in enumerate(records):
            table = _TABLE_OF.get(type(record))
            user_id: str | None = getattr(record, "user_id", None)
            if table is not None and user_id is not None and user_tombstone(self._by.key, user_id) in erased:
                buried[i] = int.from_bytes(fact_tombstone(self._by.key, table, record.id))
        known: set[int] = set()
        for some in id_chunks(sorted(buried.values())):
            rows = self._database.rows(f"SELECT tombstone FROM {{db}}.erased_fact WHERE tombstone IN {in_ids(some)}")
            known.update(tombstone for (tombstone,) in rows)
        return {i for i, tombstone in buried.items() if tombstone in known}

    # ------------------------------------------------------------ bytes

    def under_way(self) -> Mutations:
        """Return what the server has still to do in the tables that hold persons."""
        return {(table, name) for table in _HOLDING_PERSONS for name in self._database.mutations(table)}

    def are_ended(self, mutations: Mutations, within_s: float = _AT_ONCE_S) -> bool:
        """Tell whether the server has done all of this within some time."""
        end_s = time.monotonic() + within_s
        while left := mutations & self.under_way():
            if time.monotonic() > end_s:
                return False
            mutations = left
            time.sleep(_LOOK_AGAIN_S)
        return True

    def apply_masks(self) -> Mutations:
        """Have the bytes of masked rows go from all parts that are in use; return what is to end until they have."""
        for table in _HOLDING_PERSONS:
            if self._database.count_parts(table, "active AND has_lightweight_delete"):
                self._database.alter(table, "APPLY DELETED MASK SETTINGS mutations_sync = 0")
        return self.under_way()

    def now_s(self) -> int:
        """Return the time of the server, seconds since 1970."""
        return int(self._database.rows("SELECT toUnixTimestamp(now())")[0][0])

    def are_bytes_gone(self, since_s: int) -> bool:
        """Tell whether no server keeps a part any more that was replaced before a time of the one that is asked."""
        gone = f"NOT active AND toUnixTimestamp(remove_time) <= {since_s + _CLOCKS_S:d}"
        return not any(self._database.count_parts(table, gone) for table in _HOLDING_PERSONS)

    # ------------------------------------------------------------ rows

    def _mask(self, table: str, numbers: Collection[int]) -> None:
        if _has(self._database.hiding, table, numbers):
            self._database.delete(table, of_users(numbers), is_awaited=False)

    def _bury(self, table: FactTable, numbers: Collection[int]) -> None:
        """Remember facts that are about to be removed."""
        ids = f"SELECT DISTINCT id, id_text FROM {{db}}.{table.name} WHERE {of_users(numbers)}"
        rows = self._database.hiding.rows(ids)
        tombstones = [
            int.from_bytes(fact_tombstone(self._by.key, table.name, id_text(id_key_of(*row)))) for row in rows
        ]
        if tombstones:
            self._database.insert("erased_fact", {"tombstone": tombstones})

    def _make_calls_anonymous(self, numbers: Collection[int]) -> None:
        """Put beside each call, on its shard, one without its user, which counts instead: its rank is larger by one."""
        rows = self._database.hiding.rows(
            f"SELECT {record_columns(INFERENCE)}, rank, shardNum() FROM {{db}}.{INFERENCE.name} FINAL"
            f" WHERE {of_users(numbers)}"
        )
        by_shard: dict[int, list[Sequence[Any]]] = {}
        for *row, shard in rows:
            by_shard.setdefault(shard, []).append(row)
        for shard, on_shard in by_shard.items():
            self._insert_anonymous(on_shard, shard)

    def _insert_anonymous(self, rows: Sequence[Sequence[Any]], shard: int) -> None:
        for some in id_chunks(range(len(rows))):
            calls = [record_of(INFERENCE, rows[i][:-1]) for i in some]
            anonymous = [without_user(call) for call in calls if isinstance(call, Inference)]
            ids = [id_number(key) for key in id_keys([call.id for call in anonymous])]
            columns = columns_of(INFERENCE, anonymous, ids, self._by)
            self._database.insert(INFERENCE.name, columns | {"rank": [rows[i][-1] + 1 for i in some]}, shard)


_TABLE_OF: Final[Mapping[type[Record], str]] = {table.record: table.name for table in OF_PERSONS}


def _has(database: ClickHouseDatabase, table: str, numbers: Collection[int]) -> bool:
    return bool(database.rows(f"SELECT 1 FROM {{db}}.{table} WHERE {of_users(numbers)} LIMIT 1"))


def _count(database: ClickHouseDatabase, table: FactTable, numbers: Collection[int]) -> int:
    sql = f"SELECT count() FROM {{db}}.{table.name} FINAL WHERE {of_users(numbers)}"
    return int(database.rows(sql)[0][0])
