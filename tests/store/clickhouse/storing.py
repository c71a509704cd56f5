"""A store in ClickHouse for a test: a new database of the running server, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from hypothesis import HealthCheck, Phase, settings

from otel_measure.definitions.parameters import Definitions
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import WrittenBy, id_number, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import PersonRemover
from otel_measure.store.clickhouse.reading import facts
from otel_measure.store.clickhouse.tables import FACT_TABLES
from otel_measure.store.clickhouse.writing import FactWriter, create, store_key
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.users import Link
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import NOON

DEFINITIONS = Definitions(timezone="Europe/Berlin")
HISTORIES = int(os.environ.get("CLICKHOUSE_HISTORIES", "3"))
"""How many random histories a test takes; more of them take minutes."""


def on_a_server(examples: int) -> settings:
    """Return how a property is tested on one server for all examples; to look for smaller ones takes minutes."""
    return settings(
        max_examples=examples,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow),
    )


def new_store(server: ClickHouseServer, definitions: Definitions = DEFINITIONS) -> ClickHouseDatabase:
    """Return a database with our tables; the end of the test closes the connection."""
    database = closed_later(ClickHouseDatabase.of_url(server.url_for_one_test()))
    create(database, definitions)
    return database


def writer(database: ClickHouseDatabase, definitions: Definitions = DEFINITIONS) -> FactWriter:
    """Return a writer whose clock stands still."""
    return FactWriter(database, definitions, lambda: NOON)


def stored(database: ClickHouseDatabase, ids: Iterable[str]) -> dict[tuple[str, str], Record]:
    """Return the facts of some ids by their kind and id; fails where an id of a kind is there twice."""
    numbers = {id_number(id_key(each)) for each in ids}
    found: dict[tuple[str, str], Record] = {}
    for table in FACT_TABLES:
        for fact in facts(database, table, sorted(numbers)):
            assert (table.name, fact.id) not in found
            found[table.name, fact.id] = fact
    return found


def written_by(database: ClickHouseDatabase, definitions: Definitions = DEFINITIONS) -> WrittenBy:
    """Return by what rows of a store are written."""
    return WrittenBy(definitions, store_key(database))


class WhoIsWho:
    """Links of ids, said one after the other as the log has them, and the numbers that facts have for them.

    Args:
        database: of the store.
    """

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._replica = closed_later(Replica(DEFINITIONS, store_key(database)))

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person."""
        return self._replica.identify(anonymous_id, user_id)

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back."""
        return self._replica.unlink(anonymous_id)

    def numbers(self, by: WrittenBy) -> dict[int, int]:
        """Return the number of the person of each user that is another's."""
        with self._replica.asking() as moment:
            return {user_number(by, user): user_number(by, person) for user, person in moment.merged_users.items()}


def remove_persons(database: ClickHouseDatabase, numbers: Collection[int]) -> None:
    """Remove persons, and wait until the server has done it."""
    remover = PersonRemover(database, written_by(database))
    remover.remove(numbers)
    assert remover.are_ended(remover.under_way(), 60.0)
