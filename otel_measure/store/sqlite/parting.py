"""A store parted into facts that can lie elsewhere and what is left of it then: its small state."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore, erasures, facts, final_calls, past, roll_ups
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.erasures import ErasedUsers
from otel_measure.store.sqlite.facts import MAINTENANCE, SERVICE_STATE, Table
from otel_measure.store.sqlite.final_calls import still_told_of
from otel_measure.store.sqlite.recounting import in_place
from otel_measure.store.sqlite.serialized import serialized
from otel_measure.store.sqlite.transaction import Frozen

MANY: Final = tuple(table for table in facts.TABLES if table not in (SERVICE_STATE, MAINTENANCE))
"""The kinds of facts of which there are many."""


class PartedStore(SqliteStore):
    """A copy of a store, whose facts are taken out of it."""

    def count(self, table: Table) -> int:
        """Return how many facts of a kind there are that can lie elsewhere."""
        with self._database.read() as connection:
            told = id_keys(sorted(still_told_of(connection))) if table is facts.INFERENCE else ()
            # Retention removes a call while more may be told of it: it is told of, and no fact.
            others = sum(1 for _ in rows_in(connection, f"SELECT 1 FROM {table.name} WHERE id IN", told))
            return int(connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]) - others

    @property
    def secret(self) -> bytes:
        """The secret of the keyed hashes of the store, which is made when it is first asked for."""
        with self._transaction() as transaction:
            return erasures.key(transaction.connection)

    def erasures(self) -> tuple[ErasedUsers, ...]:
        """Return whom erasures were of, as tombstones, the first one first."""
        with self._database.read() as connection:
            return erasures.all_of(connection)

    def note_erased_facts(self, tombstones: Iterable[bytes]) -> None:
        """Remember facts that were erased elsewhere, and that the bytes of all erased are to be cleared here."""
        with self._transaction(durable=True) as transaction:
            transaction.connection.executemany(
                "INSERT OR IGNORE INTO tombstone SELECT ?, coalesce(max(erased_at), 0) FROM erasure",
                [(tombstone,) for tombstone in tombstones],
            )
            erasures.note_again(transaction.connection, ())

    @property
    def final_calls(self) -> int:
        """The last batch of calls that others told of which was elsewhere; 0 for none."""
        with self._database.read() as connection:
            return final_calls.last_batch(connection)

    def take_final_calls(self, sums: Mapping[TotalKey, Sum]) -> None:
        """Note that calls are facts here now that had gone elsewhere; `sums` is what they add to totals."""
        with self._transaction(durable=True) as transaction:
            final_calls.take_back(transaction, sums)

    def facts(self, table: Table, after: bytes | str | None = None) -> Iterator[tuple[bytes | str, list[Record]]]:
        """Yield the facts of a kind by their ids, some thousand at a time, each time with the last id of them.

        Args:
            table: of the kind; calls that others tell of, and may tell more of, are not among them.
            after: an id that was yielded before; `None` to begin.
        """
        while True:
            with self._database.read() as connection:
                where, given = ("", ()) if after is None else ("WHERE f.id > ?", (after,))
                some = f"{where} ORDER BY f.id LIMIT {facts.READ_AT_ONCE}"
                ids = [key for (key,) in connection.execute(f"SELECT f.id FROM {table.name} f {some}", given)]
                if not ids:
                    return
                records = list(facts.read(connection, table, some, given))
                told = still_told_of(connection) if table is facts.INFERENCE else frozenset()
            after = ids[-1]
            yield after, [record for record in records if record.id not in told]

    # ------------------------------------------------------------ what facts that are gone have left of persons

    @property
    def frozen(self) -> Frozen:
        """Before when facts are gone."""
        with self._database.read() as connection:
            return roll_ups.frozen_before(connection, self.definitions)

    def past_of(self, table: str) -> Iterator[past.Row]:
        """Yield what they left in a table, one of `past.COLUMNS`."""
        with self._database.read() as connection:
            frozen = roll_ups.frozen_before(connection, self.definitions)
            yield from past.rows(connection, self.definitions, table, frozen)

    def users(self) -> Iterator[str]:
        """Yield the ids of all users."""
        with self._database.read() as connection:
            for (user,) in connection.execute("SELECT distinct_id FROM alias"):
                yield user

    def forget_past(self) -> None:
        """Have nothing rolled up of persons; `take_past` and `count_past` are to follow."""
        with self._transaction() as transaction:
            past.clear(transaction.connection)

    def take_users(self, users: Iterable[str]) -> None:
        """Know these ids of users, as if there had been facts of them."""
        with self._transaction() as transaction:
            transaction.names.uids(list(users))

    def take_past(self, table: str, rows: Sequence[past.Row]) -> None:
        """Take in what facts that are gone elsewhere left; see `past.put`."""
        with self._transaction() as transaction:
            past.put(transaction, table, rows)

    def count_past(self) -> None:
        """Count what was taken in, and the facts that are here; totals stay as they are."""
        with self._transaction(durable=True) as transaction:
            in_place(transaction, self.definitions, with_totals=False)

    # ------------------------------------------------------------ what is small

    def small_state(self) -> bytes:
        """Return what is left without facts and what they said, as a database; the copy itself is that from now on."""
        with self._transaction(durable=True) as transaction:
            connection = transaction.connection
            told = id_keys(sorted(still_told_of(connection)))
            for table in MANY:
                if table is facts.INFERENCE:
                    connection.execute("CREATE TEMP TABLE told (id PRIMARY KEY)")
                    connection.executemany("INSERT INTO told VALUES (?)", [(key,) for key in told])
                    connection.execute(f"DELETE FROM {table.name} WHERE id NOT IN (SELECT id FROM told)")
                    connection.execute("DROP TABLE told")
                else:
                    connection.execute(f"DELETE FROM {table.name}")
        self.rebuild()
        with self._transaction(durable=True) as transaction:
            past.clear(transaction.connection)
            _forget_strangers(transaction.connection)
        return serialized(self._database)


@contextmanager
def writes_noticed(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether anybody wrote to a store since it was asked last, or since the beginning."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:

        def version() -> int:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

        seen = version()

        def was_written() -> bool:
            nonlocal seen
            before, seen = seen, version()
            return before != seen

        yield was_written


def count_facts(store: SqliteStore) -> dict[str, int]:
    """Return how many facts there are of each kind of which there are many, by the table."""
    with store._database.read() as connection:
        return {t.name: int(connection.execute(f"SELECT count(*) FROM {t.name}").fetchone()[0]) for t in MANY}


def _forget_strangers(connection: sqlite3.Connection) -> None:
    """Remove the ids of users of whom nothing is known but that facts were of them."""
    connection.execute("CREATE TEMP TABLE known (uid INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT OR IGNORE INTO known SELECT uid FROM person WHERE linked_to IS NOT NULL OR merged_into IS NOT NULL"
        " OR is_user IS NOT NULL UNION SELECT linked_to FROM person WHERE linked_to IS NOT NULL"
        " UNION SELECT merged_into FROM person WHERE merged_into IS NOT NULL"
    )
    for table in roll_ups.TABLES:
        if "uid" in {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}:
            connection.execute(f"INSERT OR IGNORE INTO known SELECT uid FROM {table}")
    for table in ("alias", "person"):
        connection.execute(f"DELETE FROM {table} WHERE uid NOT IN (SELECT uid FROM known)")
    connection.execute("DROP TABLE known")
