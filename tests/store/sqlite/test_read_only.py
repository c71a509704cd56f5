"""A store that a process only reads."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.models import Model
from tests.facts import NOON, inference
from tests.store.sqlite import last_release


def requests(path: Path) -> int:
    """Return how many calls a reader sees."""
    with closing(SqliteStore(str(path), reads_only=True)) as reader, reader.asking() as moment:
        return sum(use.requests for use in moment.models.model_use(NOON - 1, NOON + 10**12))


def looks(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file of a folder, with when it was changed last."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Without a writer no file appears, none goes and none changes; nothing can be written."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))) as store:
        store.accept([inference("a")])
    before = looks(tmp_path)
    assert requests(path) == 1
    with closing(SqliteStore(str(path), reads_only=True)) as reader, pytest.raises(StoreUnavailable) as refused:
        reader.register_model(Model("m", "2"))
    assert refused.value.cause_name == "read_only"
    assert looks(tmp_path) == before


def test_reading_beside_a_writer(tmp_path: Path) -> None:
    """A reader sees what is committed, each time anew, also when the writer comes and goes meanwhile."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))) as store:
        store.accept([inference("a")])
        assert os.path.exists(f"{path}-wal")
        with closing(SqliteStore(str(path), reads_only=True)) as reader:

            def seen() -> int:
                with reader.asking() as moment:
                    return sum(use.requests for use in moment.models.model_use(NOON - 1, NOON + 10**12))

            assert seen() == 1
            store.accept([inference("b")])
            assert seen() == 2
            store.close()
            assert not os.path.exists(f"{path}-wal")
            assert seen() == 2
            with closing(SqliteStore(str(path))) as again:
                again.accept([inference("c")])
                assert seen() == 3


def test_a_store_of_an_older_version_is_refused(tmp_path: Path) -> None:
    """To bring it up to date is to write, which a reader does not; the message says who does."""
    last_release.write(tmp_path / "measure.db")
    (tmp_path / "empty.db").touch()
    before = looks(tmp_path)
    for name in ("measure.db", "empty.db"):
        with pytest.raises(StoreUnavailable) as refused:
            SqliteStore(str(tmp_path / name), reads_only=True)
        assert str(refused.value) == (
            f"store unavailable (read_only): {tmp_path / name} is only read here, and an older otel-measure made it,"
            " or nobody to its end; start `otel-measure serve` with it, which brings it up to date"
        )
    assert looks(tmp_path) == before


def test_a_locked_store(tmp_path: Path) -> None:
    """Who holds all of the file keeps readers out; the message says so."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match=r"store unavailable \(locked\)"):
            SqliteStore(str(path), reads_only=True)
