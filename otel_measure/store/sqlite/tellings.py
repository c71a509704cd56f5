"""What tells of single calls, as rows: spans, facts and events of the last two hours, and of which call each tells.

Which call that is, `following.py` finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from otel_measure.conventions import semconv
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.runs import SPANS_KEPT_US
from otel_measure.definitions.same_calls import MOST_OF_A_RESPONSE, OVERLAP_US
from otel_measure.definitions.tellings import Telling
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.anonymous import without_user
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference, Record
from otel_measure.records.tombstones import tombstone
from otel_measure.store.sqlite import chunks, erasures
from otel_measure.store.sqlite.chunks import change_in, rows_in
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.calls import TellingOutcome
from otel_measure.store.types.facts import ERASED, TOO_OLD, Receipt

MAX_SPANS: Final = 1_000_000
_COLUMNS: Final = (
    *("id", "trace", "span", "parent", "kind", "began", "ts", "process", "scope", "operation", "response"),
    *("record", "call", "step"),
)
_REFUSED: Final[Mapping[Receipt, TellingOutcome]] = {TOO_OLD: "too_old", ERASED: "erased"}
_USER: Final = f"json_extract(record, '$.\"{semconv.ATTR_USER_ID}\"')"
_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Inference).decode
_step = msgspec.json.Decoder(AgentStep).decode


class TellingRow(NamedTuple):
    """A telling, its process by number, and the call that it was found to tell of."""

    telling: Telling
    process: int
    call: str | None


def processes(connection: sqlite3.Connection, sources: Iterable[str]) -> dict[str, int]:
    """Return the number of each process; a new one gets one."""
    wanted = sorted(set(sources))
    connection.executemany("INSERT OR IGNORE INTO process (source) VALUES (?)", [(each,) for each in wanted])
    return dict(rows_in(connection, "SELECT source, id FROM process WHERE source IN", wanted))


def admitted(
    told: Sequence[Telling], records: Sequence[Inference], allowed: Sequence[Record], receipts: Sequence[Receipt]
) -> tuple[list[Telling], dict[str, TellingOutcome]]:
    """Return what may be taken, and what becomes of the rest by its id.

    Args:
        told: what came.
        records: the calls that it tells of, in its order.
        allowed: the same calls as they may be kept, such as without a user.
        receipts: what is said of each.
    """
    refused = {
        record.id: _REFUSED[receipt] for record, receipt in zip(records, receipts, strict=True) if receipt in _REFUSED
    }
    if allowed is records and not refused:
        return list(told), refused
    as_kept = {record.id: record for record in allowed}
    return [each.of(as_kept.get(each.id)) for each in told if each.id not in refused], refused


class NewRows(NamedTuple):
    """What is new of some tellings.

    Attributes:
        rows: of each telling, `None` for one that was told before.
        known_traces: those of their traces of which something is stored.
    """

    rows: list[TellingRow | None]
    known_traces: set[str]


def new_rows(transaction: Transaction, told: Sequence[Telling]) -> NewRows:
    """Return the rows of those tellings that are new; they are not inserted yet."""
    connection = transaction.connection
    known_traces = {trace.hex() for trace in present(connection, "trace", traces_of(told))}
    known = _known(connection, told, known_traces)
    numbers = processes(connection, {each.process for each in told})
    key = erasures.key(connection) if any(each.step is not None for each in told) else b""
    rows: list[TellingRow | None] = []
    for telling in told:
        if (telling_id := telling.id) in known:
            rows.append(None)
            continue
        known.add(telling_id)
        if telling.step is not None:
            telling = telling._replace(step=_hashed(telling.step, telling.trace_id, key))
        rows.append(TellingRow(telling, numbers[telling.process], None))
    return NewRows(rows, known_traces)


def insert(connection: sqlite3.Connection, rows: Mapping[str, TellingRow], call_of: Mapping[str, str]) -> None:
    """Insert new rows, by their ids.

    Args:
        connection: to the store.
        rows: those of `new_rows`.
        call_of: the call that each was found to tell of, where that was asked already.
    """
    stored = [_stored(each, row, call_of.get(each)) for each, row in rows.items()]
    chunks.insert(connection, "telling", _COLUMNS, stored)


def _known(connection: sqlite3.Connection, told: Sequence[Telling], known_traces: set[str]) -> set[str]:
    """Return the ids of those that were told before."""
    # The id of a span has its trace in it; a fact may have come under its id from elsewhere.
    asked = [each.id for each in told if each.kind == "fact" or each.trace_id in known_traces]
    known = {each for (each,) in rows_in(connection, "SELECT id FROM telling WHERE id IN", asked)}
    of_calls = [each.id for each in told if each.record is not None and each.id not in known]
    keys = id_keys(of_calls)
    stored = {key for (key,) in rows_in(connection, "SELECT id FROM inference WHERE id IN", keys)}
    known |= {each for each, key in zip(of_calls, keys, strict=True) if key in stored}
    return known | _told_before(connection, [each for each in told if each.step is not None and each.id not in known])


def traces_of(told: Iterable[Telling]) -> set[bytes]:
    """Return the traces in which some tellings stand."""
    return {bytes.fromhex(trace) for trace in {each.trace_id for each in told}}


def present(connection: sqlite3.Connection, column: Literal["trace", "response"], values: Iterable[Any]) -> set[Any]:
    """Return those values of a column that any row has."""
    found: set[Any] = set()
    for part in chunks.chunks(values):
        listed = ",".join(["(?)"] * len(part))
        rows = connection.execute(
            f"WITH asked (value) AS (VALUES {listed}) SELECT value FROM asked"
            f" WHERE EXISTS (SELECT 1 FROM telling WHERE {column} = value)",
            part,
        )
        found.update(value for (value,) in rows)
    return found


def _told_before(connection: sqlite3.Connection, steps: Sequence[Telling]) -> set[str]:
    """Return the ids of those whose run or use is stored: they were told before, and are forgotten as tellings."""
    spans = {(bytes.fromhex(each.trace_id), bytes.fromhex(each.span_id)): each.id for each in steps}
    traces = sorted({trace for trace, _ in spans})
    stored = {
        (trace, span)
        for table in ("agent_run", "tool_use")
        for trace, span in rows_in(connection, f"SELECT trace, span FROM {table} WHERE trace IN", traces)
    }
    return {spans[key] for key in spans.keys() & stored}


def _stored(telling_id: str, row: TellingRow, call: str | None) -> tuple[Any, ...]:
    telling = row.telling
    return (
        telling_id,
        bytes.fromhex(telling.trace_id),
        bytes.fromhex(telling.span_id),
        bytes.fromhex(telling.parent_id) if telling.parent_id else None,
        telling.kind,
        telling.began_us,
        telling.ended_us,
        row.process,
        telling.scope,
        telling.operation,
        telling.response_id,
        None if telling.record is None else _encode(telling.record).decode(),
        call,
        None if telling.step is None else _encode(telling.step).decode(),
    )


def _hashed(step: AgentStep, trace_id: str, key: bytes) -> AgentStep:
    """Return a step with a keyed hash in place of its arguments: what is equal in one trace is seen to be equal."""
    if step.arguments is None:
        return step
    said = "\0".join((trace_id, step.name, step.arguments))
    return msgspec.structs.replace(step, arguments=tombstone(key, said).hex())


def _row(row: tuple[Any, ...]) -> TellingRow:
    _, trace, span, parent, kind, began, ts, process, scope, operation, response, record, call, step, source = row
    telling = Telling(
        kind,
        trace.hex(),
        span.hex(),
        parent.hex() if parent else None,
        source,
        scope,
        operation,
        response,
        began,
        ts,
        _record(record) if record else None,
        _step(step) if step else None,
    )
    return TellingRow(telling, process, call)


_READ: Final = ",".join(f"t.{column}" for column in _COLUMNS)
_SELECT: Final = f"SELECT {_READ}, p.source FROM telling t JOIN process p ON p.id = t.process"


def load(connection: sqlite3.Connection, where: str, values: Iterable[Any]) -> dict[str, TellingRow]:
    """Return the rows for which a condition that ends with IN holds, by their ids."""
    rows = map(_row, rows_in(connection, f"{_SELECT} WHERE {where}", values))
    return {row.telling.id: row for row in rows}


def of_response(connection: sqlite3.Connection, telling: Telling) -> dict[str, TellingRow]:
    """Return the rows that tell of the same response at the same time."""
    rows = connection.execute(
        f"{_SELECT} WHERE t.response = ? AND t.ts >= ? AND t.began <= ? LIMIT {4 * MOST_OF_A_RESPONSE}",
        (telling.response_id, telling.began_us - OVERLAP_US, telling.ended_us + OVERLAP_US),
    )
    return {each.telling.id: each for each in map(_row, rows)}


def with_calls(connection: sqlite3.Connection, traces: Iterable[bytes]) -> set[bytes]:
    """Return those traces of which a row tells of a call."""
    select = "SELECT DISTINCT trace FROM telling WHERE record IS NOT NULL AND trace IN"
    return {trace for (trace,) in rows_in(connection, select, sorted(traces))}


def of_traces(connection: sqlite3.Connection, traces: Sequence[bytes]) -> list[tuple[Telling, str | None]]:
    """Return all that is told about traces, each with the call that it tells of."""
    return [(row.telling, row.call) for row in load(connection, "t.trace IN", traces).values()]


def untold(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return the ids of tellings of which it was not yet asked of which call they tell."""
    rows = connection.execute("SELECT id FROM telling WHERE record IS NOT NULL AND call IS NULL LIMIT ?", (limit,))
    return [each for (each,) in rows]


def call_of(connection: sqlite3.Connection, telling_id: str) -> str | None:
    """Return the id of the call that a span or fact tells of, `None` where it is not known."""
    row = connection.execute("SELECT call FROM telling WHERE id = ?", (telling_id,)).fetchone()
    return row[0] if row else None


# ---------------------------------------------------------------- upkeep


def sweep(connection: sqlite3.Connection, now: int) -> None:
    """Forget what is older than two hours, and of the spans between calls the oldest beyond a million."""
    connection.execute(
        "DELETE FROM telling WHERE trace = x'' AND ts < ? AND call IS NOT NULL OR ts < ? OR ts > ?",
        (now - SPANS_KEPT_US, now - DAY_US, now + DAY_US),
    )
    # A trace goes as a whole: of a part of it another call would be made.
    connection.execute(
        "DELETE FROM telling WHERE trace <> x'' AND trace IN"
        " (SELECT trace FROM telling GROUP BY trace HAVING max(ts) < ?)",
        (now - SPANS_KEPT_US,),
    )
    connection.execute(
        "DELETE FROM process WHERE changed = 0 AND id NOT IN (SELECT process FROM telling UNION"
        " SELECT process FROM growth UNION SELECT process FROM single UNION SELECT process FROM unshown)"
    )
    connection.execute("DELETE FROM overshown WHERE process NOT IN (SELECT id FROM process)")
    beyond = int(connection.execute("SELECT count(*) FROM telling WHERE record IS NULL").fetchone()[0]) - MAX_SPANS
    if beyond > 0:
        oldest = "SELECT {} FROM telling WHERE record IS NULL ORDER BY ts, id LIMIT ?"
        connection.execute(f"UPDATE agent_run SET incomplete = 1 WHERE trace IN ({oldest.format('trace')})", (beyond,))
        connection.execute(f"DELETE FROM telling WHERE id IN ({oldest.format('id')})", (beyond,))


