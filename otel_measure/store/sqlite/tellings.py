"""What tells of single calls, as rows: spans, facts and events of the last two hours, and the call that each tells of.

Which of them tell of one call is a function of all that is known of a trace and of a response
(`definitions/same_calls.py`). It is asked anew whenever something comes, and what is stored follows.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.model_ties import names_of
from otel_measure.definitions.runs import SPANS_KEPT_US
from otel_measure.definitions.same_calls import MOST_OF_A_RESPONSE, OVERLAP_US, SameCall, same_calls
from otel_measure.definitions.tellings import Telling
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.anonymous import without_user
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.sqlite import erasures, facts
from otel_measure.store.sqlite.amending import Correction
from otel_measure.store.sqlite.chunks import change_in, rows_in
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.calls import TellingOutcome
from otel_measure.store.types.facts import ERASED, TOO_OLD, Receipt

_DAY_US: Final = 24 * 3_600_000_000
MAX_SPANS: Final = 1_000_000
_ROUNDS: Final = 16  # of responses in traces of other responses
_COLUMNS: Final = "id, trace, span, parent, kind, began, ts, process, scope, operation, response, record, call, step"
_MARKS: Final = ",".join("?" * len(_COLUMNS.split(",")))
_REFUSED: Final[Mapping[Receipt, TellingOutcome]] = {TOO_OLD: "too_old", ERASED: "erased"}
_USER: Final = f"json_extract(record, '$.\"{semconv.ATTR_USER_ID}\"')"
_encode = msgspec.json.Encoder().encode
_record = msgspec.json.Decoder(Inference).decode
_step = msgspec.json.Decoder(AgentStep).decode


class _Row(NamedTuple):
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
    as_kept = {record.id: record for record in allowed}
    return [each.of(as_kept.get(each.id)) for each in told if each.id not in refused], refused


def store(transaction: Transaction, tellings: Sequence[Telling]) -> list[bool]:
    """Store tellings; return which are new."""
    connection = transaction.connection
    numbers = processes(connection, (each.process for each in tellings))
    ids = [each.id for each in tellings]
    known = {each for (each,) in rows_in(connection, "SELECT id FROM telling WHERE id IN", ids)}
    of_calls = [each.id for each in tellings if each.record is not None and each.id not in known]
    keys = id_keys(of_calls)
    stored = {key for (key,) in rows_in(connection, "SELECT id FROM inference WHERE id IN", keys)}
    known |= {each for each, key in zip(of_calls, keys, strict=True) if key in stored}
    known |= _told_before(connection, [each for each in tellings if each.step is not None and each.id not in known])
    fresh, rows = [], []
    key = erasures.key(connection) if any(each.step is not None for each in tellings) else b""
    for telling in tellings:
        is_new = telling.id not in known
        fresh.append(is_new)
        if is_new:
            known.add(telling.id)
            rows.append(_stored(telling, numbers[telling.process], key))
    connection.executemany(f"INSERT INTO telling ({_COLUMNS}) VALUES ({_MARKS})", rows)
    return fresh


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


def _stored(telling: Telling, process: int, key: bytes) -> tuple[Any, ...]:
    record = None if telling.record is None else _encode(telling.record).decode()
    return (
        telling.id,
        bytes.fromhex(telling.trace_id),
        bytes.fromhex(telling.span_id),
        bytes.fromhex(telling.parent_id) if telling.parent_id else None,
        telling.kind,
        telling.began_us,
        telling.ended_us,
        process,
        telling.scope,
        telling.operation,
        telling.response_id,
        record,
        None,
        None if telling.step is None else _encode(_hashed(telling.step, telling.trace_id, key)).decode(),
    )


def _hashed(step: AgentStep, trace_id: str, key: bytes) -> AgentStep:
    """Return a step with a keyed hash in place of its arguments: what is equal in one trace is seen to be equal."""
    if step.arguments is None:
        return step
    said = "\0".join((trace_id, step.name, step.arguments))
    digest = hmac.digest(key, said.encode("utf-8", "surrogatepass"), hashlib.sha256)[: erasures.DIGEST_BYTES]
    return msgspec.structs.replace(step, arguments=digest.hex())


def _row(row: tuple[Any, ...]) -> _Row:
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
    return _Row(telling, process, call)


_SELECT: Final = f"SELECT {', '.join('t.' + c.strip() for c in _COLUMNS.split(','))}, p.source FROM telling t JOIN process p ON p.id = t.process"  # noqa: E501


# ---------------------------------------------------------------- which calls they tell of


def untold(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return the ids of tellings of which it was not yet asked of which call they tell."""
    rows = connection.execute("SELECT id FROM telling WHERE record IS NOT NULL AND call IS NULL LIMIT ?", (limit,))
    return [each for (each,) in rows]


