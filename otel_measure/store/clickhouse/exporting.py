"""All that is stored of one person: rows of the tables of facts, and what the small state knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from operator import attrgetter
from typing import Final

from otel_measure.conventions import semconv
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.clickhouse.columns import WrittenBy, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import NAMING_USERS, of_users
from otel_measure.store.clickhouse.reading import facts_where
from otel_measure.store.clickhouse.tables import EVALUATION, GROUND_TRUTH
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.export import exported_fact
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.types.exports import ExportedFact, PersonalId, UserExport

_AT_ONCE: Final = 1000
# Facts without a user that are of a person: by the column that names the call that they are about.
_OF_CALLS: Final = ((GROUND_TRUTH, "inference_id"), (EVALUATION, "JSONExtractString(extra, 'inference_id')"))


def export(database: ClickHouseDatabase, by: WrittenBy, state: UserExport) -> UserExport:
    """Return all that is stored of a person.

    Args:
        database: of the store.
        by: what decides how rows are written.
        state: what the small state knows of the person.
    """
    ids = {state.user_id, *(each.id for each in state.ids)}
    facts = list(_facts(database, by, ids, _calls(state.facts)))
    rolled_up = _rolled_up(by, state, facts)
    return UserExport(
        state.user_id,
        tuple(sorted({*state.ids, *rolled_up.ids}, key=attrgetter("id"))),
        tuple(sorted((*map(exported_fact, facts), *state.facts), key=_by_time_and_id)),
        {**rolled_up.rolled_up, **state.rolled_up},
        state.series,
    )


def _facts(database: ClickHouseDatabase, by: WrittenBy, ids: set[str], calls: list[str]) -> Iterator[Record]:
    numbers = {user_number(by, each) for each in ids}
    for table in NAMING_USERS:
        for record in facts_where(database, table, of_users(numbers)):
            if isinstance(record, Inference):
                if record.id in calls:  # it is about to go from the small state to the facts
                    continue
                calls.append(record.id)
            yield record
    for about, column in _OF_CALLS:
        for some in chunks(calls, _AT_ONCE):
            yield from facts_where(database, about, f"{column} IN {{calls:Array(String)}}", calls=list(some))


def _rolled_up(by: WrittenBy, state: UserExport, facts: Sequence[Record]) -> UserExport:
    """Return what an export from a store in a file has, which keeps days, sessions and conversions beside the facts."""
    with closing(SqliteStore(MEMORY, definitions=by.definitions)) as store:
        for each in _users_first(state.ids):
            store.identify(each.id, str(each.identified_as))
        for some in chunks(facts, _AT_ONCE):
            store.accept(some)
        return store.export(state.user_id)


def _users_first(ids: Sequence[PersonalId]) -> Iterator[PersonalId]:
    """Yield the ids that are linked to others, those after the one that they are linked to: as they can be linked."""
    done = {each.id for each in ids if each.identified_as is None}
    left = [each for each in ids if each.identified_as is not None]
    while left:
        ready = [each for each in left if each.identified_as in done]
        yield from ready
        done.update(each.id for each in ready)
        left = [each for each in left if each.id not in done]


def _calls(facts: Sequence[ExportedFact]) -> list[str]:
    """Return the ids of the calls among what the small state knows: what metrics and spans of others tell."""
    return [_id(fact) for fact in facts if fact.event == semconv.EVENT_INFERENCE]


def _id(fact: ExportedFact) -> str:
    return str(fact.attributes[semconv.ATTR_LOG_RECORD_UID])


def _by_time_and_id(fact: ExportedFact) -> tuple[object, ...]:
    return fact.at, _id(fact), fact.is_telling
