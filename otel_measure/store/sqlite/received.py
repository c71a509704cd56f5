"""What is kept about senders of OTLP: who they are, which of their signals counts, and what their metrics mean.

Which signal counts is told in `definitions/signals.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from otel_measure.conventions import dialects, semconv
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.signals import Signal, metrics_count, verdict_of_call
from otel_measure.definitions.streams import Increment
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.records.anonymous import without_user
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference
from otel_measure.store.sqlite import models, totals
from otel_measure.store.sqlite.chunks import change_in, rows_in
from otel_measure.store.sqlite.models import CellKey
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.streams import HeldCall, Interpreter, Sender

MAX_HELD: Final = 100_000
MAX_REMEMBERED: Final = 10_000
_encode = msgspec.json.Encoder().encode
_inference = msgspec.json.Decoder(Inference).decode
_DAY_US: Final = 24 * HOUR_US
_USER: Final = f'$."{semconv.ATTR_USER_ID}"'  # in the JSON of a call


def note_senders(connection: sqlite3.Connection, senders: Iterable[Sender]) -> None:
    """Note who sends, and with which resource attributes."""
    connection.executemany(
        "INSERT INTO sender VALUES (?, ?, ?, ?, ?) ON CONFLICT (service, environment, instance)"
        " DO UPDATE SET attributes = excluded.attributes, ts = excluded.ts WHERE excluded.ts > ts",
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


def note_own_facts(connection: sqlite3.Connection, pairs: Iterable[tuple[str, str]], now: int) -> None:
    """Note that (source, model) record facts of our own: neither their metrics nor their spans count from now."""
    for source, model in sorted(pairs):
        connection.execute(
            "INSERT INTO source (source, model, via, ts) VALUES (?, ?, 'facts', ?)"
            " ON CONFLICT (source, model) DO UPDATE SET via = 'facts', ts = max(ts, excluded.ts)",
            (source, model, now),
        )
        connection.execute("DELETE FROM waiting WHERE source = ? AND model = ?", (source, model))


class NotedFacts:
    """Which (source, model) were noted lately, so that each is written once an hour.

    Not once for ever: one who goes on is not to be taken for one who was not heard of for long.
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], int] = {}

    def new(self, pairs: Iterable[tuple[str, str]], now: int) -> set[tuple[str, str]]:
        """Return those that are to be noted."""
        return {pair for pair in pairs if now - self._noted.get(pair, -HOUR_US) >= HOUR_US}

    def note(self, pairs: Iterable[tuple[str, str]], now: int) -> None:
        """Remember that they were."""
        if len(self._noted) >= MAX_REMEMBERED:
            self._noted.clear()
        self._noted.update(dict.fromkeys(pairs, now))


# ---------------------------------------------------------------- calls that only spans tell of


def hold_calls(connection: sqlite3.Connection, calls: Sequence[HeldCall], now: int, until: int) -> Sequence[Inference]:
    """Hold calls `until` metrics had time to come; return those that count at once."""
    room = MAX_HELD - int(connection.execute("SELECT count(*) FROM waiting").fetchone()[0])
    counting = []
    for call in calls:
        counting_signal = _counting_signal(connection, call.source, call.inference.model)
        is_told_already = _is_told_already(connection, call)
        verdict = verdict_of_call(counting_signal, is_told_already=is_told_already, has_room=room > 0)
        if verdict != "told already" and call.parent is not None:
            connection.execute("INSERT OR IGNORE INTO enclosing VALUES (?, ?)", (call.parent, now))
        if verdict == "hold":
            _hold(connection, call, until)
            room -= 1
        elif verdict == "count":
            counting.append(call.inference)
    return counting


def overdue_calls(connection: sqlite3.Connection, now: int) -> list[Inference]:
    """Return the held calls for which no metrics came; spans count of their processes and models from now on."""
    connection.execute(
        "INSERT OR IGNORE INTO source (source, model, via, ts)"
        " SELECT DISTINCT source, model, 'spans', ? FROM waiting WHERE due <= ?",
        (now, now),
    )
    rows = connection.execute(
        "SELECT w.record FROM waiting w JOIN source s ON s.source = w.source AND s.model = w.model"
        " WHERE s.via = 'spans' ORDER BY w.id LIMIT 10000"
    )
    return [_inference(record) for (record,) in rows]


def has_held_calls(connection: sqlite3.Connection) -> bool:
    """Tell whether any call is held."""
    return connection.execute("SELECT 1 FROM waiting LIMIT 1").fetchone() is not None


def held_model(connection: sqlite3.Connection, inference_id: str) -> ModelKey | None:
    """Return the model of a held call."""
    row = connection.execute("SELECT record FROM waiting WHERE id = ?", (inference_id,)).fetchone()
    if row is None:
        return None
    held = _inference(row[0])
    return held.model, held.version


def remove_held_calls(connection: sqlite3.Connection, inferences: Iterable[Inference]) -> None:
    """Remove held calls that were accepted."""
    connection.executemany("DELETE FROM waiting WHERE id = ?", [(inference.id,) for inference in inferences])


def forget_users(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Have held calls stay without users who were erased, and senders without the attributes that name them."""
    connection.executemany(
        "UPDATE waiting SET record = ? WHERE id = ?",
        [(_encode(without_user(call)).decode(), call.id) for call in held_of(connection, ids)],
    )
    for name in dialects.USER_ATTRIBUTES:
        path = f'$."{name}"'
        change_in(
            connection,
            f"UPDATE sender SET attributes = json_remove(attributes, '{path}')"
            f" WHERE json_extract(attributes, '{path}') IN",
            ids,
        )


def held_of(connection: sqlite3.Connection, ids: Sequence[str]) -> list[Inference]:
    """Return the held calls of users."""
    rows = rows_in(connection, f"SELECT record FROM waiting WHERE json_extract(record, '{_USER}') IN", ids)
    return [_inference(record) for (record,) in rows]


def held_users(connection: sqlite3.Connection) -> list[str]:
    """Return the users of held calls."""
    rows = connection.execute(f"SELECT DISTINCT json_extract(record, '{_USER}') FROM waiting")
    return [user for (user,) in rows if user is not None]


def _hold(connection: sqlite3.Connection, call: HeldCall, until: int) -> None:
    inference = call.inference
    connection.execute(
        "INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?, ?)",
        (inference.id, call.source, inference.model, until, _encode(inference).decode()),
    )


def _is_told_already(connection: sqlite3.Connection, call: HeldCall) -> bool:
    """Tell whether a span around or inside this one was taken; of two that are held, the inner one stays."""
    if connection.execute("SELECT 1 FROM enclosing WHERE id = ?", (call.inference.id,)).fetchone():
        return True
    if call.parent is None:
        return False
    connection.execute("DELETE FROM waiting WHERE id = ?", (call.parent,))
    return bool(connection.execute("SELECT 1 FROM inference WHERE id = ?", (id_key(call.parent),)).fetchone())


def _counting_signal(connection: sqlite3.Connection, source: str, model: str) -> Signal | None:
    row = connection.execute("SELECT via FROM source WHERE source = ? AND model = ?", (source, model)).fetchone()
    return row[0] if row else None


# ---------------------------------------------------------------- what metrics mean


def interpret(transaction: Transaction, increments: Sequence[Increment], interpreter: Interpreter) -> None:
    """Add what growth of foreign series means to the cells of models and to the totals."""
    counting = [increment for increment in increments if _claimed(transaction.connection, increment)]
    costs = {pair for increment in counting if (pair := _says_cost(transaction.connection, increment)) is not None}
    minutes: dict[CellKey, ModelUse] = {}
    sums: dict[TotalKey, Sum] = {}
    for ts, origin, use, added in interpreter([replace(one, cost_comes=_pair(one) in costs) for one in counting]):
        names = transaction.names
        key = (60, ts - ts % MINUTE_US, names.model(use.model, use.version), names.origin(origin))
        minutes.setdefault(key, ModelUse(use.model, use.version)).add(use)
        for instrument, value, attributes in added:
            sums.setdefault(TotalKey(instrument.name, attributes, origin), Sum(0)).count_value(instrument, value)
    models.add_minutes(transaction.connection, minutes, "received_cell")
    # No fact brings these back in a rebuild: they belong to what totals begin with.
    for into in ("total", "total_base"):
        totals.merge(transaction.connection, transaction.names, sums, into)


def _pair(increment: Increment) -> tuple[str, str]:
    series = increment.point.model_series
    return (series.source, series.model) if series is not None else ("", "")


def _claimed(connection: sqlite3.Connection, increment: Increment) -> bool:
    """Tell whether metrics count for this process and model; the first signal that is not held decides."""
    source, model = _pair(increment)
    signal = _counting_signal(connection, source, model)
    if signal is None:
        connection.execute(
            "INSERT INTO source (source, model, via, ts) VALUES (?, ?, 'metrics', ?)",
            (source, model, increment.point.ts),
        )
        connection.execute("DELETE FROM waiting WHERE source = ? AND model = ?", (source, model))
    return metrics_count(signal)


def _says_cost(connection: sqlite3.Connection, increment: Increment) -> tuple[str, str] | None:
    """Return the (process, model) of a series when metrics of theirs say the cost, now or before."""
    pair = _pair(increment)
    series = increment.point.model_series
    if series is not None and series.role == "cost":
        connection.execute("UPDATE source SET costs = 1 WHERE source = ? AND model = ?", pair)
        return pair
    row = connection.execute("SELECT costs FROM source WHERE source = ? AND model = ?", pair).fetchone()
    return pair if row and row[0] else None


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget processes that were not heard of for long."""
    oldest = now - history_days * _DAY_US
    connection.execute("DELETE FROM enclosing WHERE ts < ?", (now - HOUR_US,))
    connection.execute("DELETE FROM sender WHERE ts < ?", (oldest,))
    connection.execute("DELETE FROM source WHERE ts < ?", (oldest,))
