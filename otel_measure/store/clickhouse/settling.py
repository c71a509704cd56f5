"""The settling of days: what users did on a day that is over is kept as stretches, of which sessions are made fast.

Anybody may settle a day, several at once too, and end in the middle of it: stretches have a version that counts when
the day is marked with it, and what no mark names is removed an hour later, when nobody reads it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from otel_measure.definitions.days import day_date, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, in_ids
from otel_measure.store.clickhouse.sessions import settle_sql
from otel_measure.store.clickhouse.settled_days import FactDay, days_beside, fact_days, note_settled
from otel_measure.store.clickhouse.tables import STRETCH

_OPEN_DAYS: Final = 2  # today, and yesterday, of which much still comes
_REST_S: Final = 3600  # a day to which facts come late is not settled for each of them
_RANDOM_BITS: Final = 20
_VERSION: Final = f"toUInt64(toUnixTimestamp64Milli(now64(3))) * {2**_RANDOM_BITS} + rand64() % {2**_RANDOM_BITS}"
_VERSIONS: Final = (
    "SELECT DISTINCT toUInt16(day), version, partition_id, now_s - intDiv(version, {unit:UInt64}) FROM"
    " (SELECT partition_id, toUnixTimestamp(now()) AS now_s, toDate(extract(partition, '[-0-9]{10}')) AS day,"
    " toUInt64(extract(partition, '([0-9]+).$')) AS version FROM system.parts"
    " WHERE active AND database = {database:String} AND table = {table:String})"
)


def new_version(database: ClickHouseDatabase) -> int:
    """Return a number that nobody else has, and that tells by the clock of the server when it was made."""
    return int(database.rows(f"SELECT {_VERSION}")[0][0])


class BeingErased(NamedTuple):
    """Whose facts are being removed.

    Attributes:
        begun: how many removals have ever begun.
        users: numbers of users whose facts may be there or not.
    """

    begun: int
    users: Collection[int]


class DaySettler:
    """Settles days.

    Args:
        database: of the store.
        definitions: of the store.
        being_erased: returns who is, as all processes know it.
    """

    def __init__(
        self, database: ClickHouseDatabase, definitions: Definitions, being_erased: Callable[[], BeingErased]
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._being_erased = being_erased

    def unsettled(self, now: int, rest_s: int = _REST_S) -> list[FactDay]:
        """Return the days that are over and to be settled, the last one first.

        Args:
            now: microseconds.
            rest_s: how long nothing was said of a day that was settled before.
        """
        closed, rules = self._definitions.day_of(now) - _OPEN_DAYS, self._definitions
        days = [
            each
            for each in fact_days(self._database, rules)
            if each.day <= closed
            and not each.tells_alone
            and (not each.is_settled or max(days_beside(each.day, rules)) <= closed)
        ]
        return [each for each in reversed(days) if each.marked_s >= rest_s]

    def settle(self, day: FactDay) -> bool:
        """Settle a day as it is; return whether it was, which it is not while somebody is erased.

        Raises:
            StoreUnavailable: the server has not done it.
        """
        before = self._being_erased()
        left = f"user NOT IN {in_ids(sorted(before.users))}" if before.users else "1"
        version = new_version(self._database)
        rules = self._definitions
        self._database.run(
            settle_sql(day.day, version, left),
            beside=[day_date(each) for each in days_beside(day.day, rules)],
            start=day_start(day.day, rules.zone),
            end=day_start(day.day + 1, rules.zone),
            gap=rules.session_gap_us,
            client_gap=rules.client_session_gap_us,
            views=sorted(rules.view_event_types),
            keys=sorted(rules.key_event_types),
            passive=sorted(rules.passive_event_types),
        )
        # Whoever is erased from here on is removed from these stretches as well.
        if self._being_erased().begun != before.begun:
            return False
        note_settled(self._database, day, version)
        return True

    def remove_superseded(self, rest_s: int = _REST_S) -> None:
        """Remove the stretches that count no more.

        Args:
            rest_s: how long they have not, seconds: whoever asked before may read them meanwhile.
        """
        days = {each.day: each for each in fact_days(self._database, self._definitions)}
        rows = self._database.rows(
            _VERSIONS, database=self._database.name, table=STRETCH.name, unit=1000 * 2**_RANDOM_BITS
        )
        for day, version, partition, age_s in rows:
            last = days.get(day)
            if age_s >= rest_s and (last is None or (last.version != version and last.marked_s >= rest_s)):
                self._database.alter(STRETCH.name, f"DROP PARTITION ID '{partition}'")
