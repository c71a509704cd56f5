"""Stores and databases that are closed with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.connection import Database


@pytest.fixture
def opened() -> Iterator[Callable[..., SqliteStore]]:
    """Open stores that are closed with the test."""
    stores: list[SqliteStore] = []

    def open_one(path: Path | str = ":memory:", **given: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), **given))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def opened_database() -> Iterator[Callable[..., Database]]:
    """Open databases that are closed with the test."""
    databases: list[Database] = []

    def open_one(path: Path | str, **given: object) -> Database:
        databases.append(Database(str(path), **given))  # type: ignore[arg-type]
        return databases[-1]

    yield open_one
    for database in databases:
        database.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no file is yet."""
    return tmp_path / "folder" / "measure.db"
