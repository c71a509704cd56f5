"""Versions of calls that do not say theirs: those that answered nearest in time, by what the same process tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from otel_measure.definitions import growth
from otel_measure.definitions.model_ties import ModelNames, ModelTies
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference
from otel_measure.store.sqlite import facts, following
from otel_measure.store.sqlite.amending import Correction
from otel_measure.store.sqlite.transaction import Transaction

_SILENT_AT_ONCE: Final = 10_000


def name(transaction: Transaction, process: int) -> int:
    """Have the single calls that do not say which version answered count to the one that answered nearest in time."""
    connection = transaction.connection
    silent: list[tuple[str, int, str]] = connection.execute(
        "SELECT s.call, s.ts, s.asked FROM single s JOIN telling t ON t.id = s.call AND t.kind = 'call'"
        " WHERE s.process = ? AND s.answered = '' AND s.asked <> '' AND s.counts = 1",
        (process,),
    ).fetchall()
    if not silent:
        return 0
    own = _answered(connection, process)
    nearest = {call: own.nearest(asked, ts) for call, ts, asked in silent}
    if missing := [(ts, asked) for call, ts, asked in silent if nearest[call] is None]:
        of_service = _answered_in_service(connection, process, missing)
        nearest = {call: nearest[call] or of_service.nearest(asked, ts) for call, ts, asked in silent}
    wanted = {call: growth.version_of(asked, nearest[call]) for call, _, asked in silent}
    correction = Correction(dict.fromkeys(wanted, process), following.measured(connection, [process]), wanted)
    for record in facts.read_by_id(connection, facts.INFERENCE, id_keys(sorted(wanted))):
        if isinstance(record, Inference) and record.response_model is None and record.version != wanted[record.id]:
            correction.replaced.append((record, msgspec.structs.replace(record, version=wanted[record.id])))
    return correction.apply(transaction) if correction.replaced else 0


def _answered(connection: sqlite3.Connection, process: int) -> growth.AnsweredCalls:
    rows = connection.execute("SELECT ts, asked, answered FROM single WHERE process = ? AND answered <> ''", (process,))
    return growth.AnsweredCalls(((ts, ModelNames(asked, answered)) for ts, asked, answered in rows), ModelTies({}))


def _answered_in_service(
    connection: sqlite3.Connection, process: int, missing: Sequence[tuple[int, str]]
) -> growth.AnsweredCalls:
    """Return the answered calls of the service around calls for which the process itself has none."""
    (source,) = connection.execute("SELECT source FROM process WHERE id = ?", (process,)).fetchone()
    service = source.rsplit("\n", 1)[0] + "\n"
    rows = connection.execute(
        "SELECT s.ts, s.asked, s.answered FROM process p JOIN single s ON s.process = p.id"
        " WHERE p.source >= ? AND p.source < ? AND s.answered <> '' AND s.ts BETWEEN ? AND ? LIMIT ?",
        (
            service,
            service[:-1] + "\x0b",
            min(missing)[0] - growth.NEAREST_US,
            max(missing)[0] + growth.NEAREST_US,
            _SILENT_AT_ONCE,
        ),
    )
    return growth.AnsweredCalls(((ts, ModelNames(asked, answered)) for ts, asked, answered in rows), ModelTies({}))
