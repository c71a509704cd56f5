"""The writer of facts: each record once, whatever is sent again, by whom and how often.

An id that comes again may say another time, another day, another user. So what is to be written is looked for by its
ids first, and what is known is a duplicate: the first received stays. Two writers that look at the same moment both
find nothing and both write; so each looks once more after it has written, and where an id is there twice both find the
same row to be the first, by its rank, and remove the other. Whoever returns from here leaves each of its ids once.

A part of a table is written whole or not at all, and a batch has as many parts as it has days. When an insert dies
half-way, what is there is as good as what is not: the sender, who got no answer, sends it again, and what is missing
is added. A writer that died between its insert and its second look may leave a double behind if nobody sends that id
again; `remove_doubles` finds those.

That second look also tells whether the store is counted by other definitions meanwhile. Then whoever rewrites the rows
of before may have missed those just written, or have taken them away: the writer rewrites them itself, and where any is
gone they are not stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import NOBODY_ERASED, WrittenBy, columns_of, id_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.clickhouse.kept import first_kept, keep, last_kept
from otel_measure.store.clickhouse.log import log_id, refuse_shared_log
from otel_measure.store.clickhouse.ranks import rank_of_time
from otel_measure.store.clickhouse.restored import LOG_NOTE, refuse_restored
from otel_measure.store.clickhouse.rewriting import rewrite
from otel_measure.store.clickhouse.schema import SYNCED, state_statements, statements
from otel_measure.store.clickhouse.settled_days import note_removal
from otel_measure.store.clickhouse.tables import EVENT, FACT_TABLES, LOG, FactTable
from otel_measure.store.sqlite.kept import told, ways_out
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Receipt

_KEY: Final = "tombstone key"
_DEFINITIONS: Final = "definitions"
_REBUILT_BY: Final = "rebuilt by"  # is kept before the first row is rewritten
_REBUILT: Final = "rebuilt"  # the same, when the last one is
_MOVING_FROM: Final = "moving from"
_MOVED: Final = ""
_REWRITTEN_WITHIN_S: Final = 4.0  # as whoever waits for a write to be answered waits for the server
_COUNTED_OTHERWISE: Final = (
    f"SELECT toUInt128(0), toUInt64(0) FROM {{db}}.kept WHERE name = '{_REBUILT_BY}' HAVING count() > 0"
    " AND lower(hex(SHA256(argMax(value, (_block_number, _block_offset))))) != "
)


class _Row(NamedTuple):
    """What tells rows of one id apart; the first received has the largest rank."""

    id: int
    rank: int
    day: int
    user: int


class FactWriter:
    """Writes facts into a database that has our tables.

    Args:
        database: where.
        definitions: by which they are counted; those of the store.
        now_us: the wall clock, microseconds.
    """

    def __init__(self, database: ClickHouseDatabase, definitions: Definitions, now_us: Callable[[], int]) -> None:
        self._database = database
        self._by = WrittenBy(definitions, store_key(database))
        self._now_us = now_us

    def count_by(self, definitions: Definitions) -> None:
        """Write by other definitions from now on."""
        self._by = self._by._replace(definitions=definitions)

    def accept(self, records: Sequence[Record], epochs: Mapping[bytes, int] = NOBODY_ERASED) -> list[Receipt]:
        """Write the records not seen before, and say of each whether it was one.

        Args:
            records: of kinds that have a table; others are state (`state.py`).
            epochs: as `WrittenBy` has them.

        Raises:
            StoreUnavailable: the server did not take all of them; to give them again completes what is there.
            StoreRejected: a record is of a time that a store has no day for, or has a number that no column holds;
                nothing is written.
        """
        receipts, by = [ACCEPTED] * len(records), self._by._replace(epochs=epochs)
        ids = [id_number(key) for key in id_keys([record.id for record in records])]
        to_write = []  # all columns before any is written: a record that cannot be kept leaves its neighbours out too
        for table in FACT_TABLES:
            if places := [i for i, record in enumerate(records) if type(record) is table.record]:
                numbers = [ids[i] for i in places]
                columns = columns_of(table, [records[i] for i in places], numbers, by)
                to_write.append((table, places, numbers, columns))
        for table, places, numbers, columns in to_write:
            is_new = self._write(table, columns, numbers)
            for i, was_new in zip(places, is_new, strict=True):
                if not was_new:
                    receipts[i] = DUPLICATE
        return receipts

    def remove_doubles(self, first_day: int, last_day: int) -> int:
        """Remove what writers that died left double on these days; return how many ids that were."""
        removed = 0
        for table in FACT_TABLES:
            days = f"day BETWEEN toDate({first_day:d}) AND toDate({last_day:d})"
            of_days = f"(SELECT id FROM {{db}}.{table.name} WHERE {days})"
            doubles = self._doubles(table, of_days)
            for some in id_chunks(doubles):
                self._keep_first(table, some)
            removed += len(doubles)
        return removed

    def _write(self, table: FactTable, columns: Mapping[str, list[Any]], ids: Sequence[int]) -> list[bool]:
        """Write what is new of one kind, and return of each record whether it was it."""
        seen = self._known(table, ids)
        new = []
        for i, number in enumerate(ids):
            if number not in seen:
                seen.add(number)
                new.append(i)
        if new:
            rank = self._rank()
            rows = {name: [values[i] for i in new] for name, values in columns.items()}
            self._insert(table, rows | {"rank": [rank] * len(new)})
            others = self._settle(table, [ids[i] for i in new], rank)
            new = [i for i in new if ids[i] not in others]
        is_new = set(new)
        return [i in is_new for i in range(len(ids))]

    def _insert(self, table: FactTable, columns: dict[str, list[Any]]) -> None:
        self._database.insert(table.name, columns)

    def _rank(self) -> int:
        return rank_of_time(self._now_us() // 1000)

    def _known(self, table: FactTable, ids: Sequence[int]) -> set[int]:
        known: set[int] = set()
        for some in id_chunks(ids):
            sql = f"SELECT DISTINCT id, toUInt16(day) FROM {{db}}.{table.name} WHERE id IN {in_ids(some)}"
            rows = self._database.rows(sql)
            if rows and (stays := self._without_what_goes(table)) is not self._database:
                rows = stays.rows(f"{sql} AND toUInt16(day) IN {tuple({day for _, day in rows})}")
            known.update(number for number, _ in rows)
        return known

    def _without_what_goes(self, table: FactTable) -> ClickHouseDatabase:
        """Return the database without the rows that the server is still removing: they keep no id from a new record."""
        return self._database.hiding if self._database.mutations(table.name) else self._database

    def _settle(self, table: FactTable, ids: Sequence[int], rank: int) -> set[int]:
        """Leave each of the ids once, and return those of which another writer's row stays."""
        others: set[int] = set()
        mine = (rank, rank + 1)  # written by us, and rewritten
        for some in id_chunks(ids):
            sql = (
                f"SELECT id, count() AS n FROM {{db}}.{table.name} WHERE id IN {in_ids(some)}"
                f" GROUP BY id HAVING n > 1 OR max(rank) NOT IN {mine}"
                f" UNION ALL {_COUNTED_OTHERWISE}'{self._by.definitions.digest}'"
            )
            rows = self._database.rows(sql)
            if any(n for _, n in rows) and (stays := self._without_what_goes(table)) is not self._database:
                rows = stays.rows(sql)
            # Of rows of one day and user the server may have merged both before we looked: the one that stays counts.
            others.update(number for number, n in rows if n == 1)
            if doubles := sorted(number for number, n in rows if n > 1):
                others.update(row.id for row in self._keep_first(table, doubles) if row.rank not in mine)
            if any(n == 0 for _, n in rows):
                self._rewrite(table, some)
        return others

    def _rewrite(self, table: FactTable, ids: Sequence[int]) -> None:
        wanted, of_ids = kept_definitions(self._database), f"id IN {in_ids(ids)}"
        rewrite(self._database, table, wanted, of_ids, _REWRITTEN_WITHIN_S)
        if len(self._known(table, ids)) < len(ids):
            what = f"{self._database.name} was counted by other definitions meanwhile"
            raise StoreUnavailable("rebuilding", what, "it is tried again by itself")

    def _doubles(self, table: FactTable, of_ids: str) -> list[int]:
        rows = self._database.rows(
            f"SELECT id FROM {{db}}.{table.name} WHERE id IN {of_ids} GROUP BY id HAVING count() > 1 ORDER BY id"
        )
        return [number for (number,) in rows]

    def _keep_first(self, table: FactTable, ids: Sequence[int]) -> list[_Row]:
        """Remove the rows of the ids that come after the first of each, and return these."""
        rows = self._without_what_goes(table).rows(
            f"SELECT id, rank, toUInt16(day), user FROM {{db}}.{table.name} WHERE id IN {in_ids(ids)}"
        )
        firsts: dict[int, _Row] = {}
        for row in sorted((_Row(*row) for row in rows), reverse=True):
            firsts.setdefault(row.id, row)
        if table is EVENT and len(rows) > len(firsts):
            note_removal(self._database, {_Row(*row).day for row in rows if _Row(*row) not in firsts.values()})
        # None that is before the first that was seen: it may have come since, and its writer remove that one.
        later = " OR ".join(
            f"id = '{row.id}' AND (rank, toUInt16(day), user) < ({row.rank}, {row.day}, toUInt128('{row.user}'))"
            for row in firsts.values()
        )
        self._database.delete(table.name, later)
        return list(firsts.values())


