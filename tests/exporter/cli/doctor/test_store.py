"""Checks of the store: those of its engine, where one knows the place."""

from __future__ import annotations

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
        ("mysql://db", Finding("warning", "mysql://db is not a file; nothing more is checked here")),
    ],
)
def test_a_store_that_is_no_file_is_told_by_its_kind(place: str | None, expected: Finding) -> None:
    """Without a file only the kind of the store is told."""
    assert [(name, look()) for name, look, _ in store_checks.checks(Settings(store=place))] == [("store", expected)]


def test_a_file_is_checked_by_its_engine(tmp_path: Path) -> None:
    """A path without a file is looked at from outside, and nothing is made by looking."""
    path = tmp_path / "state" / "measure.db"
    assert [check.name for check in store_checks.checks(Settings(store=str(path)))] == [
        "store", "store directory", "store file system", "store disk"
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []
