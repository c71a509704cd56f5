"""A database that its server has restored from a backup, made a store again.

`RESTORE` numbers the parts of every table anew, and this store reads some tables in the order of these numbers, the log
above all: what is added next would stand before what is there. What was noted of parts by their names, or of days by
the numbers of inserts, would be said of other rows. So nobody uses such a database until each of these tables has been
copied in the order that it had, and what is made of facts is left to be made anew.

That order is known: a table is restored part by part in its order, and a merge, which may follow at once, leaves rows
whose keys are equal in the order of the parts that they come from. The numbers that rows kept at a merge before say
nothing any more. Whoever ends half-way leaves tables of the same order, and begins again.
"""

from __future__ import annotations

from typing import Final

from otel_measure.errors import ConfigurationError, StoreError, StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.kept import every_kept, keep
from otel_measure.store.clickhouse.log import log_id
from otel_measure.store.clickhouse.one_at_a_time import alone_in_database
from otel_measure.store.clickhouse.tables import (
    COLLECTED,
    KEPT,
    LOG,
    PAST_DAY,
    SETTLED_DAY,
    SETTLED_TOTAL,
    SNAPSHOT,
    STRETCH,
    StateTable,
)

LOG_NOTE: Final = "log"
"""The name under which a store keeps which table is its log."""
_IN_ORDER: Final = (KEPT, COLLECTED, PAST_DAY, LOG)
_MADE_OF_FACTS: Final = (STRETCH, SETTLED_DAY, SETTLED_TOTAL)
_COPIED: Final = (*_MADE_OF_FACTS, *_IN_ORDER, SNAPSHOT)
_COPY: Final = "copy_of_"
# The name of a part has the number of its first insert: `all_3_7_1`.
_IN_ITS_ORDER: Final = (
    "INSERT INTO {db}.%(copy)s (%(columns)s) SELECT %(columns)s FROM {db}.%(table)s"
    " ORDER BY toUInt64(splitByChar('_', _part)[2]), _part_offset SETTINGS max_insert_threads = 1"
)


def make_store_again(database: ClickHouseDatabase) -> int:
    """Have a database that was restored from a backup be a store again; no process uses it meanwhile.

    Returns:
        how many bytes it has.

    Raises:
        ConfigurationError: it was not restored.
        StoreError: there is no store, or its log is not that of its small state.
        StoreUnavailable: the server has not done all of it, and to do it again completes it; or another process does.
    """
    if not database.has_table(LOG.name):
        raise StoreError(f"the database {database.name} has no store of ours")
    if _is_log_known(database):
        raise ConfigurationError(
            f"the database {database.name} is a store as it is: without a file, what the server restored is made one"
        )
    with alone_in_database(database, "it makes a store of it again") as refuse_lost:
        _copy_all(database)
        refuse_lost()
        for table in _COPIED:
            database.run(f"EXCHANGE TABLES {{db}}.{table.name} AND {{db}}.{_COPY}{table.name}")
        for table in _COPIED:
            database.run(f"DROP TABLE {{db}}.{_COPY}{table.name} SYNC")
        keep(database, LOG_NOTE, log_id(database))
    parts = database.on_each_shard("system.parts")
    size = f"SELECT sum(bytes_on_disk) FROM {parts} WHERE active AND database = {{of:String}}"
    return int(database.rows(size, of=database.name)[0][0])


def refuse_restored(database: ClickHouseDatabase) -> None:
    """Refuse a database that was restored from a backup and is no store again yet.

    Raises:
        StoreUnavailable: it is one; the message names the command that makes it one.
    """
    if database.has_table(KEPT.name) and not _is_log_known(database):
        raise StoreUnavailable(
            "restored",
            f"the database {database.name} was restored from a backup, which has its tables in another order",
            "end every process that uses it, then run `otel-measure restore` with this store and no file",
        )


def _copy_all(database: ClickHouseDatabase) -> None:
    """Make a copy of each table as it is to be; of what is made of facts an empty one."""
    for table in _IN_ORDER:
        _make_copy(database, table)
        columns = ", ".join(table.columns)
        database.run(_IN_ITS_ORDER % {"copy": _COPY + table.name, "table": table.name, "columns": columns})
    _copy_snapshot(database)
    for table in _MADE_OF_FACTS:
        _make_copy(database, table)


def _make_copy(database: ClickHouseDatabase, table: StateTable) -> None:
    database.run(f"CREATE OR REPLACE TABLE {{db}}.{_COPY}{table.name} AS {{db}}.{table.name}")


def _copy_snapshot(database: ClickHouseDatabase) -> None:
    """Copy the newest snapshot, as that of the entry of the copied log that it is of."""
    _make_copy(database, SNAPSHOT)
    newest = database.rows(
        "SELECT id, said_by FROM {db}.snapshot WHERE is_last ORDER BY block DESC, place DESC, id LIMIT 1"
    )
    if not newest:
        return
    ((this, said_by),) = newest
    # A log that was copied before the snapshot was made has not its entry: all that it has is in the snapshot then.
    entries = database.rows(
        f"SELECT _block_number, _block_offset FROM {{db}}.{_COPY}log ORDER BY said_by = {{said_by:UInt128}} DESC,"
        " _block_number DESC, _block_offset DESC LIMIT 1",
        said_by=said_by,
    )
    if not entries:
        raise StoreError(f"the log of the database {database.name} is empty, and its snapshot is not: restore it anew")
    ((block, place),) = entries
    database.run(
        f"INSERT INTO {{db}}.{_COPY}snapshot (id, block, place, number, is_last, contents, said_by)"
        " SELECT id, {block:UInt64}, {place:UInt64}, number, is_last, contents, said_by FROM {db}.snapshot"
        " WHERE id = {this:UInt128}",
        block=block,
        place=place,
        this=this,
    )


def _is_log_known(database: ClickHouseDatabase) -> bool:
    """Tell whether the log is a table of which that was noted, or nothing was noted yet: it was not restored."""
    logs = every_kept(database, LOG_NOTE)
    return not logs or log_id(database) in logs
