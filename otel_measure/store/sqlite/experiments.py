"""Experiments in SQLite: definitions, and the roll-up from exposures and conversions to hourly cells.

The unit is the person: who is assigned under an anonymous id and converts when logged in has converted, and whose two
ids fell into two arms is in the one met first. Each environment is counted by itself. What is kept of a person (first
exposure per variant, times of conversions) merges by minimum and union, so order, batches, repetition and the time of
an `identify` cannot matter; the cells change by the difference of what the person contributed before and after. A test
stops after all that was accepted of it, so that stopping it changes no cell.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import compress, count, groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from otel_measure.conventions import semconv
from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.contributions import ARM_HOURS, CLOCK_TOLERANCE_US, add_unit, experiment_of
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.kinds import AbConversion, Exposure, UserEvent
from otel_measure.store.sqlite import environments, facts
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import chunks, marks, rows_in
from otel_measure.store.sqlite.environments import Columns, Environment
from otel_measure.store.sqlite.facts import Facts
from otel_measure.store.sqlite.kept import FACTS, StoreState, counted_by
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest


class _Extra(msgspec.Struct):
    """What an event keeps in its column `extra`, as far as it is asked for here."""

    properties: dict[str, Any] | None = None


_OF_PERSONS: Final = ("experiment_arm", "experiment_conversion")
TABLES: Final = (*_OF_PERSONS, "experiment_cell")
FROZEN: Final[Mapping[str, str]] = {"experiment_arm": "first_ts < :ts", "experiment_conversion": "ts < :ts"}
_DEFINITION: Final = (
    "SELECT key, name, variants, weights, coverage, created, stopped, served"
    " FROM experiment LEFT JOIN experiment_stop ON experiment = key"
)
_PERSON_IN_TEST: Final = """
    SELECT root.distinct_id, (
        SELECT variant FROM experiment_arm WHERE uid = p.person AND environment = ?3 AND experiment = ?2
        ORDER BY first_ts, variant LIMIT 1
    )
    FROM alias a JOIN person_of p ON p.uid = a.uid JOIN alias root ON root.uid = p.person WHERE a.distinct_id = ?1