def create(database: ClickHouseDatabase, definitions: Definitions, key: bytes | None = None) -> None:
    """Create what is missing of a store; its days, once chosen, stay those of the first process.

    The tables of a cluster are created by whoever operates it: they are there, or nothing is created.

    Args:
        database: where.
        definitions: by which it is counted.
        key: of the store that is moved there; `None` for a new one.

    Raises:
        StoreError: it is counted by other definitions, or a store is being moved there; or is to be on a cluster and
            has other tables, or none; or what it keeps beside facts is on another server of its cluster, or on several.
        StoreUnavailable: the server did not do it, or the database was restored from a backup.
    """
    create_tables(database)
    if key is None:
        refuse_half_moved(database)  # before it has another key than the store that is moved there
    first = {_KEY: (key or os.urandom(32)).hex(), _DEFINITIONS: definitions.to_json(), LOG_NOTE: log_id(database)}
    for name, value in first.items():
        if last_kept(database, name) is None:
            keep(database, name, value)
    if differences := definitions.differences(kept_definitions(database)):
        raise StoreError(f"the store in the database {database.name} {told(differences)}: {ways_out(differences)}")


def create_tables(database: ClickHouseDatabase) -> None:
    """Create what is missing of the tables of a store; see `create`."""
    refuse_other_tables(database)
    refuse_restored(database)
    for statement in statements(database.name) if database.cluster is None else state_statements(database.name):
        database.run(statement)
    refuse_shared_log(database)


