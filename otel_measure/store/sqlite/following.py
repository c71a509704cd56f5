"""Calls that follow what is told: which of the rows of `tellings.py` tell of one call, and what is stored of it.

Which do is a function of all that is known of a trace and of a response (`definitions/same_calls.py`). It is asked anew
whenever something comes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.model_ties import names_of
from otel_measure.definitions.same_calls import SameCall, same_calls
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference
from otel_measure.store.sqlite import facts, tellings
from otel_measure.store.sqlite.amending import Correction
from otel_measure.store.sqlite.chunks import change_in, insert
from otel_measure.store.sqlite.tellings import TellingRow
from otel_measure.store.sqlite.transaction import Transaction

_OF_SINGLE: Final = (
    *("call", "process", "ts", "asked", "answered", "failed", "input_tokens", "output_tokens", "cost_nano_usd"),
    "counts",
)
_ROUNDS: Final = 16  # of responses in traces of other responses


class Followed(NamedTuple):
    """What became of calls.

    Attributes:
        new_calls: their ids.
        reassigned: how many calls that counters show were taken back.
        traces: those that tell of any of the calls.
        call_of: the call that each row was found to tell of.
    """

    new_calls: set[str]
    reassigned: int
    traces: set[bytes]
    call_of: Mapping[str, str]


NOTHING: Final = Followed(set(), 0, set(), {})


def follow_stored(transaction: Transaction, ids: Iterable[str]) -> Followed:
    """Have the calls that are stored follow what stored rows say, and these say of which call they tell."""
    waiting = tellings.load(transaction.connection, "t.id IN", ids)
    return _follow(transaction, waiting, {}, set())


def follow_new(transaction: Transaction, new: Mapping[str, TellingRow], known_traces: set[str]) -> Followed:
    """Have the calls that are stored follow what new rows say, which are inserted after it.

    Args:
        transaction: the open one.
        new: the rows, by their ids.
        known_traces: those of their traces of which something is stored.
    """
    return _follow(transaction, new, new, {row.telling.trace_id for row in new.values()} - known_traces)


def _follow(
    transaction: Transaction, given: Mapping[str, TellingRow], new: Mapping[str, TellingRow], new_traces: set[str]
) -> Followed:
    connection = transaction.connection
    rows = _around(connection, given, new_traces)
    if not rows:
        return NOTHING
    calls = {call.record.id: call for call in same_calls(row.telling for row in rows.values())}
    call_of = {told: call_id for call_id, call in calls.items() for told in call.told_by}
    present = {row.call for row in rows.values() if row.call is not None}
    # A call of which new rows alone tell is under the id of one of them, which no call that is stored has.
    stored = stored_calls(connection, present | (calls.keys() - new.keys()))
    # What a call adds to counters goes from the process that told of it to the one that tells of it now.
    process_of = {each: rows[call_of.get(each, each)].process for each in rows}
    by_spans = {each for each, row in rows.items() if row.telling.kind == "call"}
    correction = Correction(process_of, measured(connection, process_of.values()), by_spans)
    for each, call in calls.items():
        if each in stored or each not in present:  # else it was counted, and purged since
            _compare(call, stored.get(each), correction)
    correction.removed += [stored[each] for each in sorted(present - calls.keys()) if each in stored and each in rows]
    reassigned = correction.apply(transaction)
    changed = [
        (call_of[each], each)
        for each, row in rows.items()
        if each not in new and call_of.get(each, row.call) != row.call
    ]
    connection.executemany("UPDATE telling SET call = ? WHERE id = ?", changed)
    _note_singles(connection, rows, calls)
    traces = {bytes.fromhex(trace) for trace in {row.telling.trace_id for row in rows.values()}}
    return Followed({each.id for each in correction.added} - present, reassigned, traces, call_of)


def _compare(call: SameCall, stored: Inference | None, correction: Correction) -> None:
    if stored is None:
        correction.added.append(call.record)
        return
    wanted = call.record
    if wanted.version == semconv.VERSION_UNKNOWN and wanted.response_model is None:
        wanted = msgspec.structs.replace(wanted, version=stored.version)  # found by its neighbours
    if wanted != stored:
        correction.replaced.append((stored, wanted))


def _around(
    connection: sqlite3.Connection, given: Mapping[str, TellingRow], new_traces: set[str]
) -> dict[str, TellingRow]:
    """Return all that may tell of the same calls: the traces of some rows, and others of the same responses.

    Args:
        connection: to the store.
        given: the rows, by their ids.
        new_traces: of which nothing is stored.
    """
    rows = dict(given)
    traces: set[str] = set()
    asked: set[str] = set()
    for _ in range(_ROUNDS):
        new = {row.telling.trace_id for row in rows.values()} - traces - {""}
        traces |= new
        rows |= _of_traces_with_calls(connection, new - new_traces, rows.values())
        responses = {each: row for each, row in rows.items() if row.telling.response_id and each not in asked}
        if not responses:
            break
        asked |= responses.keys()
        known = tellings.present(connection, "response", {row.telling.response_id for row in responses.values()})
        for row in responses.values():
            if row.telling.response_id in known:
                rows |= tellings.of_response(connection, row.telling)
    traces.add("")
    whole = {each: row for each, row in rows.items() if row.telling.trace_id in traces}
    return whole if any(row.telling.record is not None for row in whole.values()) else {}


def _of_traces_with_calls(
    connection: sqlite3.Connection, traces: set[str], rows: Iterable[TellingRow]
) -> dict[str, TellingRow]:
    """Return what is stored of those traces in which a row, stored or one of these, tells of a call."""
    of_calls = traces & {row.telling.trace_id for row in rows if row.telling.record is not None}
    stored = tellings.with_calls(connection, map(bytes.fromhex, traces - of_calls))
    return tellings.load(connection, "t.trace IN", sorted(stored | set(map(bytes.fromhex, of_calls))))


def stored_calls(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Inference]:
    """Return calls as they are stored, by their ids."""
    records = facts.read_by_id(connection, facts.INFERENCE, id_keys(sorted(set(ids))))
    return {record.id: record for record in records if isinstance(record, Inference)}


# ---------------------------------------------------------------- what metrics are compared with


def _note_singles(
    connection: sqlite3.Connection, rows: Mapping[str, TellingRow], calls: Mapping[str, SameCall]
) -> None:
    """Note by which record the metrics of each process know the calls."""
    number = {row.telling.process: row.process for row in rows.values()}
    before = {row.call for row in rows.values() if row.call in rows}
    change_in(connection, "DELETE FROM single WHERE call IN", sorted(before | calls.keys()))
    singles = [
        _single(call, process, number[process], record) for call in calls.values() for process, record in call.singles
    ]
    insert(connection, "single", _OF_SINGLE, singles)
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
