"""Answers to surveys as rows: the last one of each person and day; `definitions/answers.py` tells what they count."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from otel_measure.definitions.answers import NEVER, DayAnswer, add_answers, last_of_days
from otel_measure.definitions.cells import ANSWERS, CellChanges
from otel_measure.records.ids import id_text
from otel_measure.records.kinds import NpsResponse
from otel_measure.store.sqlite import environments
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.environments import Columns
from otel_measure.store.sqlite.facts import READ_AT_ONCE
from otel_measure.store.sqlite.persons import roots
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction

Group: TypeAlias = tuple[int, int, str]  # environment, person, survey
TABLES: Final = ("nps_day", ANSWERS.name)
FROZEN: Final[Mapping[str, str]] = {"nps_day": "day < :day"}


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted answers."""
    if NpsResponse not in new:
        return
    uids, fields = new[NpsResponse].stored["uid"], new[NpsResponse].fields
    columns = (uids, *(fields[field] for field in ("survey", "ts", "id", "score")))
    for environment, mine in environments.apart(transaction.connection, new[NpsResponse].stored["origin"], columns):
        _merge(transaction, environment, mine)


def _merge(transaction: Transaction, environment: int, columns: Columns) -> None:
    """Merge answers of an environment: the columns uid, survey, ts, id and score."""
    connection, day_of = transaction.connection, transaction.day_of
    merged, _ = roots(connection, environment, columns[0])
    groups: dict[Group, list[DayAnswer]] = {}
    for uid, survey, ts, key, score in zip(*columns, strict=True):
        group = (environment, merged.get(uid, uid), survey)
        groups.setdefault(group, []).append(DayAnswer(day_of(ts), ts, key, score))
    changes = CellChanges()
    for group, new in groups.items():
        _replace(connection, changes, group, stored(connection, group), new)
    add_cells(connection, changes, environment)


def _replace(
    connection: sqlite3.Connection,
    changes: CellChanges,
    group: Group,
    before: Sequence[DayAnswer],
    new: Sequence[DayAnswer],
) -> None:
    after = last_of_days((*before, *new))
    *_, survey = group
    add_answers(changes, survey, before, -1)
    add_answers(changes, survey, after)
    connection.executemany(
        "INSERT OR REPLACE INTO nps_day VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*group, *answer) for answer in after if answer not in before],
    )


def stored(connection: sqlite3.Connection, group: Group) -> list[DayAnswer]:
    """Return the answers of one person to one survey in one environment, ascending."""
    rows = connection.execute(
        "SELECT day, ts, id, score FROM nps_day WHERE environment = ? AND uid = ? AND survey = ? ORDER BY day", group
    )
    return [DayAnswer(*row) for row in rows]


def _groups(connection: sqlite3.Connection, condition: str = "", *given: int) -> dict[int, list[Group]]:
    """Return whose answers to which survey are stored, by environment."""
    rows = connection.execute(f"SELECT DISTINCT environment, uid, survey FROM nps_day {condition} ORDER BY 1", given)
    return {environment: list(of_it) for environment, of_it in groupby(rows, key=itemgetter(0))}


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make the answers of two persons those of one."""
    connection = transaction.connection
    for environment, groups in _groups(connection, "WHERE uid = ?", gone).items():
        changes = CellChanges()
        for group in groups:
            answers, of_both = stored(connection, group), (environment, into, group[2])
            add_answers(changes, group[2], answers, -1)
            _replace(connection, changes, of_both, stored(connection, of_both), answers)
        add_cells(connection, changes, environment)
    connection.execute("DELETE FROM nps_day WHERE uid = ?", (gone,))


def forget(transaction: Transaction, uid: int) -> None:
    """Take back a person's answers."""
    connection = transaction.connection
    _add_groups(connection, _groups(connection, "WHERE uid = ?", uid), -1)
    connection.execute("DELETE FROM nps_day WHERE uid = ?", (uid,))


def _add_groups(connection: sqlite3.Connection, groups: Mapping[int, Sequence[Group]], sign: int = 1) -> None:
    for environment, of_it in groups.items():
        changes = CellChanges()
        for group in of_it:
            add_answers(changes, group[2], stored(connection, group), sign)
        add_cells(connection, changes, environment)


def restore(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Count the answers whose facts are gone."""
    connection = transaction.connection
    for environment in environments.seen(connection):
        changes = CellChanges()
        rows = connection.execute(
            "SELECT DISTINCT environment, uid, survey FROM nps_day WHERE environment = ?", (environment,)
        )
        for groups in chunks(rows, READ_AT_ONCE):
            for group in groups:
                add_answers(changes, group[2], stored(connection, group))
            yield
        add_cells(connection, changes, environment)
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Replay the facts; an answer that is there already changes nothing."""
    connection = transaction.connection
    rows = connection.execute("SELECT origin, uid, survey, ts, id, score FROM nps_response")
    for answers in chunks(rows, READ_AT_ONCE):
        origins, uids, surveys, times, keys, given = zip(*answers, strict=True)
        columns = (uids, surveys, times, list(map(id_text, keys)), given)
        for environment, mine in environments.apart(connection, origins, columns):
            _merge(transaction, environment, mine)
        yield


def scores(
    connection: sqlite3.Connection, environment: int, first_day: int, last_day: int, survey: str | None = None
) -> Counter[int]:
    """Return how many persons gave each score with their last answer in the days, per survey or pooled over all."""
    rows = connection.execute(
        "SELECT score, sum(n) FROM nps_cell WHERE environment = ?5 AND day BETWEEN ?1 AND ?2"
        " AND (until = ?4 OR day + until > ?2) AND (?3 IS NULL OR survey = ?3) GROUP BY score",
        (first_day, last_day, survey, NEVER, environment),
    )
    return Counter({score: int(n) for score, n in rows})
