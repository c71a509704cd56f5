"""A file that is not ours is refused as it is; ours is known by its id, or by the tables of a version without one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import store_checks
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.ownership import APPLICATION_ID, Contents, look
from otel_measure.store.sqlite.schema_scripts import latest, run
from tests.closing import closed_later
from tests.facts import NOON, event
from tests.store.sqlite import last_release
from tests.store.sqlite.other_programs import database, in_the_log_alone, log_with_content, one_table_more

ROOT: Final = Path(__file__).resolve().parents[3]
ANOTHER_PATH: Final = "set OTEL_MEASURE_STORE to another path; this file is left as it is"


def in_folder(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and the bytes of all that lies in a folder."""
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


def text(path: Path) -> None:
    """Notes of somebody."""
    path.write_text("buy milk\n" * 1000)


def noise(path: Path) -> None:
    """Bytes of some format."""
    path.write_bytes(b"\x1f\x8b" + bytes(range(256)) * 40)


def of_version(version: int) -> Callable[[Path], None]:
    """Return what makes a database of another program that counts its versions too."""
    return lambda path: database(path, "CREATE TABLE recipe (name)", f"PRAGMA user_version={version}")


def of_another_id(path: Path) -> None:
    """A database of a program that has an id of its own, and nothing in it yet."""
    database(path, "PRAGMA application_id=252006673")


def with_a_log(path: Path) -> None:
    """A database with a log that its program has not moved into it."""
    log_with_content(path, "INSERT INTO recipe VALUES ('bread')", first="CREATE TABLE recipe (name)")


def newer(path: Path) -> None:
    """A store of an otel-measure to come."""
    database(path, f"PRAGMA application_id={APPLICATION_ID}", "CREATE TABLE recipe (name)", "PRAGMA user_version=999")