def sync_facts(database: ClickHouseDatabase) -> None:
    """Have the server bring facts to its disk before it says that it has them, whoever writes them from now on.

    Raises:
        StoreUnavailable: the server did not do it.
    """
    synced = database.rows(
        "SELECT name FROM system.tables WHERE database = {of:String} AND position(engine_full, {setting:String}) > 0",
        of=database.name,
        setting=SYNCED[0],
    )
    for table in FACT_TABLES:
        if (database.holder(table.name),) not in synced:
            database.alter(table.name, f"MODIFY SETTING {', '.join(SYNCED)}")


def refuse_other_tables(database: ClickHouseDatabase) -> None:
    """Refuse a database whose tables are not where they are wanted, or that keeps on another server what is no fact.

    Raises:
        StoreError: it is one.
    """
    of, wanted, name = database.cluster, database.wanted_cluster, database.name
    if wanted is not None and of != wanted:
        way_out = "name another database, or another cluster"
        if of is not None:
            there = f"lies on the cluster {of}"
        elif database.has_table(FACT_TABLES[0].name):
            there = "has tables of one server"
        else:
            there = "has no tables"
            command = f"otel-measure schema --engine clickhouse --database {name} --cluster {wanted}"
            way_out = f"run what `{command}` prints, on the server of the URL"
        raise StoreError(f"the database {name} {there}, and the store is to be on the cluster {wanted}: {way_out}")
    if of is not None and not database.has_table(LOG.name):
        raise StoreError(
            f"what the database {name} keeps beside facts is on another server of the cluster {of}: name that server,"
            " which was given the statements that created the tables"
        )


