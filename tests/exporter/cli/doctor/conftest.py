"""A store that was used, and a port that is taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli.ports import listen
from otel_measure.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the path of a store that a process has used and left."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    return path


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port that is taken."""
    with listen("127.0.0.1", 0) as sock:
        yield sock.getsockname()[1]
