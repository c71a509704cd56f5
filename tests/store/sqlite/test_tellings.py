"""How what tells of calls lies in the file, and what it takes to take it in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from otel_measure.store.sqlite import SqliteStore, schema_scripts
from tests.store.conformance.telling import counted, told

_OF_VERSION_31 = (
    *("id", "trace", "span", "parent", "kind", "began", "ts", "process", "scope", "operation", "response"),
    *("record", "call", "step"),
)


def _queries(store: SqliteStore, run: Callable[[], object]) -> int:
    """Return how many statements are run that ask something."""
    statements: list[str] = []
    with store._database.write() as connection:
        connection.set_trace_callback(statements.append)
    run()
    with store._database.write() as connection:
        connection.set_trace_callback(None)
    return sum(statement.startswith(("SELECT", "WITH")) for statement in statements)


def test_what_is_new_is_not_asked_for_one_by_one(opened: Callable[..., SqliteStore]) -> None:
    """A request of 400 calls, each with an id of its response in a trace of its own, asks as often as one of 100."""
    store = opened()

    def calls(first: int, n: int) -> None:
        spans = [
            span
            for i in range(first, first + n)
            for span in (told(1, kind="plain", trace=i), told(2, parent=1, trace=i, response=f"r{i}"))
        ]
        store.take_tellings(spans)

    calls(1, 1)  # names, cells and totals of the model are there from now on
    few, many = _queries(store, lambda: calls(1_000, 100)), _queries(store, lambda: calls(2_000, 400))
    assert few == many
    assert counted(store) == (501, 0)


def test_calls_of_one_request_and_one_response_are_one(opened: Callable[..., SqliteStore]) -> None:
    """Also where nothing of it was stored before: a client and its gateway, in traces of their own."""
    store = opened()
    store.take_tellings([told(1, trace=1, response="r"), told(1, trace=2, response="r", service="gateway")])
    assert counted(store) == (1, 0)


def test_a_record_says_what_is_known_alone(opened: Callable[..., SqliteStore]) -> None:
    """Of a call that says little, little is written."""
    store = opened()
    store.take_tellings([told(1, response_model=None, input_tokens=None, output_tokens=None, cost_usd=None)])
    with store._database.read() as connection:
        (record,) = connection.execute("SELECT record FROM telling").fetchone()
    assert "null" not in record
    assert counted(store) == (1, 0)


def test_tellings_of_a_store_of_before_stay() -> None:
    """Version 32 gives rows a number; what stands in them is as it was."""
    row = ("t/1", b"t", b"1", None, "call", 1, 2, 1, "s", "chat", "r", '{"ts":2}', "t/1", None)
    plain = ("span:t/2", b"t", b"2", b"1", "plain", 1, 1, 1, "", "chat", None, None, None, "{}")
    names = ",".join(_OF_VERSION_31)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, 31)
        marks = ",".join("?" * len(row))
        connection.executemany(f"INSERT INTO telling ({names}) VALUES ({marks})", [row, plain])
        schema_scripts.run(connection, 31, 32)
        assert connection.execute(f"SELECT {names} FROM telling ORDER BY id DESC").fetchall() == [row, plain]
