"""Alerts as rows: the term of who evaluates is looked at in the transaction that writes what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from otel_measure.definitions.alerting.incidents import AlertIncident, Notification
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.definitions.alerting.lateness import DAYS
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.states import AlertChange, AlertState
from otel_measure.definitions.alerting.turn import Turn
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.heartbeats import Run, joined_run
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.transaction import Writing
from otel_measure.store.types.alerts import (
    AlertDelivery,
    EvaluatorTerm,
    LastEvaluation,
    LateDay,
    ReceiverState,
    WaitingNotification,
)

HISTORY_US: Final = 90 * 24 * 3600 * 1_000_000
REFUSED: Final = "alerts_refused"  # the key of `meta` that says when a process with other rules was refused last
# Whoever takes over, or comes again after a restart, has missed no more than senders try again for.
_LONGEST_UNWATCHED_US: Final = 180 * 1_000_000
MOST_WAITING: Final = 1000  # of one receiver: more than anybody reads, and a bound for who never takes any
_encode = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(AlertState).decode
_incident = msgspec.msgpack.Decoder(AlertIncident).decode
_change = msgspec.msgpack.Decoder(AlertChange).decode
_silence = msgspec.msgpack.Decoder(Silence).decode
_decode_delivery = msgspec.msgpack.Decoder(AlertDelivery).decode
_notification = msgspec.msgpack.Decoder(Notification).decode
_GIVE_UP: Final = """
    DELETE FROM alert_outbox WHERE receiver = ?1
    AND seq <= (SELECT seq FROM alert_outbox WHERE receiver = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
"""
_RECEIVER: Final = "INSERT INTO alert_receiver VALUES (?, 0, 0, 0, 0) ON CONFLICT DO NOTHING"


class SqliteAlertWriter:
    """Satisfies `otel_measure.store.protocol.AlertWriter`.

    Args:
        writing: opens a write transaction.
        believed_us: returns what is believed of a time, within a transaction.
    """

    def __init__(self, writing: Writing, believed_us: Callable[[int], int]) -> None:
        self._writing = writing
        self._believed_us = believed_us

    def take_term(self, holder: str, digest: str, now: int, until: int) -> EvaluatorTerm:
        """Take or keep the right to evaluate by the rules of a digest."""
        with self._writing() as transaction:
            connection, believed = transaction.connection, self._believed_us(now)
            until += believed - now
            row = connection.execute("SELECT holder, term, until, digest, evaluated FROM alert_evaluator").fetchone()
            if row is None:
                connection.execute("INSERT INTO alert_evaluator VALUES (1, ?, 1, ?, ?, 0)", (holder, until, digest))
                _watch(connection, believed, until - believed)
                return EvaluatorTerm(1)
            known, term, ends, by, evaluated = row
            # One that lies further ahead than two of its length was taken before the clock was set back.
            is_free = ends < believed or ends > until + max(until - believed, 0)
            if known != holder and not is_free:
                if by == digest:
                    return EvaluatorTerm(0, "another evaluates")
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (REFUSED, str(believed)))
                return EvaluatorTerm(0, "other rules")
            term += known != holder
            connection.execute(
                "UPDATE alert_evaluator SET holder = ?, term = ?, until = ?, digest = ?", (holder, term, until, digest)
            )
            _watch(connection, believed, until - believed)
            return EvaluatorTerm(term, evaluated_us=evaluated if ends else 0)

    def give_up_term(self, holder: str) -> None:
        """Let another process evaluate, at once."""
        with self._writing() as transaction:
            transaction.connection.execute("UPDATE alert_evaluator SET until = 0 WHERE holder = ?", (holder,))

    def write_turn(self, term: int, turn: Turn, receivers: Collection[str], now: int) -> bool:
        """Keep what a turn leaves, and note what is to be told, if the term still runs; return whether it does."""
        with self._writing(durable=True) as transaction:
            connection = transaction.connection
            (current,) = connection.execute("SELECT term FROM alert_evaluator").fetchone()
            if current != term:
                return False
            _keep(connection, turn)
            connection.execute("DELETE FROM alert_history WHERE ts < ?", (now - HISTORY_US,))
            connection.execute("DELETE FROM alert_silence WHERE ends < ?", (now - HISTORY_US,))
            connection.execute("DELETE FROM alert_delivery WHERE at < ?", (now - HISTORY_US,))
            for receiver in receivers if turn.notifications else ():
                _note(connection, receiver, turn.notifications)
            connection.execute("UPDATE alert_evaluator SET evaluated = ?", (now,))
            return True

    def note_late(self, days: Sequence[LateDay], now: int) -> None:
        """Keep how late calls became known, of each subject and day the longest; forget it of days before a week."""
        with self._writing() as transaction:
            connection, today = transaction.connection, self._believed_us(now) // DAY_US
            connection.executemany(
                "INSERT INTO alert_lateness VALUES (?, ?, ?, ?, ?) ON CONFLICT (environment, kind, name, day)"
                " DO UPDATE SET late_us = max(late_us, excluded.late_us)",
                [(*subject, day, late_us) for subject, day, late_us in days],
            )
            connection.execute("DELETE FROM alert_lateness WHERE day < ?", (today - DAYS,))

    def note_delivered(self, receiver: str, seqs: Sequence[int], now: int) -> None:
        """Note that a receiver has taken notifications, which wait no longer: it is well."""
        with self._writing(durable=True) as transaction:
            connection = transaction.connection
            taken = rows_in(connection, "SELECT notification FROM alert_outbox WHERE seq IN", seqs)
            connection.executemany(
                "UPDATE alert_delivery SET taken = ? WHERE notification = ? AND receiver = ?",
                [(now, _notification(row).id, receiver) for (row,) in taken],
            )
            connection.executemany("DELETE FROM alert_outbox WHERE seq = ?", [(seq,) for seq in seqs])
            connection.execute(
                "UPDATE alert_receiver SET failures = 0, failing_since = 0, due = 0, given_up = 0 WHERE receiver = ?",
                (receiver,),
            )

    def note_failed(self, receiver: str, now: int, due: int) -> None:
        """Note that a receiver took nothing, and when it is asked again."""
        with self._writing() as transaction:
            transaction.connection.execute(_RECEIVER, (receiver,))
            transaction.connection.execute(
                "UPDATE alert_receiver SET failing_since = iif(failures = 0, ?, failing_since),"
                " failures = failures + 1, due = ? WHERE receiver = ?",
                (now, due, receiver),
            )

    def add_silence(self, silence: Silence) -> None:
        """Add a silence, or replace the one of its id; durable."""
        with self._writing(durable=True) as transaction:
            transaction.connection.execute(
                "INSERT OR REPLACE INTO alert_silence VALUES (?, ?, ?)", (silence.id, silence.ends_us, _encode(silence))
            )

    def end_silence(self, silence_id: str) -> bool:
        """Remove a silence; return whether there was one."""
        with self._writing(durable=True) as transaction:
            gone = transaction.connection.execute("DELETE FROM alert_silence WHERE id = ?", (silence_id,))
            return gone.rowcount > 0


def _watch(connection: sqlite3.Connection, at: int, term_us: int) -> None:
    """Note that somebody evaluates: join the runs that this turn reaches to one that holds it."""
    gap_us = max(term_us, _LONGEST_UNWATCHED_US)
    latest = connection.execute(
        "SELECT first, last FROM alert_watch WHERE first <= ? ORDER BY first DESC LIMIT 2", (at + gap_us,)
    ).fetchall()
    reached, joined = joined_run(latest, at, gap_us)
    connection.executemany("DELETE FROM alert_watch WHERE first = ?", [(first,) for first, _ in reached])
    connection.execute("INSERT INTO alert_watch VALUES (?, ?)", joined)
    connection.execute("DELETE FROM alert_watch WHERE last < ?", (at - HISTORY_US,))


def _keep(connection: sqlite3.Connection, turn: Turn) -> None:
    connection.execute("DELETE FROM alert_state")
    connection.executemany(
        "INSERT INTO alert_state VALUES (?, ?, ?, ?, ?)",
        [(state.rule, *state.subject, _encode(state)) for state in turn.states],
    )
    connection.execute("DELETE FROM alert_incident")
    connection.executemany(
        "INSERT INTO alert_incident VALUES (?, ?)", [(incident.id, _encode(incident)) for incident in turn.incidents]
    )
    connection.executemany(
        "INSERT INTO alert_history (ts, change) VALUES (?, ?)",
        [(change.at_us, _encode(change)) for change in turn.changes],
    )


def _note(connection: sqlite3.Connection, receiver: str, notifications: Sequence[Notification]) -> None:
    """Note what a receiver is to be told; the oldest beyond the bound are given up, and counted."""
    connection.executemany(
        "INSERT INTO alert_outbox (receiver, notification) VALUES (?, ?)",
        [(receiver, _encode(notification)) for notification in notifications],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO alert_delivery (notification, receiver, at, delivery) VALUES (?, ?, ?, ?)",
        [(one.id, receiver, one.at_us, _encode(_delivery(one, receiver))) for one in notifications],
    )
    given_up = connection.execute(_GIVE_UP, (receiver, MOST_WAITING)).rowcount
    if given_up:
        connection.execute(_RECEIVER, (receiver,))
        connection.execute("UPDATE alert_receiver SET given_up = given_up + ? WHERE receiver = ?", (given_up, receiver))


def _delivery(told: Notification, receiver: str) -> AlertDelivery:
    return AlertDelivery(told.incident, told.subject, told.opened_us, told.status, told.at_us, receiver)


class SqliteAlertQuestions:
    """Satisfies `otel_measure.store.questions.AlertQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def last_evaluation(self) -> LastEvaluation | None:
        """Return who evaluated last, by which rules and when; `None` where nobody ever did."""
        row = self._connection.execute(
            "SELECT holder, until, digest, evaluated,"
            " coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?), 0) FROM alert_evaluator",
            (REFUSED,),
        ).fetchone()
        return None if row is None else LastEvaluation(*row)

    def watched(self, since: int) -> list[Run]:
        """Return when somebody evaluated, from `since` on, ascending: the first and the last turn of unbroken runs."""
        rows = self._connection.execute("SELECT first, last FROM alert_watch WHERE last >= ? ORDER BY first", (since,))
        return [(first, last) for first, last in rows]

    def late_days(self, environment: str) -> list[LateDay]:
        """Return how late calls of an environment became known, by subject and day."""
        rows = self._connection.execute(
            "SELECT kind, name, day, late_us FROM alert_lateness WHERE environment = ?", (environment,)
        )
        return [LateDay(AlertSubject(kind, name, environment), day, late_us) for kind, name, day, late_us in rows]

    def states(self) -> list[AlertState]:
        """Return every alert that is not inactive, sorted by rule and subject."""
        rows = self._connection.execute("SELECT state FROM alert_state ORDER BY rule, kind, name, environment")
        return [_state(row) for (row,) in rows]

    def incidents(self) -> list[AlertIncident]:
        """Return the incidents that are open, the oldest first."""
        rows = self._connection.execute("SELECT incident FROM alert_incident")
        return sorted((_incident(row) for (row,) in rows), key=lambda incident: (incident.opened_us, incident.id))

    def history(self, since: int, limit: int) -> list[AlertChange]:
        """Return what fired and was resolved since then, the newest first, at most `limit`."""
        rows = self._connection.execute(
            "SELECT change FROM alert_history WHERE ts >= ? ORDER BY ts DESC, seq DESC LIMIT ?", (since, limit)
        )
        return [_change(row) for (row,) in rows]

    def silences(self, now: int) -> list[Silence]:
        """Return the silences that have not ended, sorted by their end."""
        rows = self._connection.execute("SELECT silence FROM alert_silence WHERE ends > ? ORDER BY ends, id", (now,))
        return [_silence(row) for (row,) in rows]

    def deliveries(self, since: int) -> list[AlertDelivery]:
        """Return who was to be told of what since then, and when they took it, the oldest first."""
        rows = self._connection.execute(
            "SELECT delivery, taken FROM alert_delivery WHERE at >= ? ORDER BY at, notification, receiver", (since,)
        )
        return [_decode_delivery(row)._replace(taken_us=taken) for row, taken in rows]

    def waiting(self, receiver: str) -> list[WaitingNotification]:
        """Return what a receiver has not taken yet, the oldest first."""
        rows = self._connection.execute(
            "SELECT seq, notification FROM alert_outbox WHERE receiver = ? ORDER BY seq", (receiver,)
        )
        return [WaitingNotification(seq, _notification(row)) for seq, row in rows]

    def receivers(self) -> dict[str, ReceiverState]:
        """Return how it goes with each receiver that ever failed, by name."""
        rows = self._connection.execute(
            "SELECT receiver, failures, failing_since, due, given_up FROM alert_receiver ORDER BY receiver"
        )
        return {row[0]: ReceiverState(*row) for row in rows}
