"""How a store is opened: by the settings alone, whichever engine keeps it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from sqlite3 import sqlite_version

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.parameters import SETTABLE
from otel_measure.errors import ConfigurationError, StoreError
from otel_measure.records.kinds import Origin
from otel_measure.store.engines import definitions_of, installed, open_store, statements, store_checks
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.findings import Finding
from tests.facts import event


def test_no_store_is_opened_where_none_is_wanted() -> None:
    """`store=None` is an answer, not a fault."""
    assert open_store(Settings(store=None)) is None


def test_a_place_that_no_engine_knows_is_refused_by_name() -> None:
    """The message says what was given and what there is."""
    with pytest.raises(ConfigurationError) as refusal:
        open_store(Settings(store="mysql://db/measure"))
    assert str(refusal.value) == 'store must be a path, ":memory:", clickhouse://… or None, not mysql://…'


def test_a_url_of_clickhouse_that_names_no_server_is_refused_without_what_is_secret_in_it() -> None:
    """The message says how such a URL is written."""
    with pytest.raises(ConfigurationError) as refusal:
        open_store(Settings(store="clickhouse://me:secret@db/one/two"))
    assert str(refusal.value) == (
        "a store in ClickHouse is clickhouse://user:password@host:port/database[?cluster=NAME],"
        " not 'clickhouse://…@db/one/two'"
    )


def test_statements_are_of_a_server_that_stores_can_be_created_on() -> None:
    """Of any other there are none."""
    with pytest.raises(ConfigurationError, match="on servers of clickhouse alone, not of 'mysql'"):
        statements("mysql", "measure", None)


def test_answers_are_about_the_environment_of_the_settings() -> None:
    """Also where production was seen; where the settings name none, about production, and about what is asked for."""
    for given, asked, expected in (("staging", None, "staging"), ("", None, "production"), ("staging", "", "")):
        store = open_store(Settings(store=":memory:", environment=given))
        assert store is not None
        store.accept([event(place, origin=Origin("shop", place)) for place in ("test", "production")])
        with store.asking(Filter(None, asked)) as moment:
            assert moment.users.environment == expected
        store.close()


def test_a_rebuild_opens_a_store_of_another_zone(tmp_path: Path) -> None:
    """Every other opening is refused: its days would not be those of the settings."""
    path = str(tmp_path / "measure.db")
    store = open_store(Settings(store=path, timezone="Asia/Tokyo"))
    assert store is not None
    store.close()
    with pytest.raises(StoreError, match="keeps timezone='Asia/Tokyo', the settings say timezone='UTC'"):
        open_store(Settings(store=path))
    kept = open_store(Settings(store=path), to_rebuild=True)
    assert kept is not None
    assert kept.definitions.timezone == "Asia/Tokyo"
    kept.close()


def test_the_settings_say_every_definition_that_can_be_set() -> None:
    """Each setting of the meaning of what is counted is the definition of the same name, and there is no other."""
    default, other = Settings(), Settings(
        timezone="Asia/Tokyo", session_gap_s=600, drift_window_records=60, drift_window_hours=6
    )  # fmt: skip
    assert {d.field: d.wanted for d in definitions_of(other).differences(definitions_of(default))} == {
        field: getattr(other, field) for field in SETTABLE
    }


def test_a_place_that_no_engine_knows_has_no_checks() -> None:
    """`doctor` is told so by the same error; without a store there is nothing to look at."""
    with pytest.raises(ConfigurationError, match="not mysql://"):
        store_checks(Settings(store="mysql://db/measure"))
    assert store_checks(Settings(store=None)) == ()


def test_every_installed_engine_names_its_library() -> None:
    """SQLite comes with Python, and its version is good enough; the client of ClickHouse is an extra."""
    assert [(engine.name, engine.library()) for engine in installed()] == [
        ("SQLite", Finding("ok", sqlite_version)),
        ("clickhouse-connect", Finding("ok", version("clickhouse-connect"))),
    ]
