"""A store from before environments were told apart: whose its roll-ups are until they are counted anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from otel_measure.store.sqlite import schema_scripts
from tests.facts import NOON

BEFORE = 16
BEFORE_DRIFT = 25
BEFORE_SERVICES = 26


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (["staging", "", "production"], "production"),
        (["staging", "", "test"], ""),
        (["staging", "test", "staging"], "staging"),
    ],
)
def test_what_was_added_up_over_all_is_of_the_environment_that_answers_are_about(
    seen: list[str], expected: str
) -> None:
    """Production, else the unnamed, else the first one seen: what facts that are gone have left stays there."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, BEFORE)
        services = [(f"s{n}", environment) for n, environment in enumerate(seen)]
        connection.executemany("INSERT INTO origin (service, environment) VALUES (?, ?)", services)
        connection.execute("INSERT INTO gap_cell VALUES (7, -1, 3)")
        connection.execute("INSERT INTO session VALUES (1, '', 10, 20, 2, 1, 0)")
        schema_scripts.run(connection, BEFORE, schema_scripts.latest())
        name = "(SELECT name FROM environment WHERE id = environment)"
        assert connection.execute(f"SELECT {name}, day, gap, n FROM gap_cell").fetchall() == [(expected, 7, -1, 3)]
        assert connection.execute(f"SELECT {name}, uid, ended FROM session").fetchall() == [(expected, 1, 20)]
        assert [name for (name,) in connection.execute("SELECT name FROM environment ORDER BY id")] == [
            *dict.fromkeys(seen)
        ]


def test_references_of_before_are_of_the_environments_that_they_were_for() -> None:
    """One that somebody set was for all; one found among the records of all is of the one that answers are about."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, BEFORE_DRIFT)
        connection.executemany("INSERT INTO environment (name) VALUES (?)", [("staging",), ("production",)])
        rows = [(1, "given", None), (2, "first_records", NOON)]
        connection.executemany("INSERT INTO drift_reference VALUES (?, ?, ?3, ?3, NULL, '{}')", rows)
        schema_scripts.run(connection, BEFORE_DRIFT, schema_scripts.latest())
        kept = connection.execute("SELECT model, environment, source, first_ts FROM drift_reference ORDER BY 1, 2")
        assert kept.fetchall() == [
            (1, "production", "given", None),
            (1, "staging", "given", None),
            (2, "production", "first_records", NOON),
        ]


def test_a_reference_set_before_anything_came_is_of_the_unnamed_environment() -> None:
    """It is not lost while no environment is known."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, BEFORE_DRIFT)
        connection.execute("INSERT INTO drift_reference VALUES (1, 'given', NULL, NULL, NULL, '{}')")
        schema_scripts.run(connection, BEFORE_DRIFT, schema_scripts.latest())
        assert connection.execute("SELECT model, environment FROM drift_reference").fetchall() == [(1, "")]


def test_services_of_before_are_of_the_environments_that_their_states_are_from() -> None:
    """One that was never down is of the environment that answers are about; with it go its watches and heartbeats."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, BEFORE_SERVICES)
        for n, name in enumerate(("staging", "production", "other"), 1):
            connection.execute("INSERT INTO environment VALUES (?, ?)", (n, name))
            connection.execute("INSERT INTO origin (id, service, environment) VALUES (?, 'shop', ?)", (n, name))
        connection.executemany("INSERT INTO service VALUES (?, ?, 99.9)", [("both", 1), ("late", 2), ("calm", 3)])
        states = [("a", 1, "both"), ("b", 2, "both"), ("c", 1, "late")]
        connection.executemany(
            "INSERT INTO service_state (id, ts, origin, service, state) VALUES (?, 5, ?, ?, 'down')", states
        )
        connection.execute(
            "INSERT INTO maintenance (id, ts, origin, service, start_us, end_us) VALUES ('m', 5, 3, 'late', 6, 7)"
        )
        connection.execute("INSERT INTO heartbeats VALUES (1, 9)")
        connection.execute("INSERT INTO watched_service VALUES ('both', 4)")
        connection.execute("INSERT INTO watch_run VALUES ('calm', 4, 9, 1)")
        schema_scripts.run(connection, BEFORE_SERVICES, schema_scripts.latest())
        kept = {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("service", "heartbeats", "watched_service", "watch_run")
        }
        assert kept == {
            "service": [
                ("other", "late", 2, 99.9),
                ("production", "both", 1, 99.9),
                ("production", "calm", 3, 99.9),
                ("staging", "both", 1, 99.9),
                ("staging", "late", 2, 99.9),
            ],
            "heartbeats": [("other", 1, 9), ("production", 1, 9), ("staging", 1, 9)],
            "watched_service": [("production", "both", 4), ("staging", "both", 4)],
            "watch_run": [("production", "calm", 4, 9, 1)],
        }


def test_services_of_a_store_without_facts_are_of_the_unnamed_environment() -> None:
    """Nobody said which, and nothing tells."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, BEFORE_SERVICES)
        connection.execute("INSERT INTO service VALUES ('api', 3, 99.9)")
        connection.execute("INSERT INTO heartbeats VALUES (1, 9)")
        schema_scripts.run(connection, BEFORE_SERVICES, schema_scripts.latest())
        assert connection.execute("SELECT * FROM service").fetchall() == [("", "api", 3, 99.9)]
        assert connection.execute("SELECT * FROM heartbeats").fetchall() == [("", 1, 9)]