FOREIGN: Final[dict[str, tuple[Callable[[Path], None], str, str]]] = {
    "text": (text, "is a text file", ANOTHER_PATH),
    "noise": (noise, "is no SQLite database", ANOTHER_PATH),
    **{
        f"user_version {version}": (
            of_version(version),
            f"is an SQLite database of another program (user_version {version}; 1 table: recipe)",
            ANOTHER_PATH,
        )
        for version in (0, 1, 8, 9)
    },
    "one table more": (
        one_table_more,
        "is an SQLite database of another program (user_version 8; 48 tables: alias, cohort_cell, confusion_cell, …)",
        ANOTHER_PATH,
    ),
    "another id": (
        of_another_id,
        "is an SQLite database of another program (application_id 252006673; user_version 0; 0 tables)",
        ANOTHER_PATH,
    ),
    "with a log": (
        with_a_log,
        "is an SQLite database of another program (user_version 0; 1 table: recipe)",
        ANOTHER_PATH,
    ),
    "in the log alone": (
        in_the_log_alone,
        "is an SQLite database of another program (user_version 0; 1 table: recipe)",
        ANOTHER_PATH,
    ),
    "newer": (
        newer,
        f"has schema 999, this otel-measure knows {latest()}",
        "upgrade otel-measure",
    ),
    "a folder": (Path.mkdir, "is a directory", "set OTEL_MEASURE_STORE to a file in it"),
    "a pipe": (os.mkfifo, "is a device or a pipe, not a file", ANOTHER_PATH),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_not_ours_is_refused_as_it_is(kind: str, tmp_path: Path) -> None:
    """Opening it, and asking `doctor`, say what it is and leave every byte and the folder as they were."""
    make, what, way_out = FOREIGN[kind]
    path = tmp_path / "app.db"
    make(path)
    before = in_folder(tmp_path)
    with pytest.raises(StoreUnavailable) as raised:
        SqliteStore(str(path))
    assert (raised.value.what, raised.value.way_out) == (f"{path} {what}", way_out)
    findings = {check.name: check.look() for check in store_checks(Settings(store=str(path)))}
    assert (findings["store"].verdict, findings["store"].what) == ("wrong", f"{path} {what}")
    assert in_folder(tmp_path) == before
    assert sorted(findings) == sorted(
        ["store", "store directory", "store disk", "store file system"] + (["store privacy"] if path.is_file() else [])
    )


@pytest.mark.parametrize("kind", ["with a log", "user_version 8"])
def test_serve_leaves_the_database_of_another_program(kind: str, tmp_path: Path) -> None:
    """The server does not start, says what the file is, and its bytes and its log are as they were."""
    make, what, _ = FOREIGN[kind]
    make(tmp_path / "app.db")
    before = in_folder(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "exporter.cli", "serve", "--port", "0", "--store", str(tmp_path / "app.db")],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert f"app.db {what}" in ended.stderr
    assert in_folder(tmp_path) == before


def test_a_database_that_another_program_uses(tmp_path: Path) -> None:
    """Its program goes on as if nobody had looked, and finds all that it wrote."""
    path = tmp_path / "app.db"
    with closed_later(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE recipe (name)")
        before = in_folder(tmp_path)
        with pytest.raises(StoreUnavailable, match="database of another program"):
            SqliteStore(str(path))
        assert in_folder(tmp_path) == before
        other.execute("INSERT INTO recipe VALUES ('bread')")
    other.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM recipe").fetchall() == [("bread",)]


def marks(path: Path) -> tuple[int, int]:
    """Return the id and the version of a database."""
    with closing(sqlite3.connect(path)) as connection:
        return (
            connection.execute("PRAGMA application_id").fetchone()[0],
            connection.execute("PRAGMA user_version").fetchone()[0],
        )


def absent(path: Path) -> None:
    """Make nothing."""


def blank(path: Path) -> None:
    """A database without anything in it, as a process leaves it that was killed before the schema was there."""
    database(path, "PRAGMA journal_mode=WAL")
    assert path.stat().st_size > 0


@pytest.mark.parametrize("make", [absent, Path.touch, blank, last_release.write])
def test_ours_has_the_id(make: Callable[[Path], None], tmp_path: Path) -> None:
    """A new file gets it with its schema, a store of a version without one with its migration."""
    path = tmp_path / "measure.db"
    make(path)
    SqliteStore(str(path)).close()
    assert marks(path) == (APPLICATION_ID, latest())


@pytest.mark.parametrize("version", range(1, 9))
def test_every_version_without_an_id_is_ours(version: int, tmp_path: Path) -> None:
    """A file with exactly the tables of its version is brought up to date."""
    path = tmp_path / "measure.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        run(connection, 0, version)
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("ANALYZE")  # whose tables are SQLite's own
    SqliteStore(str(path)).close()
    assert marks(path) == (APPLICATION_ID, latest())


def test_the_schema_may_be_in_the_log_alone(tmp_path: Path) -> None:
    """A store that was copied with its log before anything was moved into the file is ours."""
    path, copy = tmp_path / "measure.db", tmp_path / "copy.db"
    store = SqliteStore(str(path))
    store.accept([event("e", "u", NOON)])
    shutil.copyfile(path, copy)
    shutil.copyfile(f"{path}-wal", f"{copy}-wal")
    store.close()
    SqliteStore(str(copy)).close()
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_a_log_without_its_file_is_not_thrown_away(tmp_path: Path) -> None:
    """A new file would destroy what is in it; so nothing is made, and the message says what to do."""
    path = tmp_path / "measure.db"
    log_with_content(path, "CREATE TABLE recipe (name)")
    path.unlink()
    before = in_folder(tmp_path)
    with pytest.raises(StoreUnavailable) as raised:
        SqliteStore(str(path))
    assert raised.value.what == (
        f"{path} is not there, but its write-ahead log {path}-wal has content, which a new file would destroy"
    )
    assert in_folder(tmp_path) == before


# ---------------------------------------------------------------- a damaged header


def put_new_header(damaged: Path, sound: Path) -> None:
    """Do what docs/operations.md shows under 'A damaged header'."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    lines = [line.strip() for line in page.splitlines() if line.strip().startswith("dd ")]
    assert len(lines) == 3
    for line in lines:
        subprocess.run(
            line,
            shell=True,
            check=True,
            capture_output=True,
            env=os.environ | {"FILE": str(damaged), "NEW": str(sound)},
        )


@pytest.mark.parametrize("damaged_bytes", [range(16), range(100)], ids=["its first 16 bytes", "all of it"])
def test_a_damaged_header(damaged_bytes: range, tmp_path: Path) -> None:
    """It is named as damage of a store, not as another's file, and what the documentation shows brings it back."""
    path = tmp_path / "measure.db"
    store = SqliteStore(str(path))
    store.accept([event(f"e{n}", "u", NOON) for n in range(500)])
    store.close()
    content = bytearray(path.read_bytes())
    for i in damaged_bytes:
        content[i] ^= 0xA5
    path.write_bytes(content)
    before = in_folder(tmp_path)
    with pytest.raises(StoreUnavailable) as raised:
        SqliteStore(str(path))
    assert (raised.value.cause_name, raised.value.what) == (
        "corrupt",
        f"{path} is a store of otel-measure with a damaged header",
    )
    assert "docs/operations.md" in raised.value.way_out
    assert in_folder(tmp_path) == before
    SqliteStore(str(tmp_path / "new.db")).close()
    put_new_header(path, tmp_path / "new.db")
    database(path, "VACUUM")
    store = SqliteStore(str(path))
    store.accept([event("after", "u", NOON)])
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (501,)


def test_a_store_whose_log_is_being_moved_into_it(tmp_path: Path) -> None:
    """The first page of the file tells of pages that come after it: who looks meanwhile sees no damage."""
    path, later = tmp_path / "a.db", tmp_path / "later.db"
    SqliteStore(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as user:
        user.execute("PRAGMA wal_autocheckpoint = 0")
        user.execute("INSERT INTO meta VALUES ('filler', hex(randomblob(1000000)))")
        user.execute("VACUUM INTO ?", (str(later),))
        page = int.from_bytes(later.read_bytes()[16:18])
        with path.open("r+b") as file:
            file.write(later.read_bytes()[:page])
        assert look(path) == Contents(APPLICATION_ID, latest())
    assert look(path) == Contents(APPLICATION_ID, latest())
