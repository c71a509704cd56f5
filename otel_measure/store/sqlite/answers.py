"""Answers to surveys as rows: the last one of each person and day; `definitions/answers.py` tells what they count."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from otel_measure.definitions.answers import NEVER, DayAnswer, add_answers, last_of_days
from otel_measure.definitions.cells import ANSWERS, CellChanges
from otel_measure.records.ids import id_text
from otel_measure.records.kinds import NpsResponse
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.facts import READ_AT_ONCE
from otel_measure.store.sqlite.persons import roots
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction

Group: TypeAlias = tuple[int, str]  # person, survey
TABLES: Final = ("nps_day", ANSWERS.name)
FROZEN: Final[Mapping[str, str]] = {"nps_day": "day < :day"}


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted answers."""
    if NpsResponse not in new:
        return
    uids, fields = new[NpsResponse].stored["uid"], new[NpsResponse].fields
    answers = zip(uids, *(fields[field] for field in ("survey", "ts", "id", "score")), strict=True)
    day_of = transaction.day_of
    _merge(
        transaction, ((uid, survey, DayAnswer(day_of(ts), ts, key, score)) for uid, survey, ts, key, score in answers)
    )


def _merge(transaction: Transaction, answers: Iterable[tuple[int, str, DayAnswer]]) -> None:
    found = list(answers)
    merged, _ = roots(transaction.connection, {uid for uid, *_ in found})
    groups: dict[Group, list[DayAnswer]] = {}
    for uid, survey, answer in found:
        groups.setdefault((merged.get(uid, uid), survey), []).append(answer)
    changes = CellChanges()
    for group, new in groups.items():
        _replace(transaction.connection, changes, group, stored(transaction.connection, group), new)
    add_cells(transaction.connection, changes)


def _replace(
    connection: sqlite3.Connection,
    changes: CellChanges,
    group: Group,
    before: Sequence[DayAnswer],
    new: Sequence[DayAnswer],
) -> None:
    after = last_of_days((*before, *new))
    add_answers(changes, group[1], before, -1)
    add_answers(changes, group[1], after)
    connection.executemany(
        "INSERT OR REPLACE INTO nps_day VALUES (?, ?, ?, ?, ?, ?)",
        [(*group, *answer) for answer in after if answer not in before],
    )


def stored(connection: sqlite3.Connection, group: Group) -> list[DayAnswer]:
    """Return the answers of one person to one survey, ascending."""
    rows = connection.execute("SELECT day, ts, id, score FROM nps_day WHERE uid = ? AND survey = ? ORDER BY day", group)
    return [DayAnswer(*row) for row in rows]


def _by_survey(connection: sqlite3.Connection, uid: int) -> dict[str, list[DayAnswer]]:
    surveys = connection.execute("SELECT DISTINCT survey FROM nps_day WHERE uid = ?", (uid,)).fetchall()
    return {survey: stored(connection, (uid, survey)) for (survey,) in surveys}


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make the answers of two persons those of one."""
    connection, changes = transaction.connection, CellChanges()
    for survey, answers in _by_survey(connection, gone).items():
        add_answers(changes, survey, answers, -1)
        _replace(connection, changes, (into, survey), stored(connection, (into, survey)), answers)
    connection.execute("DELETE FROM nps_day WHERE uid = ?", (gone,))
    add_cells(connection, changes)


def forget(transaction: Transaction, uid: int) -> None:
    """Take back a person's answers."""
    changes = CellChanges()
    for survey, answers in _by_survey(transaction.connection, uid).items():
        add_answers(changes, survey, answers, -1)
    transaction.connection.execute("DELETE FROM nps_day WHERE uid = ?", (uid,))
    add_cells(transaction.connection, changes)


def restore(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Count the answers whose facts are gone."""
    connection, changes = transaction.connection, CellChanges()
    for groups in chunks(connection.execute("SELECT DISTINCT uid, survey FROM nps_day"), READ_AT_ONCE):
        for group in groups:
            add_answers(changes, group[1], stored(connection, group))
        yield
    add_cells(connection, changes)
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Replay the facts; an answer that is there already changes nothing."""
    for answers in chunks(facts_of(transaction), READ_AT_ONCE):
        _merge(transaction, answers)
        yield


def facts_of(transaction: Transaction) -> Iterator[tuple[int, str, DayAnswer]]:
    """Yield every answer that the connection knows as `nps_response`."""
    for uid, survey, ts, key, score in transaction.connection.execute(
        "SELECT uid, survey, ts, id, score FROM nps_response"
    ):
        yield uid, survey, DayAnswer(transaction.day_of(ts), ts, id_text(key), score)


def scores(connection: sqlite3.Connection, first_day: int, last_day: int, survey: str | None = None) -> Counter[int]:
    """Return how many persons gave each score with their last answer in the days, per survey or pooled over all."""
    rows = connection.execute(
        "SELECT score, sum(n) FROM nps_cell WHERE day BETWEEN ?1 AND ?2 AND (until = ?4 OR day + until > ?2)"
        " AND (?3 IS NULL OR survey = ?3) GROUP BY score",
        (first_day, last_day, survey, NEVER),
    )
    return Counter({score: int(n) for score, n in rows})
