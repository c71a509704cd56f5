"""A store that a process only reads."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import store_checks
from otel_measure.store.sqlite import SqliteStore, checked_file
from otel_measure.store.sqlite.checked_file import StoreFile
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


def write_beside(path: Path) -> None:
    """Have another user of a store begin, write, and end: its log is moved into the file."""
    with closing(SqliteStore(str(path))) as store:
        store.erase("u1", NOON)


def test_what_is_written_while_it_is_read(tmp_path: Path) -> None:
    """Whoever begins to write to a file without a log, and ends, makes no damage of it, and no other answer."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()

    def read(reader: SqliteStore, statement: str, meanwhile: Callable[[], None]) -> object:
        with reader._database.read() as connection:
            connection.execute("SELECT count(*) FROM meta").fetchone()
            meanwhile()
            return connection.execute(statement).fetchone()

    with closing(SqliteStore(str(path), reads_only=True)) as reader:
        # The second statement fails, as any does that finds pages of two moments.
        for statement in ("SELECT count(*) FROM event", "SELECT * FROM nowhere"):
            with pytest.raises(StoreUnavailable) as raised:
                read(reader, statement, lambda: write_beside(path))
            assert (raised.value.cause_name, raised.value.what) == (
                "changed",
                f"{path} was written to while it was read",
            )
        # Who changes nothing disturbs nobody.
        assert read(reader, "PRAGMA quick_check", lambda: SqliteStore(str(path)).close()) == ("ok",)


def test_doctor_looks_again_at_what_was_written_while_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two moments are no finding."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    original, looks = checked_file.opened, list[StoreFile]()

    @contextmanager
    def opened(file: StoreFile) -> Iterator[sqlite3.Connection]:
        with original(file) as connection:
            yield connection
            looks.append(file)
            if len(looks) == 1:
                write_beside(path)

    check = {each.name: each for each in store_checks(Settings(store=str(path)))}["store integrity"]
    monkeypatch.setattr("otel_measure.store.sqlite.checkup.opened", opened)
    assert check.look().verdict == "ok"
    assert len(looks) == 2