"""
_STOP: Final = (
    "INSERT INTO experiment_stop VALUES (?, ?, ?) ON CONFLICT (experiment) DO UPDATE SET served = excluded.served"
)
_encode: Final = msgspec.json.Encoder().encode
_decode_variants: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_extra: Final = msgspec.json.Decoder(_Extra).decode
_decode_weights: Final = msgspec.json.Decoder(tuple[float, ...]).decode


class _Facts(NamedTuple):
    """What a batch says: the first exposure per (uid, experiment, variant), and (uid, experiment, time, tolerance)."""

    exposures: dict[tuple[int, str, str], int]
    conversions: set[tuple[int, str, int, int]]


class SqliteExperimentQuestions:
    """Satisfies `otel_measure.store.questions.ExperimentQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, environment: Environment, seen: StoreState) -> None:
        self._connection = connection
        self._environment, self.environment = environment
        self._seen = seen

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions the exposures and conversions of [start, end) are counted."""
        return counted_by(self._connection, self._seen, start, end, FACTS)

    def experiments(self, key: str | None = None) -> list[Experiment]:
        """Return every definition (or that of one key, if there is one), the oldest first."""
        one, given = ("", ()) if key is None else ("WHERE key = ?", (key,))
        rows = self._connection.execute(f"{_DEFINITION} {one} ORDER BY created, key", given)
        return [_definition(row) for row in rows]

    def hours(self, key: str) -> list[ArmHour]:
        """Return what each hour added to the arms of an experiment, sorted by hour, variant and age."""
        rows = self._connection.execute(
            "SELECT hour, variant, users, conversions, within_hours FROM experiment_cell"
            " WHERE environment = ? AND experiment = ? ORDER BY hour, variant, within_hours",
            (self._environment, key),
        )
        return [ArmHour(*row) for row in rows]

    def person_in_test(self, key: str, user_id: str) -> PersonInTest:
        """Return the person behind a user id, as a test knows them."""
        row = self._connection.execute(_PERSON_IN_TEST, (user_id, key, self._environment)).fetchone()
        return PersonInTest(user_id, None) if row is None else PersonInTest(*row)


def define(connection: sqlite3.Connection, experiment: Experiment) -> Experiment:
    """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""
    e = experiment
    row = (e.key, e.name, _encode(e.variants).decode(), _encode(e.weights).decode(), e.coverage, e.created)
    connection.execute("INSERT OR IGNORE INTO experiment VALUES (?, ?, ?, ?, ?, ?)", row)
    kept = _defined(connection, e.key).raised_to(e)
    connection.execute("UPDATE experiment SET coverage = ? WHERE key = ?", (kept.coverage, e.key))
    return kept


def stop(connection: sqlite3.Connection, key: str, served: str, now: int) -> Experiment:
    """Stop a test that there is, or change what everybody gets of one that was stopped; return it."""
    latest = [
        connection.execute(f"SELECT max(ts) FROM {table} WHERE experiment = ? AND ts >= ?", (key, now)).fetchone()[0]
        for table in ("exposure", "ab_conversion", "experiment_conversion")
    ]
    # After all that was accepted: what was counted stays so, and nothing has to be taken back from the cells.
    stopped = max([now, *(ts + 1 for ts in latest if ts is not None)])
    connection.execute(_STOP, (key, stopped, served))
    return _defined(connection, key)


def _defined(connection: sqlite3.Connection, key: str) -> Experiment:
    return _definition(connection.execute(f"{_DEFINITION} WHERE key = ?", (key,)).fetchone())


def _definition(row: tuple[Any, ...]) -> Experiment:
    key, name, variants, weights, coverage, created, stopped, served = row
    return Experiment(
        key, name, _decode_variants(variants), _decode_weights(weights), coverage, created, stopped, served
    )


# ---------------------------------------------------------------- roll-up

# The arms of persons, unit by unit, each with the first conversion at or after the first exposure of its unit, as far
# as their clocks tell, and with the time from when on nothing is counted.
_ARMS: Final = """
    SELECT a.uid, a.experiment, a.variant, a.first_ts, (
        SELECT min(c.ts) FROM experiment_conversion c
        WHERE c.uid = a.uid AND c.environment = a.environment AND c.experiment = a.experiment
        AND c.ts + c.tolerance_us >= (
            SELECT min(e.first_ts) FROM experiment_arm e
            WHERE e.uid = a.uid AND e.environment = a.environment AND e.experiment = a.experiment
        )
    ), t.stopped
    FROM experiment_arm a LEFT JOIN experiment_stop t ON t.experiment = a.experiment
    WHERE a.environment = ? {persons} ORDER BY a.uid, a.experiment
"""
_ADD_ARM: Final = (
    "ON CONFLICT (uid, environment, experiment, variant) DO UPDATE SET first_ts = min(first_ts, excluded.first_ts)"
)


_ADD_CONVERSION: Final = (
    "ON CONFLICT (uid, environment, experiment, ts) DO UPDATE SET"
    " tolerance_us = max(tolerance_us, excluded.tolerance_us)"
)


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted exposures and conversions."""
    for environment, found in _facts(transaction, new).items():
        uids = {uid for uid, _, _ in found.exposures} | {uid for uid, _, _, _ in found.conversions}
        person = _persons(transaction.connection, uids)
        with _changing(transaction.connection, environment, set(person.values())) as connection:
            connection.executemany(
                f"INSERT INTO experiment_arm VALUES (?, ?, ?, ?, ?) {_ADD_ARM}",
                [(environment, person[uid], *key, ts) for (uid, *key), ts in found.exposures.items()],
            )
            connection.executemany(
                f"INSERT INTO experiment_conversion VALUES (?, ?, ?, ?, ?) {_ADD_CONVERSION}",
                [(environment, person[uid], *key) for uid, *key in found.conversions],
            )


def _facts(transaction: Transaction, new: Accepted) -> dict[int, _Facts]:
    """Return what each environment of a batch says."""
    found: defaultdict[int, _Facts] = defaultdict(lambda: _Facts({}, set()))
    if Exposure in new:
        for environment, columns in _apart(transaction, new[Exposure], "experiment", "variant", "reason", "ts"):
            found[environment].exposures.update(_exposures(columns))
    if AbConversion in new:
        for environment, columns in _apart(transaction, new[AbConversion], "experiment", "ts", "client_clock"):
            found[environment].conversions.update(_conversions(columns))
    converting = transaction.definitions.experiment_event_types
    if UserEvent in new and not converting.isdisjoint(new[UserEvent].fields["type"]):
        for environment, columns in _apart(transaction, new[UserEvent], "type", "properties", "ts"):
            found[environment].conversions.update(_told_by_events(columns, converting))
    return found


def _apart(transaction: Transaction, given: Facts, *fields: str) -> Iterator[tuple[int, Columns]]:
    columns = (given.stored["uid"], *(given.fields[field] for field in fields))
    return environments.apart(transaction.connection, given.stored["origin"], columns)


def _exposures(columns: Columns) -> dict[tuple[int, str, str], int]:
    """Return when users first met a variant that chance gave them."""
    found: dict[tuple[int, str, str], int] = {}
    for uid, experiment, variant, reason, ts in zip(*columns, strict=True):
        if reason == semconv.FEATURE_FLAG_REASON_SPLIT and variant:
            key = (uid, experiment, variant)
            found[key] = min(ts, found.get(key, ts))
    return found


def _conversions(columns: Columns) -> Iterator[tuple[int, str, int, int]]:
    for uid, experiment, ts, client_clock in zip(*columns, strict=True):
        yield uid, experiment, ts, CLOCK_TOLERANCE_US if client_clock else 0


def _told_by_events(columns: Columns, converting: Container[str]) -> Iterator[tuple[int, str, int, int]]:
    uids, types, properties, times = columns
    for i in compress(count(), map(converting.__contains__, types)):
        experiment = experiment_of(properties[i])
        if experiment is not None:
            yield uids[i], experiment, times[i], 0


def _experiment_in(extra: str | None) -> str | None:
    """As `experiment_of`, of a stored event; SQLite's own JSON functions end a text at its first NUL."""
    return experiment_of(_decode_extra(extra).properties) if extra else None


def _persons(connection: sqlite3.Connection, uids: Iterable[int]) -> dict[int, int]:
    """Return the person behind each user."""
    return dict(rows_in(connection, "SELECT uid, person FROM person_of WHERE uid IN", uids))


@contextmanager
def _changing(connection: sqlite3.Connection, environment: int, persons: set[int]) -> Iterator[sqlite3.Connection]:
    """Let the cells of an environment follow what is done inside to some persons."""
    changes = CellChanges()
    _add_persons(connection, environment, changes, persons, -1)
    yield connection
    _add_persons(connection, environment, changes, persons, 1)
    add_cells(connection, changes, environment)


def _add_persons(
    connection: sqlite3.Connection, environment: int, changes: CellChanges, persons: set[int], sign: int
) -> None:
    for part in chunks(persons):
        rows = connection.execute(_ARMS.format(persons=f"AND a.uid IN {marks(len(part))}"), (environment, *part))
        _add_units(changes, _units(rows), sign)


def _units(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of each person in each test."""
    for _, of_unit in groupby(rows, key=itemgetter(0, 1)):
        yield list(of_unit)


def _add_units(changes: CellChanges, units: Iterable[list[tuple[Any, ...]]], sign: int = 1) -> None:
    for unit in units:
        arms = [(variant, first_ts) for _, _, variant, first_ts, _, _ in unit]
        _, experiment, *_, converted_ts, stopped_ts = unit[0]
        add_unit(changes, experiment, arms, converted_ts, sign, stopped_ts=stopped_ts)


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make the exposures and conversions of two persons those of one."""
    for environment in _environments_of(transaction.connection, {gone}):
        given = {"environment": environment, "into": into, "gone": gone}
        with _changing(transaction.connection, environment, {into, gone}) as connection:
            connection.execute(
                "INSERT INTO experiment_arm SELECT environment, :into, experiment, variant, first_ts"
                f" FROM experiment_arm WHERE environment = :environment AND uid = :gone {_ADD_ARM}",
                given,
            )
            connection.execute(
                "INSERT INTO experiment_conversion SELECT environment, :into, experiment, ts, tolerance_us"
                " FROM experiment_conversion WHERE environment = :environment AND uid = :gone"
                f" {_ADD_CONVERSION}",
                given,
            )
            _delete(connection, environment, {gone})


def forget(connection: sqlite3.Connection, uids: Iterable[int]) -> None:
    """Erase persons: their assignments, their conversions, and what they contributed."""
    erased = set(uids)
    for environment in _environments_of(connection, erased):
        with _changing(connection, environment, erased):
            _delete(connection, environment, erased)


def _environments_of(connection: sqlite3.Connection, persons: set[int]) -> list[int]:
    select = "SELECT DISTINCT environment FROM {} WHERE uid IN"
    return sorted({e for table in _OF_PERSONS for (e,) in rows_in(connection, select.format(table), persons)})


def _delete(connection: sqlite3.Connection, environment: int, persons: set[int]) -> None:
    for table in _OF_PERSONS:
        connection.executemany(
            f"DELETE FROM {table} WHERE environment = ? AND uid = ?", [(environment, person) for person in persons]
        )


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells are counted once the facts are there: a person's exposures before and after the horizon are one story."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Compute users and cells from the facts, and from what those that are gone have left."""
    connection, converting = transaction.connection, sorted(transaction.definitions.experiment_event_types)
    connection.create_function("experiment_in", 1, _experiment_in, deterministic=True)
    told_by_events = _RECOUNT_TOLD_BY_EVENTS.format(",".join("?" * len(converting)))
    for table, statement, given in (
        ("exposure", _RECOUNT_ARMS, ()),
        ("ab_conversion", _RECOUNT_CONVERSIONS, ()),
        ("event", told_by_events, converting),
    ):
        for ids in facts.id_ranges(connection, table):
            connection.execute(statement, (*ids, *given))
            yield
    connection.execute(f"DELETE FROM {ARM_HOURS.name}")
    for environment in environments.seen(connection):
        changes = CellChanges()
        units_of_all = _units(connection.execute(_ARMS.format(persons=""), (environment,)))
        for units in chunks(units_of_all, _UNITS_AT_ONCE):
            _add_units(changes, units)
            yield
        add_cells(connection, changes, environment)
    yield


_UNITS_AT_ONCE: Final = 5000
_RECOUNT_ARMS: Final = (
    "INSERT INTO experiment_arm SELECT environment, person, experiment, variant, min(ts)"
    " FROM exposure JOIN person_of USING (uid) JOIN environment_of USING (origin)"
    f" WHERE id BETWEEN ? AND ? AND reason = '{semconv.FEATURE_FLAG_REASON_SPLIT}' AND variant <> ''"
    f" GROUP BY 1, 2, 3, 4 {_ADD_ARM}"
)
_RECOUNT_CONVERSIONS: Final = (
    "INSERT INTO experiment_conversion SELECT environment, person, experiment, ts,"
    f" iif(json_extract(extra, '$.client_clock'), {CLOCK_TOLERANCE_US}, 0) FROM ab_conversion"
    f" JOIN person_of USING (uid) JOIN environment_of USING (origin) WHERE id BETWEEN ? AND ? {_ADD_CONVERSION}"
)
_RECOUNT_TOLD_BY_EVENTS: Final = (
    "INSERT INTO experiment_conversion SELECT environment, person, experiment_in(extra), ts, 0"
    " FROM event JOIN person_of USING (uid) JOIN environment_of USING (origin)"
    f" WHERE id BETWEEN ? AND ? AND type IN ({{}}) AND experiment_in(extra) IS NOT NULL {_ADD_CONVERSION}"
)
