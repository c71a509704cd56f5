"""What is kept about senders of OTLP: who they are, with which resource attributes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from otel_measure.conventions import dialects
from otel_measure.definitions.days import DAY_US
from otel_measure.store.sqlite.chunks import change_in
from otel_measure.store.types.streams import Sender

_encode = msgspec.json.Encoder().encode


def note_senders(connection: sqlite3.Connection, senders: Iterable[Sender]) -> None:
    """Note who sends, and with which resource attributes."""
    connection.executemany(
        "INSERT INTO sender VALUES (?, ?, ?, ?, ?) ON CONFLICT (service, environment, instance)"
        " DO UPDATE SET attributes = excluded.attributes, ts = excluded.ts"
        f" WHERE excluded.ts > ts OR ts > excluded.ts + {DAY_US}",  # said by a clock that was ahead
        [(s.service, s.environment, s.instance, _encode(dict(s.attributes)).decode(), s.ts) for s in senders],
    )


def senders(connection: sqlite3.Connection, since: int) -> list[Sender]:
    """Return who has sent since then, sorted."""
    rows = connection.execute(
        "SELECT service, environment, instance, attributes, ts FROM sender WHERE ts > ?"
        " ORDER BY service, environment, instance",
        (since,),
    )
    return [Sender(s, e, i, msgspec.json.decode(attributes), ts) for s, e, i, attributes, ts in rows]


def forget_users(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Have senders stay without the attributes that name users who were erased."""
    for name in dialects.USER_ATTRIBUTES:
        path = f'$."{name}"'
        change_in(
            connection,
            f"UPDATE sender SET attributes = json_remove(attributes, '{path}')"
            f" WHERE json_extract(attributes, '{path}') IN",
            ids,
        )


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget processes that were not heard of for long."""
    connection.execute("DELETE FROM sender WHERE ts < ?", (now - history_days * DAY_US,))