def note_moving(database: ClickHouseDatabase, source: str) -> None:
    """Note from where a store is being moved into a database: until that has ended nobody is to use it."""
    keep(database, _MOVING_FROM, source)


def note_moved(database: ClickHouseDatabase) -> None:
    """Note that all of a store was moved into a database."""
    keep(database, _MOVING_FROM, _MOVED)


def moving_from(database: ClickHouseDatabase) -> str | None:
    """Return from where a store is being moved into a database; "" where one was, `None` where none ever."""
    return last_kept(database, _MOVING_FROM)


def refuse_half_moved(database: ClickHouseDatabase) -> None:
    """Refuse a database into which a store is being moved.

    Raises:
        StoreError: it is one; the message names the command that goes on.
    """
    if source := moving_from(database):
        raise StoreError(
            f"the database {database.name} has a part of the store {source}, which is being moved there: give"
            f" `otel-measure migrate --from {source} --to …` again, which finishes it"
        )


def kept_definitions(database: ClickHouseDatabase) -> Definitions:
    """Return by which definitions a store is counted, or is being counted anew."""
    rebuilt_by = last_kept(database, _REBUILT_BY)
    return first_definitions(database) if rebuilt_by is None else Definitions.from_json(rebuilt_by)


def first_definitions(database: ClickHouseDatabase) -> Definitions:
    """Return by which definitions a store was counted when its log began, which says since when by others.

    Raises:
        StoreError: there is no store.
    """
    return Definitions.from_json(first_kept(database, _DEFINITIONS))


def note_rebuilding(database: ClickHouseDatabase, definitions: Definitions) -> None:
    """Note that rows are about to be rewritten by other definitions: whoever writes one from now on is told so."""
    keep(database, _REBUILT_BY, definitions.to_json())


def note_rebuilt(database: ClickHouseDatabase, definitions: Definitions) -> None:
    """Note that all rows were rewritten."""
    keep(database, _REBUILT, definitions.to_json())


def was_rebuilt(database: ClickHouseDatabase) -> bool:
    """Tell whether rows of a store were ever rewritten."""
    return last_kept(database, _REBUILT_BY) is not None


def is_half_rebuilt(database: ClickHouseDatabase) -> bool:
    """Tell whether rows of a store are being rewritten, or were when whoever did it ended."""
    return last_kept(database, _REBUILT_BY) != last_kept(database, _REBUILT)


def store_key(database: ClickHouseDatabase) -> bytes:
    """Return the secret of the keyed hashes of a store: of users, and of what was erased.

    Raises:
        StoreError: there is no store.
    """
    return bytes.fromhex(first_kept(database, _KEY))


def has_other_key(database: ClickHouseDatabase, key: bytes) -> bool:
    """Tell whether a database has a store with another secret."""
    return last_kept(database, _KEY) is not None and store_key(database) != key
