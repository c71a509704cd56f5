"""What tests make a new store of is what the scripts make."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from otel_measure.store.sqlite import schema_scripts
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.migrations import migrate
from tests.closing import closed_later
from tests.store.sqlite import new_schema


def made_by(run: Callable[[sqlite3.Connection, int, int], None], after: int) -> list[str]:
    """Return the schema and the rows of a database that the scripts have made until one, and `run` from there on."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, after)
        run(connection, after, schema_scripts.latest())
        return list(connection.iterdump())


def test_a_new_store_of_a_test_is_one_that_the_scripts_make() -> None:
    """The same tables, indices and views in the same words, and the same rows, none."""
    assert made_by(new_schema.run, 0) == made_by(schema_scripts.run, 0)


def test_a_store_of_an_earlier_version_gets_the_scripts() -> None:
    """What is there is brought up to date as everywhere."""
    assert made_by(new_schema.run, 8) == made_by(schema_scripts.run, 8)


def test_the_stores_of_this_process_are_made_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever opens a new store in a test runs no script, once it is known what they come to."""
    expected = made_by(new_schema.run, 0)
    monkeypatch.delattr(schema_scripts, "run")
    database = closed_later(Database(MEMORY))
    migrate(database)
    with database.read() as connection:
        assert list(connection.iterdump()) == expected
