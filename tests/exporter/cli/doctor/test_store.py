"""Checks of the store: those of its engine, where one knows the place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exporter.cli.doctor import store as store_checks
from otel_measure.config import Settings
from otel_measure.store.types.findings import Finding


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (None, Finding("ok", "none: measurements leave by OpenTelemetry only, reports are not available")),
        (":memory:", Finding("ok", "in memory: it ends with the process")),
        (
            "mysql://me:secret@db",
            Finding("wrong", 'store must be a path, ":memory:", clickhouse://… or None, not mysql://…'),
        ),
    ],
)
def test_a_store_that_is_no_file_is_told_by_its_kind(place: str | None, expected: Finding) -> None:
    """Without a file the kind of the store is told, and of one that nobody can open what whoever opens it hears."""
    assert [(name, look()) for name, look, _ in store_checks.checks(Settings(store=place))] == [("store", expected)]


def test_a_file_is_checked_by_its_engine(tmp_path: Path) -> None:
    """A path without a file is looked at from outside, and nothing is made by looking."""
    path = tmp_path / "state" / "measure.db"
    assert [check.name for check in store_checks.checks(Settings(store=str(path)))] == [
        "store", "store directory", "store file system", "store disk"
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store on a server whose client is not installed is wrong, and what installs it is said."""
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    ((name, look, _),) = store_checks.checks(Settings(store="clickhouse://me:secret@127.0.0.1:9/x"))
    assert (name, look()) == (
        "store",
        Finding("wrong", "ClickHouse needs its client: pip install 'otel-measure[clickhouse]'"),
    )