class Followed(NamedTuple):
    """What became of calls: the ids of new ones, how many were taken back, and the traces that tell of any of them."""

    new_calls: set[str]
    reassigned: int
    traces: set[bytes]


def follow(transaction: Transaction, ids: Iterable[str]) -> Followed:
    """Have the calls that are stored follow what new tellings say."""
    rows = _around(transaction.connection, list(ids))
    if not rows:
        return Followed(set(), 0, set())
    calls = {call.record.id: call for call in same_calls(row.telling for row in rows.values())}
    call_of = {told: call.record.id for call in calls.values() for told in call.told_by}
    present = {row.call for row in rows.values() if row.call is not None}
    stored = stored_calls(transaction.connection, {*present, *calls})
    # What a call adds to counters goes from the process that told of it to the one that tells of it now.
    process_of = {each: rows[call_of.get(each, each)].process for each in rows}
    by_spans = {each for each, row in rows.items() if row.telling.kind == "call"}
    correction = Correction(process_of, measured(transaction.connection, process_of.values()), by_spans)
    for each, call in calls.items():
        if each in stored or each not in present:  # else it was counted, and purged since
            _compare(call, stored.get(each), correction)
    correction.removed += [stored[each] for each in sorted(present - calls.keys()) if each in stored and each in rows]
    reassigned = correction.apply(transaction)
    _note_calls(transaction.connection, rows, calls, call_of)
    traces = {bytes.fromhex(row.telling.trace_id) for row in rows.values()}
    return Followed({each.id for each in correction.added} - present, reassigned, traces)


def _compare(call: SameCall, stored: Inference | None, correction: Correction) -> None:
    if stored is None:
        correction.added.append(call.record)
        return
    wanted = call.record
    if wanted.version == semconv.VERSION_UNKNOWN and wanted.response_model is None:
        wanted = msgspec.structs.replace(wanted, version=stored.version)  # found by its neighbours
    if wanted != stored:
        correction.replaced.append((stored, wanted))


def _around(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, _Row]:
    """Return all that may tell of the same calls: the traces of some tellings, and others of the same responses."""
    rows = _load(connection, "t.id IN", ids)
    traces: set[bytes] = set()
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        new = {bytes.fromhex(row.telling.trace_id) for row in rows.values()} - traces - {b""}
        traces |= new
        rows |= _load(connection, "t.trace IN", sorted(_with_calls(connection, new)))
        responses = [row for row in rows.values() if row.telling.response_id and row.telling.id not in asked]
        if not responses:
            break
        asked |= {row.telling.id for row in responses}
        for row in responses:
            rows |= _of_response(connection, row)
    whole = {each: row for each, row in rows.items() if bytes.fromhex(row.telling.trace_id) in {*traces, b""}}
    return whole if any(row.telling.record is not None for row in whole.values()) else {}


def of_traces(connection: sqlite3.Connection, traces: Sequence[bytes]) -> list[tuple[Telling, str | None]]:
    """Return all that is told about traces, each with the call that it tells of."""
    return [(row.telling, row.call) for row in _load(connection, "t.trace IN", traces).values()]


