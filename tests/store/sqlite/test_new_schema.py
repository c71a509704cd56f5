"""What tests make a new store of is what the scripts make."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from otel_measure.store.sqlite import migrations, schema_scripts
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


def test_the_stores_of_this_process_are_made_so() -> None:
    """Every test gets it, whatever opens its store."""
    assert migrations.run is new_schema.run
