"""A store counted anew by other definitions: the rows that say otherwise by them are rewritten, and the rest follows.

The log says when it begins and when it has ended. In between nobody is answered and nobody writes: both are told to
come again. Nothing is removed for good meanwhile, for a row that is copied while it goes would come back; and it does
not begin while anything is. Whoever was about to write, and had not heard of it, finds it out afterwards and rewrites
his own rows (`writing`). A command that ends in the middle is given again and completes what is there.

What facts that are gone have said of persons stays as it was counted, by days of the zone of then: where there is any
of it, the zone stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.one_at_a_time import alone_in_database
from otel_measure.store.clickhouse.past import PastKeeper, kept_from, note_past
from otel_measure.store.clickhouse.rewriting import rewrite
from otel_measure.store.clickhouse.settled_days import fact_days, note_removal
from otel_measure.store.clickhouse.settling import BeingErased, new_version
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import FACT_TABLES
from otel_measure.store.clickhouse.told_calls import ToldCalls
from otel_measure.store.clickhouse.upkeep_operations import BeginRebuild, EndRebuild
from otel_measure.store.clickhouse.writing import note_rebuilding, note_rebuilt
from otel_measure.store.sqlite.kept import rebuild_command

_NOBODY: Final = BeingErased(0, ())


def rebuild(
    database: ClickHouseDatabase,
    state: ReplicatedState,
    wanted: Definitions,
    merged: Callable[[], Mapping[int, int]],
) -> None:
    """Count a store by other definitions.

    Args:
        database: of the store.
        state: of the store.
        wanted: by which it is counted in the end.
        merged: returns the number of the person of each user that is another's.

    Raises:
        StoreError: it lies on a cluster, or facts are gone, and its zone is another.
        StoreUnavailable: it is being counted anew, by another process or by yet other definitions; facts are being
            removed, or the server has not done all of it; to do it again completes it.
    """
    if database.cluster is not None:
        raise StoreError(
            f"{database.name} lies on the cluster {database.cluster}, where facts are not counted anew: move the store"
            " to a file (`otel-measure migrate`), rebuild that, and move it to another database"
        )
    with alone_in_database(database, "it counts the store anew") as refuse_lost:
        state.sync()
        before, first = _begin(database, state, wanted)
        _keep_past(database, PastKeeper(database, before, lambda: _NOBODY, merged), first)
        if days := [each.day for each in fact_days(database, before)]:
            note_removal(database, days)  # settled days are of other days, or cut by another pause
        for table in FACT_TABLES:
            refuse_lost()
            rewrite(database, table, wanted)
        ToldCalls(database, state).remove_recorded()
        refuse_lost()
        state.do(EndRebuild(wanted.to_json()))
        note_rebuilt(database, wanted)


def _begin(database: ClickHouseDatabase, state: ReplicatedState, wanted: Definitions) -> tuple[Definitions, int]:
    """Have everybody know; return by which definitions facts were counted, and the first day of which all are there."""
    if (by := state.recounted_by) not in (None, wanted):
        raise half_rebuilt(database, state, by)
    before, first = state.definitions, state.ask(lambda replica: replica.frozen_before(wanted))
    if by is None and before.timezone != wanted.timezone and _is_any_past(database, first):
        raise StoreError(
            f"facts of {database.name} are gone, and what they said is kept by the days of {before.timezone}: move the"
            " store to a file (`otel-measure migrate`), rebuild that, and move it to another database"
        )
    if not state.do(BeginRebuild(wanted.to_json())):
        raise StoreUnavailable("busy", f"{database.name}: facts are being removed", "try again in a minute")
    note_rebuilding(database, wanted)
    return before, first


def _is_any_past(database: ClickHouseDatabase, first: int) -> bool:
    """Tell whether facts are gone, or are there of a day of which some may be, or of one before."""
    if first <= 0:
        return False
    of_days = [f"SELECT 1 FROM {{db}}.{table.name} WHERE day <= toDate({first:d})" for table in FACT_TABLES]
    return bool(kept_from(database) or database.rows(f"{' UNION ALL '.join(of_days)} LIMIT 1"))


def _keep_past(database: ClickHouseDatabase, keeper: PastKeeper, first: int) -> None:
    """Keep what days before one have said, by the definitions of before, also those of which there is nothing."""
    if first:
        keeper.keep_before(first)
        if kept_from(database) < first:
            note_past(database, first - 1, new_version(database))


def half_rebuilt(database: ClickHouseDatabase, state: ReplicatedState, by: Definitions) -> StoreUnavailable:
    """Return what those are told who come while a store is being counted anew, and until that is completed."""
    command = rebuild_command(by.differences(state.definitions))
    return StoreUnavailable(
        "rebuilding",
        f"{database.name} is being counted by other definitions",
        f"wait; if nobody runs it any more, run {command}, which completes it",
    )
