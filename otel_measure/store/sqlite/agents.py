"""Runs of agents and uses of tools, as rows: they follow the tellings of a trace, and stay when these are forgotten."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from otel_measure.conventions.step_dialects import StepKind
from otel_measure.definitions.runs import AgentActivity, AgentRun, CallSums, ToolUse, ToolUses, runs_of
from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.sqlite import following, tellings
from otel_measure.store.sqlite.chunks import change_in, chunks, marks, rows_in
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.facts import Filter

Row: TypeAlias = tuple[Any, ...]
MAX_SPANS_OF_A_TRACE: Final = 20_000
"""A trace that has more is followed no further, and its runs are incomplete."""
RUNS: Final = "agent_run"
MAX_ROWS: Final[Mapping[str, int]] = {RUNS: 200_000, "tool_use": 2_000_000}
_DROPPED: Final = "dropped_"  # in `meta`, how many rows of a table went to make room


# ---------------------------------------------------------------- following


def follow(transaction: Transaction, traces: Iterable[bytes]) -> None:
    """Have runs and uses follow what is told about traces now."""
    connection = transaction.connection
    select = "SELECT DISTINCT trace FROM telling WHERE step IS NOT NULL AND trace IN"
    for part in chunks((trace for (trace,) in rows_in(connection, select, sorted(set(traces) - {b""}))), 50):
        size = Counter(trace for (trace,) in rows_in(connection, "SELECT trace FROM telling WHERE trace IN", part))
        too_large = [trace for trace in part if size[trace] > MAX_SPANS_OF_A_TRACE]
        change_in(connection, "UPDATE agent_run SET incomplete = 1 WHERE trace IN", too_large)
        _follow(transaction, [trace for trace in part if trace not in too_large])


def _follow(transaction: Transaction, traces: Sequence[bytes]) -> None:
    connection, names = transaction.connection, transaction.names
    by_trace = defaultdict[bytes, list[Telling]](list)
    call_of: dict[str, str] = {}
    for telling, call in tellings.of_traces(connection, traces):
        by_trace[bytes.fromhex(telling.trace_id)].append(telling)
        if call is not None:
            call_of[telling.id] = call
    calls = following.stored_calls(connection, call_of.values())
    for trace, told in by_trace.items():
        known: dict[str, Inference] = {each.id: calls[call] for each in told if (call := call_of.get(each.id)) in calls}
        said = runs_of(told, known)
        spans = {bytes.fromhex(each.span_id) for each in told if each.step is not None}
        _replace(connection, RUNS, trace, spans, [_run_row(run, names) for run in said.runs])
        _replace(connection, "tool_use", trace, spans, [_use_row(use, names) for use in said.uses])


def _replace(
    connection: sqlite3.Connection, table: str, trace: bytes, spans: set[bytes], wanted: Sequence[Row]
) -> None:
    """Have the rows of some spans of a trace be these; what stands there of other spans was told long ago."""
    stored: dict[bytes, Row] = {
        row[1]: row for row in connection.execute(f"SELECT * FROM {table} WHERE trace = ?", (trace,))
    }
    gone = (stored.keys() & spans) - {row[1] for row in wanted}
    connection.executemany(f"DELETE FROM {table} WHERE trace = ? AND span = ?", [(trace, span) for span in gone])
    changed = [row for row in wanted if stored.get(row[1]) != row]
    if changed:
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES {marks(len(changed[0]))}", changed)


def _run_row(run: AgentRun, names: Names) -> Row:
    return (
        bytes.fromhex(run.trace_id),
        bytes.fromhex(run.span_id),
        bytes.fromhex(run.outer_span_id) or None,
        *(run.kind, run.name, names.origin(run.origin), run.began_us, run.ended_us, run.error_type, run.user_id),
        int(run.incomplete),
        *map(int, run.own),
        *map(int, run.whole),
        *(run.uses, run.compared, run.loops, run.repeated, run.loop_cost_nano_usd),
    )


def _run(row: Row) -> AgentRun:
    trace, span, outer, kind, name, _, began, ts, error_type, user_id, incomplete, *sums = row
    *counts, service, environment = sums
    n = len(CallSums._fields)
    return AgentRun(
        trace.hex(), span.hex(), (outer or b"").hex(), kind, name, Origin(service, environment), began, ts,
        error_type, user_id, bool(incomplete), CallSums(*counts[:n]), CallSums(*counts[n : 2 * n]), *counts[2 * n :],
    )  # fmt: skip


def _use_row(use: ToolUse, names: Names) -> Row:
    return (
        bytes.fromhex(use.trace_id),
        bytes.fromhex(use.span_id),
        bytes.fromhex(use.run_span_id) or None,
        *(use.kind, use.name, names.origin(use.origin), use.began_us, use.ended_us, use.error_type),
    )


# ---------------------------------------------------------------- questions


def activity(connection: sqlite3.Connection, where: Filter, start: int, end: int) -> AgentActivity:
    """Return the runs that ended in [start, end), by their end, and the uses of tools, by kind and name."""
    runs = map(_run, _rows(connection, RUNS, "r.*, o.service, o.environment", where, start, end))
    took_us, failed = defaultdict[tuple[StepKind, str], list[int]](list), Counter[tuple[StepKind, str]]()
    columns = "r.kind, r.name, r.ts - r.began, r.error_type IS NOT NULL"
    for kind, name, took, has_failed in _rows(connection, "tool_use", columns, where, start, end):
        took_us[kind, name].append(took)
        failed[kind, name] += has_failed
    return AgentActivity(
        sorted(runs, key=lambda run: (run.ended_us, run.span_id)),
        [ToolUses(*tool, took_us[tool], failed[tool]) for tool in sorted(took_us)],
        _dropped(connection, RUNS),
        _dropped(connection, "tool_use"),
    )


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, where: Filter, start: int, end: int
) -> sqlite3.Cursor:
    wanted = {"service": where.service, "environment": where.environment}
    given = {column: value for column, value in wanted.items() if value is not None}
    narrowed = "".join(f" AND o.{column} = ?" for column in given)
    return connection.execute(
        f"SELECT {columns} FROM {table} r JOIN origin o ON o.id = r.origin WHERE r.ts >= ? AND r.ts < ?{narrowed}",
        (start, end, *given.values()),
    )


def _dropped(connection: sqlite3.Connection, table: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_DROPPED + table,)).fetchone()
    return int(row[0]) if row else 0


# ---------------------------------------------------------------- upkeep


def sweep(connection: sqlite3.Connection) -> None:
    """Have the oldest rows go where there are more than are kept, and count them."""
    for table, most in MAX_ROWS.items():
        beyond = int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) - most
        if beyond <= 0:
            continue
        oldest = f"SELECT trace, span FROM {table} ORDER BY ts, trace, span LIMIT ?"
        connection.execute(f"DELETE FROM {table} WHERE (trace, span) IN ({oldest})", (beyond,))
        connection.execute(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = value + ?2",
            (_DROPPED + table, str(beyond)),
        )


def forget_before(connection: sqlite3.Connection, horizon: int) -> None:
    """Remove what ended before a time."""
    for table in MAX_ROWS:
        connection.execute(f"DELETE FROM {table} WHERE ts < ?", (horizon,))


def forget_users(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Remove the runs of users, with the uses in them and the spans that tell of them; return how many runs."""
    runs = list(rows_in(connection, "SELECT trace, span FROM agent_run WHERE user_id IN", ids))
    connection.executemany("DELETE FROM agent_run WHERE trace = ? AND span = ?", runs)
    connection.executemany("DELETE FROM tool_use WHERE trace = ? AND run = ?", runs)
    tellings.forget_steps(connection, ids, {trace for trace, _ in runs})
    return len(runs)


def of_users(connection: sqlite3.Connection, ids: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Return the rows of runs of users, by the names of their columns."""
    columns = [str(name) for _, name, *_ in connection.execute("PRAGMA table_info(agent_run)")]
    rows = sorted(rows_in(connection, "SELECT * FROM agent_run WHERE user_id IN", ids))
    return tuple(
        {name: value.hex() if isinstance(value, bytes) else value for name, value in zip(columns, row, strict=True)}
        for row in rows
    )


def users(connection: sqlite3.Connection) -> list[str]:
    """Return the users whom runs name."""
    rows = connection.execute("SELECT DISTINCT user_id FROM agent_run WHERE user_id IS NOT NULL")
    return [user for (user,) in rows]