def _with_calls(connection: sqlite3.Connection, traces: Iterable[bytes]) -> set[bytes]:
    select = "SELECT DISTINCT trace FROM telling WHERE record IS NOT NULL AND trace IN"
    return {trace for (trace,) in rows_in(connection, select, sorted(traces))}


def _load(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> dict[str, _Row]:
    rows = map(_row, rows_in(connection, f"{_SELECT} WHERE {where}", values))
    return {row.telling.id: row for row in rows}


def _of_response(connection: sqlite3.Connection, row: _Row) -> dict[str, _Row]:
    """Return what tells of the same response at the same time."""
    rows = connection.execute(
        f"{_SELECT} WHERE t.response = ? AND t.ts >= ? AND t.began <= ? LIMIT {4 * MOST_OF_A_RESPONSE}",
        (row.telling.response_id, row.telling.began_us - OVERLAP_US, row.telling.ended_us + OVERLAP_US),
    )
    return {each.telling.id: each for each in map(_row, rows)}


def stored_calls(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Inference]:
    """Return calls as they are stored, by their ids."""
    records = facts.read_by_id(connection, facts.INFERENCE, id_keys(sorted(set(ids))))
    return {record.id: record for record in records if isinstance(record, Inference)}


# ---------------------------------------------------------------- what metrics are compared with


def _note_calls(
    connection: sqlite3.Connection,
    rows: Mapping[str, _Row],
    calls: Mapping[str, SameCall],
    call_of: Mapping[str, str],
) -> None:
    """Note of which call each telling tells, and by which record the metrics of each process know it."""
    changed = [(call_of[each], each) for each, row in rows.items() if call_of.get(each, row.call) != row.call]
    connection.executemany("UPDATE telling SET call = ? WHERE id = ?", changed)
    number = {row.telling.process: row.process for row in rows.values()}
    before = {row.call for row in rows.values() if row.call in rows}
    change_in(connection, "DELETE FROM single WHERE call IN", sorted(before | calls.keys()))
    connection.executemany(
        "INSERT INTO single VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            _single(call, process, number[process], record)
            for call in calls.values()
            for process, record in call.singles
        ],
    )
    note_changed(connection, number.values())


def _single(call: SameCall, source: str, process: int, record: Inference) -> tuple[Any, ...]:
    cost = None if record.cost_usd is None else round(record.cost_usd * instruments.NANO)
    failed = record.error_type is not None
    names = names_of(record)
    counts = source == call.process
    return (
        *(call.record.id, process, record.ts, *names, failed),
        *(record.input_tokens, record.output_tokens, cost, counts),
    )


def measured(connection: sqlite3.Connection, numbers: Iterable[int]) -> set[int]:
    """Return those of the processes whose metrics have told of calls in the last hours."""
    return {n for n in set(numbers) if connection.execute("SELECT 1 FROM growth WHERE process = ?", (n,)).fetchone()}


def note_changed(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Note that what the metrics of processes tell beyond their single calls is to be counted anew."""
    connection.executemany("UPDATE process SET changed = 1 WHERE id = ? AND changed = 0", [(n,) for n in set(numbers)])


def call_of(connection: sqlite3.Connection, telling_id: str) -> str | None:
    """Return the id of the call that a span or fact tells of, `None` where it is not known."""
    row = connection.execute("SELECT call FROM telling WHERE id = ?", (telling_id,)).fetchone()
    return row[0] if row else None


# ---------------------------------------------------------------- upkeep


def sweep(connection: sqlite3.Connection, now: int) -> None:
    """Forget what is older than two hours, and of the spans between calls the oldest beyond a million."""
    connection.execute(
        "DELETE FROM telling WHERE trace = x'' AND ts < ? AND call IS NOT NULL OR ts < ? OR ts > ?",
        (now - SPANS_KEPT_US, now - _DAY_US, now + _DAY_US),
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