def forget_users(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Take the users out of all that tells of their calls, whoever of these names them."""
    connection.executemany(
        "UPDATE telling SET record = ? WHERE id = ?",
        [(_encode(without_user(_record(record))).decode(), each) for each, record in _of_users(connection, ids)],
    )


def forget_steps(connection: sqlite3.Connection, ids: Sequence[str], traces: Iterable[bytes]) -> None:
    """Have tellings that name users, and all of some traces, tell of no run and of no use any more."""
    change_in(connection, "UPDATE telling SET step = NULL WHERE step IS NOT NULL AND trace IN", sorted(traces))
    change_in(connection, "UPDATE telling SET step = NULL WHERE json_extract(step, '$.user_id') IN", ids)


def of_users(connection: sqlite3.Connection, ids: Sequence[str]) -> list[Inference]:
    """Return what tells of the calls of users, as if each were the call."""
    return [_record(record) for _, record in _of_users(connection, ids)]


def _of_users(connection: sqlite3.Connection, ids: Sequence[str]) -> set[tuple[str, str]]:
    naming = list(rows_in(connection, f"SELECT id, record, trace FROM telling WHERE {_USER} IN", ids))
    # What names nobody in the same trace may be of theirs as well: a span around several calls says it of all.
    nameless = f"SELECT id, record, trace FROM telling WHERE record IS NOT NULL AND {_USER} IS NULL AND trace IN"
    traces = sorted({trace for *_, trace in naming} - {b""})
    return {(each, record) for each, record, _ in (*naming, *rows_in(connection, nameless, traces))}


def users(connection: sqlite3.Connection) -> list[str]:
    """Return the users whom tellings name."""
    rows = connection.execute(f"SELECT DISTINCT {_USER} FROM telling WHERE record IS NOT NULL")
    of_steps = connection.execute("SELECT DISTINCT json_extract(step, '$.user_id') FROM telling WHERE step IS NOT NULL")
    return sorted({user for (user,) in (*rows, *of_steps) if user is not None})
