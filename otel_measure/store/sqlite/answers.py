"""Answers to "how likely are you to recommend us": the last one of each person, for every window of days.

An answer is a person's last in a window that ends with day D when their next one is after D, so cells by the days until
the next answer make every such question a sum.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias

from otel_measure.records.ids import id_text
from otel_measure.records.kinds import NpsResponse
from otel_measure.store.sqlite.persons import roots
from otel_measure.store.sqlite.tally import ANSWERS, Tally
from otel_measure.store.sqlite.transaction import Accepted, Transaction

Group: TypeAlias = tuple[int, str]  # person, survey
NEVER: Final = -1


class Answer(NamedTuple):
    """A person's last answer to a survey on one day."""

    day: int
    ts: int
    id: str
    score: int


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted answers."""
    if NpsResponse not in new:
        return
    uids, fields = new[NpsResponse].stored["uid"], new[NpsResponse].fields
    answers = zip(uids, *(fields[field] for field in ("survey", "ts", "id", "score")), strict=True)
    day_of = transaction.day_of
    _merge(transaction, ((uid, survey, Answer(day_of(ts), ts, key, score)) for uid, survey, ts, key, score in answers))


def _merge(transaction: Transaction, answers: Iterable[tuple[int, str, Answer]]) -> None:
    found = list(answers)
    merged, _ = roots(transaction.connection, {uid for uid, *_ in found})
    groups: dict[Group, list[Answer]] = {}
    for uid, survey, answer in found:
        groups.setdefault((merged.get(uid, uid), survey), []).append(answer)
    tally = Tally()
    for group, new in groups.items():
        _replace(transaction.connection, tally, group, stored(transaction.connection, group), new)
    tally.write(transaction.connection)


def _replace(
    connection: sqlite3.Connection, tally: Tally, group: Group, before: Sequence[Answer], new: Sequence[Answer]
) -> None:
    after = last_of_days((*before, *new))
    _tally(tally, group[1], before, -1)
    _tally(tally, group[1], after, 1)
    connection.executemany(
        "INSERT OR REPLACE INTO nps_day VALUES (?, ?, ?, ?, ?, ?)",
        [(*group, *answer) for answer in after if answer not in before],
    )


def last_of_days(answers: Iterable[Answer]) -> list[Answer]:
    """Return the last answer of each day by (ts, id), ascending."""
    return list({answer.day: answer for answer in sorted(answers)}.values())


def _tally(tally: Tally, survey: str, answers: Sequence[Answer], sign: int) -> None:
    for answer, after in zip_longest(answers, answers[1:]):
        until = after.day - answer.day if after else NEVER
        tally.add(ANSWERS, (answer.day, survey, until, answer.score), (1,), sign)


def stored(connection: sqlite3.Connection, group: Group) -> list[Answer]:
    """Return the answers of one person to one survey, ascending."""
    rows = connection.execute("SELECT day, ts, id, score FROM nps_day WHERE uid = ? AND survey = ? ORDER BY day", group)
    return [Answer(*row) for row in rows]


def _by_survey(connection: sqlite3.Connection, uid: int) -> dict[str, list[Answer]]:
    surveys = connection.execute("SELECT DISTINCT survey FROM nps_day WHERE uid = ?", (uid,)).fetchall()
    return {survey: stored(connection, (uid, survey)) for (survey,) in surveys}


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make the answers of two persons those of one."""
    connection, tally = transaction.connection, Tally()
    for survey, answers in _by_survey(connection, gone).items():
        _tally(tally, survey, answers, -1)
        _replace(connection, tally, (into, survey), stored(connection, (into, survey)), answers)
    connection.execute("DELETE FROM nps_day WHERE uid = ?", (gone,))
    tally.write(connection)


def forget(transaction: Transaction, uid: int) -> None:
    """Take back a person's answers."""
    tally = Tally()
    for survey, answers in _by_survey(transaction.connection, uid).items():
        _tally(tally, survey, answers, -1)
    transaction.connection.execute("DELETE FROM nps_day WHERE uid = ?", (uid,))
    tally.write(transaction.connection)


def clear(transaction: Transaction, frozen_before: int) -> None:
    """Forget the answers whose facts are still there."""
    connection, tally = transaction.connection, Tally()
    connection.execute("DELETE FROM nps_day WHERE day >= ?", (frozen_before,))
    connection.execute("DELETE FROM nps_cell")
    for group in connection.execute("SELECT DISTINCT uid, survey FROM nps_day").fetchall():
        _tally(tally, group[1], stored(connection, group), 1)
    tally.write(connection)


def rebuild(transaction: Transaction) -> None:
    """Replay the facts."""
    _merge(transaction, facts_of(transaction))


def facts_of(transaction: Transaction) -> Iterator[tuple[int, str, Answer]]:
    """Yield every answer that the connection knows as `nps_response`."""
    for uid, survey, ts, key, score in transaction.connection.execute(
        "SELECT uid, survey, ts, id, score FROM nps_response"
    ):
        yield uid, survey, Answer(transaction.day_of(ts), ts, id_text(key), score)


def scores(connection: sqlite3.Connection, first_day: int, last_day: int, survey: str | None = None) -> Counter[int]:
    """Return how many persons gave each score with their last answer in the days, per survey or pooled over all."""
    rows = connection.execute(
        "SELECT score, sum(n) FROM nps_cell WHERE day BETWEEN ?1 AND ?2 AND (until = -1 OR day + until > ?2)"
        " AND (?3 IS NULL OR survey = ?3) GROUP BY score",
        (first_day, last_day, survey),
    )
    return Counter({score: int(n) for score, n in rows})
