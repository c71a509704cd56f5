"""Which days are settled: of which the stretches that lie in the table `stretch` say what the facts of the day say.

A day is settled with the number of the last insert into its facts, which is taken before these are read. A late fact
makes that number another one, and the day is read from its facts until it is settled anew. Rows that are removed leave
the number as it is. Those of an erased person are removed here and there alike; whoever removes another one says so
before, and what was settled by somebody who had not heard of it does not count.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.tables import EVENT, SETTLED_DAY

# A mark that others wrote meanwhile is the last one by its place, and says what its own version was made of.
_MARKS: Final = (
    "SELECT day, argMaxIf((block, version, removals), (_block_number, _block_offset), version != 0) AS mark,"
    " countIf(version = 0) AS said, max(received) AS last FROM {db}.settled_day GROUP BY day"
)
_DAYS: Final = (
    "SELECT toUInt16(p.day), p.block, m.mark.2, m.said,"
    " m.mark.2 != 0 AND m.mark.1 = p.block AND m.mark.3 = m.said,"
    " dateDiff('second', m.last, now()) FROM (SELECT toDate(partition) AS day, max(max_block_number) AS block"
    " FROM system.parts WHERE active AND rows > 0 AND database = {database:String} AND table = {table:String}"
    f" GROUP BY day) AS p LEFT JOIN ({_MARKS}) AS m ON m.day = p.day ORDER BY p.day"
)


class FactDay(NamedTuple):
    """A day of which there are facts.

    Attributes:
        day: since 1970.
        block: the number of the last insert into it.
        version: of the stretches that were made of it last, 0 for none.
        removals: how many were said before.
        is_settled: whether these stretches say what its facts say.
        marked_s: how long ago anything was said of it, seconds.
    """

    day: int
    block: int
    version: int
    removals: int
    is_settled: bool
    marked_s: int


def fact_days(database: ClickHouseDatabase) -> list[FactDay]:
    """Return the days of which there are events, ascending; of events on shards, whose days are not settled, none."""
    if database.cluster is not None:
        return []
    rows = database.rows(_DAYS, database=database.name, table=EVENT.name)
    return [FactDay(day, block, version, n, bool(settled), ago) for day, block, version, n, settled, ago in rows]


def note_removal(database: ClickHouseDatabase, days: Collection[int]) -> None:
    """Say that rows of these days, there are some, are about to be removed: they are not settled from now on."""
    if database.cluster is None:
        nothing = [0] * len(days)
        database.insert(
            SETTLED_DAY.name, {"day": sorted(days), "version": nothing, "block": nothing, "removals": nothing}
        )


def note_settled(database: ClickHouseDatabase, day: FactDay, version: int) -> None:
    """Say of which version of its stretches a day is settled, as far as it was known when they were made."""
    database.insert(
        SETTLED_DAY.name,
        {"day": [day.day], "version": [version], "block": [day.block], "removals": [day.removals]},
    )
