"""Which days are settled: of which the stretches that lie in the table `stretch` say what the facts of the day say.

A day is settled with the number of the last insert into its facts, which is taken before these are read; on shards with
one that is made of the numbers of all. A late fact makes it another one, and the day is read from its facts until it is
settled anew. Rows that are removed leave the number as it is. Those of an erased person are removed here and there
alike; whoever removes another one says so before, and what was settled by somebody who had not heard of it does not
count.

Which stretches stand alone depends on the days beside as well: on the numbers of the last inserts into them.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Final, NamedTuple

from otel_measure.definitions.days import day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.tables import EVENT, SETTLED_DAY

# A mark that others wrote meanwhile is the last one by its place, and says what its own version was made of.
_MARKS: Final = (
    "SELECT day, argMaxIf((block, version, removals, around), (_block_number, _block_offset), version != 0) AS mark,"
    " countIf(version = 0) AS said, max(received) AS last FROM {db}.settled_day GROUP BY day"
)
_DAYS: Final = (
    "SELECT toUInt16(p.day), p.block, m.mark.2, m.said,"
    " m.mark.2 != 0 AND m.mark.1 = p.block AND m.mark.3 = m.said, m.mark.4,"
    " dateDiff('second', m.last, now()) FROM (SELECT day, sipHash64(arraySort(groupArray((shard, last)))) AS block FROM"
    " (SELECT shardNum() AS shard, toDate(partition) AS day, max(max_block_number) AS last FROM %s"
    " WHERE active AND rows > 0 AND database = {database:String} AND table = {table:String} GROUP BY shard, day)"
    f" GROUP BY day) AS p LEFT JOIN ({_MARKS}) AS m ON m.day = p.day ORDER BY p.day"
)


class FactDay(NamedTuple):
    """A day of which there are facts.

    Attributes:
        day: since 1970.
        block: made of the numbers of the last inserts into it, of each shard.
        around: made of these numbers of the days beside it.
        version: of the stretches that were made of it last, 0 for none.
        removals: how many were said before.
        is_settled: whether these stretches say what its facts say.
        tells_alone: whether they say as well which of them stand alone.
        marked_s: how long ago anything was said of it, seconds.
    """

    day: int
    block: int
    around: int
    version: int
    removals: int
    is_settled: bool
    tells_alone: bool
    marked_s: int


def days_beside(day: int, definitions: Definitions) -> list[int]:
    """Return the other days on which a session may go on without a pause that has a part on this one."""
    longest_us = max(definitions.session_gap_us, definitions.client_session_gap_us)
    start, end = (day_start(each, definitions.zone) for each in (day, day + 1))
    first, last = definitions.day_of(start - longest_us), definitions.day_of(end - 1 + longest_us)
    return [each for each in range(first, last + 1) if each != day]


def fact_days(database: ClickHouseDatabase, definitions: Definitions) -> list[FactDay]:
    """Return the days of which there are events, ascending."""
    parts = database.on_each_shard("system.parts")
    rows = database.rows(_DAYS % parts, database=database.name, table=database.holder(EVENT.name))
    blocks = {day: block for day, block, *_ in rows}
    days = []
    for day, block, version, removals, is_settled, marked_around, marked_s in rows:
        beside = repr([(each, blocks.get(each)) for each in days_beside(day, definitions)])
        around = int.from_bytes(blake2b(beside.encode(), digest_size=8).digest())
        tells_alone = bool(is_settled) and around == marked_around
        days.append(FactDay(day, block, around, version, removals, bool(is_settled), tells_alone, marked_s))
    return days


def note_removal(database: ClickHouseDatabase, days: Collection[int]) -> None:
    """Say that rows of these days, there are some, are about to be removed: they are not settled from now on."""
    columns = dict.fromkeys(("version", "block", "around", "removals"), [0] * len(days))
    database.insert(SETTLED_DAY.name, {"day": sorted(days), **columns})


def note_settled(database: ClickHouseDatabase, day: FactDay, version: int) -> None:
    """Say of which version of its stretches a day is settled, as far as it was known when they were made."""
    database.insert(
        SETTLED_DAY.name,
        {
            "day": [day.day],
            "version": [version],
            "block": [day.block],
            "around": [day.around],
            "removals": [day.removals],
        },
    )
